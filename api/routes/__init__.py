"""Endpoints by noun: parse, authorise, call one service, shape."""
