"""The page of a sweep, and its picture: all runs together, and error against each varied key."""
