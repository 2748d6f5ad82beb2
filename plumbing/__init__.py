"""What any program needs: files, processes, compiled code, progress, errors. Nothing here knows of networks."""

#: What pip calls the project: `nudge` is another one on PyPI.
DISTRIBUTION = "nudge-fpga"


def install(extra: str) -> str:
    """Return the command that installs an extra of pyproject.toml, such as `sim`."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
