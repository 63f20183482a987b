"""One short file per page, each with one function `show`."""
