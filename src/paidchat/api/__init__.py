"""The HTTP and WebSocket API: routes parse and format, and call functions that decide."""
