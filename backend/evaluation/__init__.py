"""How good a capture is: the field's metrics for takes against references."""
