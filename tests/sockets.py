"""TCP sockets that listen on this machine, from /proc/net."""

from pathlib import Path


def listening(port: int) -> list[str]:
    """Return the local addresses of sockets that listen on a TCP port, in hexadecimal as in /proc/net/tcp."""
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    return [
        row[1].partition(":")[0]
        for row in rows
        if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port
    ]
