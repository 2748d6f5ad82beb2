"""General utilities: files, processes, compiled code, progress, errors. Nothing here depends on networks."""

#: Name of the distribution for pip: `nudge` is another project on PyPI.
DISTRIBUTION = "nudge-fpga"


def install(extra: str) -> str:
    """Return the command that installs an extra of pyproject.toml, such as `sim`."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
