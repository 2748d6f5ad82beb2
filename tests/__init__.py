"""Quick tests, in the folders of the code that they test; attack/ attacks the `nudge` command."""
