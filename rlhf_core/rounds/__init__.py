"""Rounds: people's votes on one run become the data of the next, which is trained, tested against them, and judged in turn."""
