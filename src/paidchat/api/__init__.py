"""The HTTP and WebSocket API: routes parse and format, use cases decide."""
