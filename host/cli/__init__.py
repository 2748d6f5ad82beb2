"""The `nudge` command."""

#: What pip calls the package.
DISTRIBUTION = "nudge"
