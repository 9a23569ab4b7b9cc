"""The demo: one governed run on real data, walked from project to artifacts."""
