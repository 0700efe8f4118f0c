"""German."""

MESSAGES: dict[str, str] = {}
