"""DFU suffix, which names the device that a file is for (USB Device Firmware Upgrade 1.1, appendix B).

It equals that of dfu-util's `dfu-suffix`, but a build doesn't need dfu-util, which is only for flashing.
"""

import struct
import zlib

from nudge.plumbing.errors import ToolError

#: Fields before the CRC: bcdDevice (any), idProduct, idVendor, bcdDFU, "DFU" backwards, bLength.
FIELDS = struct.Struct("<HHHH3sB")
ANY, VERSION, SIGNATURE = 0xFFFF, 0x0100, b"UFD"
CRC = struct.Struct("<I")


def suffixed(content: bytes, vendor: int, product: int) -> bytes:
    """Return a file with its suffix. The CRC of all bytes before it is CRC-32 without the final inversion."""
    whole = content + FIELDS.pack(ANY, product, vendor, VERSION, SIGNATURE, FIELDS.size + CRC.size)
    return whole + CRC.pack(zlib.crc32(whole) ^ 0xFFFFFFFF)


def bare(content: bytes) -> bytes:
    """Return a file without its suffix, if it has one."""
    size = FIELDS.size + CRC.size
    return content[:-size] if content[-size:].endswith(SIGNATURE + bytes((size,)), 0, -CRC.size) else content


def finished(content: bytes, command: list[str]) -> bytes:
    """Apply a build plan's command after packing to a bitstream; `ToolError` for an unknown command."""
    match command:
        case ["dfu-suffix", "-v", vendor, "-p", product, "-a", _]:
            return suffixed(content, int(vendor, 16), int(product, 16))
    raise ToolError(
        f"the board's platform asks for {' '.join(command)!r} after packing; only dfu-suffix is known"
    )
