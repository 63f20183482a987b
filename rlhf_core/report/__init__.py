"""Reports: one frozen set of facts about a run, written as HTML, Markdown, CSV and JSON."""
