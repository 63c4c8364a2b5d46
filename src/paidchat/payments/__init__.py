"""Payments: from asking for a Checkout Session to the message that was paid for, or the money back."""
