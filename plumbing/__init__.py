"""General utilities: files, processes, compiled code, progress, errors. Nothing here depends on networks."""

#: Name of the distribution for pip: `nudge` is another project on PyPI.
DISTRIBUTION = "nudge-fpga"
