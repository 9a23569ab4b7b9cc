"""Lints of our own: rules whose breach would leak data or lose a promise. One module each."""
