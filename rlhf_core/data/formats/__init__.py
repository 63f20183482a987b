"""Public data formats, one file each: read into our records, with an account of what was left out."""
