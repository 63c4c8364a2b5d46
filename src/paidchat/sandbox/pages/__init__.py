"""Pages: the hosted page and the panel."""
