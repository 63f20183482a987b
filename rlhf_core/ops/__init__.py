"""Pure tensor functions: masks, log-probabilities, KL, advantages, losses. Imports torch and nothing of ours."""
