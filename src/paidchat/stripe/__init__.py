"""Stripe: the way to its API, its events and its clock. Only the gateway knows its SDK."""
