"""The contract as documents: the routes' responses, and the OpenAPI and AsyncAPI documents made from them."""
