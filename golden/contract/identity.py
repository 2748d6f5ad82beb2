"""What a board says of itself when it answers HELLO."""

import struct
from dataclasses import dataclass

from .messages import VERSION, WINDOW

MAGIC = b"NDGE"
NAME_BYTES = 8


@dataclass(frozen=True)
class Identity:
    """What HELLO answers: fixed when the gateware is built, but for `capacity`."""

    preset: str  #: name of the network, its first 8 bytes; to read
    spec: int  #: `Spec.identity`: the CRC-32 of the network
    clock_hz: int  #: 0: not known
    uart_divisor: int  #: clock cycles of a bit on the line
    lanes: tuple[int, ...]  #: of each layer, the image's first
    version: int = VERSION  #: of the link
    window: int = WINDOW  #: requests that may be in flight
    #: Bytes of the memory for samples; 0: none, or it failed its test at start.
    capacity: int = 0

    def encode(self) -> bytes:
        """"NDGE", version u8, window u8, preset in 8 bytes with zeros behind it, spec u32, clock_hz u32, uart_divisor u16,
        number of lanes u8, lanes u8 each; behind these capacity u32, unless it is 0.
        """
        name = self.preset.encode()[:NAME_BYTES]  # to read; the hash says which network it is
        fixed = (MAGIC, self.version, self.window, name, self.spec, self.clock_hz, self.uart_divisor, len(self.lanes))
        return _IDENTITY.pack(*fixed) + bytes(self.lanes) + (_CAPACITY.pack(self.capacity) if self.capacity else b"")

    @classmethod
    def decode(cls, data: bytes) -> "Identity":
        """The inverse; ValueError if this is no nudge board."""
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
