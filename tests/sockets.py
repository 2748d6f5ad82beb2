"""Who listens on this machine."""

from pathlib import Path


def listening(port: int) -> list[str]:
    """Addresses at which somebody listens on a port, as the kernel writes them."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port]
