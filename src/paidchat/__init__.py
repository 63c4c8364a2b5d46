"""paidchat: pay a dollar, post a message on a live public board."""
