"""`python -m rlhf_core` is the `rlhf` command."""

from rlhf_core.cli import main

main()
