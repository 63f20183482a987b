"""Widgets shared by the pages; each owns its session keys."""
