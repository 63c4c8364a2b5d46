"""Serving: uvicorn and its protocols, with limits and deadlines against abuse."""
