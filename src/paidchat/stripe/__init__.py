"""Stripe: its API, its events and its clock. Only the gateway imports the SDK."""
