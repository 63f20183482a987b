"""Ours against its peers: the same work on the same machine, in turn, each in a process of its own. `make bench` runs it."""
