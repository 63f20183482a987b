"""Data of other projects, read and written: files as rows, rows as records, and back."""
