"""The work done by this project."""
