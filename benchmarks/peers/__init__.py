"""The same work done by transformers and TRL, in an environment of their own."""
