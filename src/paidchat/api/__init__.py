"""The HTTP and WebSocket edge: routes translate, use cases decide."""
