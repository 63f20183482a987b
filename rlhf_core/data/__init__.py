"""Records, files and splits: what a pipeline learns from."""
