"""Finding people and following them."""
