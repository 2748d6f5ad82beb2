"""What a board says of itself when it answers HELLO."""

import struct
from dataclasses import dataclass

from .messages import VERSION, WINDOW

MAGIC = b"NDGE"
NAME_BYTES = 8


@dataclass(frozen=True)
class Identity:
    """What HELLO answers: fixed when the gateware is built."""

    preset: str
    spec: int  #: `Spec.identity`
    clock_hz: int
    uart_divisor: int
    lanes: tuple[int, ...]
    version: int = VERSION
    window: int = WINDOW

    def encode(self) -> bytes:
        """magic 4s, version u8, window u8, name 8s, spec u32, clock u32, divisor u16, layers u8, then lanes u8 each."""
        name = self.preset.encode()[:NAME_BYTES]  # to read; the hash says which network it is
        fixed = (MAGIC, self.version, self.window, name, self.spec, self.clock_hz, self.uart_divisor, len(self.lanes))
        return _IDENTITY.pack(*fixed) + bytes(self.lanes)

    @classmethod
    def decode(cls, data: bytes) -> "Identity":
        """The inverse; ValueError if this is no nudge board."""
        size = _IDENTITY.size
        if len(data) < size or not data.startswith(MAGIC) or len(data) != size + data[size - 1]:
            raise ValueError(f"no nudge identity: {data[:8].hex()}...")
        _, version, window, name, spec, clock_hz, uart_divisor, _ = _IDENTITY.unpack(data[:size])
        lanes = tuple(data[size:])
        return cls(name.rstrip(b"\0").decode(), spec, clock_hz, uart_divisor, lanes, version, window)


_IDENTITY = struct.Struct(f"<4sBB{NAME_BYTES}sIIHB")
