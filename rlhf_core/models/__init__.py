"""Where weights come from, and the policy, reward and sampling code around them."""
