"""The first five minutes of two people, played in tmux on a stack of its own, kept as text."""
