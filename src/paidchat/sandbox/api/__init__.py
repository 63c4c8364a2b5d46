"""The API under `/v1`, and the controls under `/test`."""
