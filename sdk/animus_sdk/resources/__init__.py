"""The gateway's nouns, as the client offers them: one class for each."""
