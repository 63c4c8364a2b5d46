"""The pages that people open: documents that the server renders, with the board in them."""
