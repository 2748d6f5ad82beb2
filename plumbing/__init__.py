"""What any program needs: files, processes, compiled code, progress, errors. Nothing here knows of networks."""

#: What pip calls the project: `nudge` is another one on PyPI.
DISTRIBUTION = "nudge-fpga"
