"""What people say: judging tasks, blind assignments and the votes."""
