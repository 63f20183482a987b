"""What a run leaves on disk: written by `directory`, read by `reader`, named by `metrics`."""
