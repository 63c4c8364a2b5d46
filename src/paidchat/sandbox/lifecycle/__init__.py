"""What becomes of sessions and payments: by a buyer, a bank, or time."""
