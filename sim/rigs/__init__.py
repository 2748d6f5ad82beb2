"""What attacks, fuzzes, and counts what is noticed: `python -m tests.attack` has a command for each. Nothing of it ships."""
