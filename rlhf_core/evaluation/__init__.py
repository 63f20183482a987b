"""Does the tuned model do better: scorers, comparisons, and the statistics behind every interval."""
