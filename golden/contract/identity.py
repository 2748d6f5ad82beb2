"""The HELLO answer: network identity, clock, lanes, window, sample memory."""

import struct
from dataclasses import dataclass

from .messages import VERSION, WINDOW

MAGIC = b"NDGE"
NAME_BYTES = 8


@dataclass(frozen=True)
class Identity:
    """Answer to HELLO. All fields but `capacity` are fixed when the gateware is built."""

    preset: str  #: first 8 bytes of the network's name, for people to read
    spec: int  #: `Spec.identity`: the CRC-32 of the network
    clock_hz: int  #: core clock in Hz; 0: unknown
    uart_divisor: int  #: clock cycles per bit on the line
    lanes: tuple[int, ...]  #: lanes of each layer, the image's first
    version: int = VERSION  #: version of the link protocol
    window: int = WINDOW  #: requests that may be in flight
    #: Bytes of the sample memory; 0: no memory, or it failed its self test at start.
    capacity: int = 0

    def encode(self) -> bytes:
        """Return the payload:
        "NDGE", version u8, window u8, preset in 8 bytes with zeros behind it, spec u32, clock_hz u32,
        uart_divisor u16, number of lanes u8, lanes u8 each; behind these capacity u32, unless it is 0.
        """
        name = self.preset.encode()[:NAME_BYTES]  # for people; `spec` identifies the network
        fixed = (
            MAGIC,
            self.version,
            self.window,
            name,
            self.spec,
            self.clock_hz,
            self.uart_divisor,
            len(self.lanes),
        )
        return (
            _IDENTITY.pack(*fixed)
            + bytes(self.lanes)
            + (_CAPACITY.pack(self.capacity) if self.capacity else b"")
        )

    @classmethod
    def decode(cls, data: bytes) -> "Identity":
        """Return the identity that `encode` encoded; `ValueError` if `data` isn't a nudge board's answer."""
        size = _IDENTITY.size
        end = size + data[size - 1] if len(data) >= size else 0
        if not end or not data.startswith(MAGIC) or len(data) not in (end, end + _CAPACITY.size):
            raise ValueError(f"no nudge identity: {data[:8].hex()}...")
        _, version, window, name, spec, clock_hz, uart_divisor, _ = _IDENTITY.unpack(data[:size])
        text = name.rstrip(b"\0").decode()
        if not text.isprintable():
            raise ValueError(f"no nudge identity: its name is {text!r}")
        capacity = 0
        if len(data) > end:
            (capacity,) = _CAPACITY.unpack(data[end:])
            if not capacity:
                raise ValueError("no nudge identity: a memory of 0 bytes isn't said")
        return cls(text, spec, clock_hz, uart_divisor, tuple(data[size:end]), version, window, capacity)


_IDENTITY = struct.Struct(f"<4sBB{NAME_BYTES}sIIHB")
_CAPACITY = struct.Struct("<I")
