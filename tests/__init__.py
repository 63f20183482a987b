"""Tests of RLHF Studio."""
