"""The contract as documents: what routes answer, and OpenAPI and AsyncAPI made from it."""
