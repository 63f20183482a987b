"""The training loops: supervised fine-tuning, reward modelling, PPO."""
