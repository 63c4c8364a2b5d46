"""The life of sessions and payments: what a buyer, a bank or time does to them."""
