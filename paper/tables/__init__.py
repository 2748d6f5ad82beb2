"""A study's frame: its budgets and rows, their table and their picture."""
