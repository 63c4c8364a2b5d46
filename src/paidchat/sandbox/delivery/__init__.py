"""Webhooks: events, signed and delivered."""
