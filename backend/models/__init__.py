"""The published models that a user may add: what there is, where the files lie, how they come there."""
