"""Steps on this machine's own engine, under the contract that a cluster keeps. Never evidence."""
