"""A message to two contenders, as a process of its own: what it is asked and tells, its answers, the pairs that are kept."""
