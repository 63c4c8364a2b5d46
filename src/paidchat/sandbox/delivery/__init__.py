"""Webhooks: recording, signing and delivering events."""
