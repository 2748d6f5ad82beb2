"""Opens and closes ports through pyserial: device paths, pseudo-terminals, `socket://` URLs."""

import contextlib
import errno
import os
import re
import socket

import serial
from serial import rfc2217

from nudge.plumbing.errors import LinkError

#: Baud rates of boards, which HELLO tries in turn unless the caller gives one. Pseudo-terminals and sockets
#: ignore the rate.
BAUDS = (1_000_000, 3_000_000)


#: Schemes of pyserial's URLs that reach a board; its other schemes write files or serve its own tests.
SCHEMES = ("socket", "rfc2217", "hwgrep")


class RemotePort(rfc2217.Serial):
    """A serial port of another machine (RFC 2217) that negotiates its settings once for each baud rate.

    pyserial also does so whenever a timeout changes, twice for each answer, and waits 50 ms or more each
    time.
    """

    _agreed: int | None = None

    def _reconfigure_port(self) -> None:
        if self._agreed != self.baudrate:
            super()._reconfigure_port()
            self._agreed = self.baudrate


def open_port(url: str, baud: int = BAUDS[0]) -> serial.SerialBase:
    """Open a device path or pyserial URL, exclusively where pyserial can; `LinkError` if it fails."""
    scheme, colon, _ = url.partition("://")
    if colon and scheme not in SCHEMES:
        raise LinkError(
            f"{url}: a port must be a device path, or a URL of {', '.join(SCHEMES)}, not of {scheme}"
        )
    try:
        if scheme == "rfc2217":
            # pyserial accepts no write timeout here; the connection's own is 5 s too
            port: serial.SerialBase = RemotePort(url, baudrate=baud, timeout=0)
        else:
            port = serial.serial_for_url(url, baudrate=baud, timeout=0, write_timeout=5, exclusive=True)
    except (serial.SerialException, OSError, ValueError, LookupError, NotImplementedError, re.error) as error:
        reasons = {
            errno.ENOENT: "no such port",
            errno.EAGAIN: "port busy: another program has it open",
            errno.EBUSY: "port busy: another program has it open",
            errno.EACCES: "permission denied: are you in the group that owns the port?",
        }
        raise LinkError(f"{url}: {reasons.get(getattr(error, 'errno', None) or 0, str(error))}") from None
    with contextlib.suppress(AttributeError, NotImplementedError, ValueError, OSError):
        # a mode of some drivers: FTDI's adapters then delay an answer by 1 ms instead of 16
        port.set_low_latency_mode(True)
    if url.startswith("socket://"):
        # small requests must not wait for acknowledgements of earlier ones
        with socket.socket(fileno=os.dup(port.fileno())) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return port


def close_port(port: serial.SerialBase) -> None:
    """Close a port; no error if it is closed already."""
    connection = getattr(port, "_socket", None)
    with contextlib.suppress(serial.SerialException, OSError):
        port.close()
    # pyserial leaves the socket of a socket:// port open if the other end has disconnected
    if connection is not None:
        connection.close()
