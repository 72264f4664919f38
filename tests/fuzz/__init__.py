"""Input that nobody thought of."""
