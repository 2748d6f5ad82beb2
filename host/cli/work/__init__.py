"""The work of the commands, with large imports; each module is imported when its command runs."""
