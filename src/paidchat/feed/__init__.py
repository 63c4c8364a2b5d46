"""The feed: the log, followed once in each process and passed on to everyone who watches."""
