"""The command line: what the operator runs."""
