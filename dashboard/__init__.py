"""The browser side of RLHF Studio: views over components over services."""
