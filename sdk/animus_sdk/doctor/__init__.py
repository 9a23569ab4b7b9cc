"""Whether this machine, its settings and the way to a platform do: tried, not guessed."""
