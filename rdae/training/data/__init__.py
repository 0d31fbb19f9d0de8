"""Training pictures: where they come from, decoding them, and what is drawn of them."""
