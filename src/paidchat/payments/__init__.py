"""Payments: from creating a Checkout Session to the posted message, or the refund."""
