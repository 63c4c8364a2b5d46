"""The feed: each process tails the log once and fans it out to its subscribers."""
