"""The host, without a board."""
