"""OpenAI-compatible endpoints: ask one many things, within its limits, never the same thing twice."""
