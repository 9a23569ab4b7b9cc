"""The verbs: each asks the client once or twice, and shapes what comes back."""
