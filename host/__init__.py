"""The host: serial driver, training control and the `nudge` command."""
