"""The suffix by which a boot loader's program knows whose a file is (USB Device Firmware Upgrade 1.1, appendix B).

`dfu-suffix` of dfu-util would do the same; a build shouldn't need what only flashing needs.
"""

import struct
import zlib

from plumbing.errors import ToolError

#: bcdDevice (any), idProduct, idVendor, bcdDFU, "DFU" backwards, bLength; then the CRC.
FIELDS = struct.Struct("<HHHH3sB")
ANY, VERSION, SIGNATURE = 0xFFFF, 0x0100, b"UFD"
CRC = struct.Struct("<I")


def suffixed(content: bytes, vendor: int, product: int) -> bytes:
    """The file with its suffix. The CRC is over all before it, without the last inversion of the usual CRC-32."""
    whole = content + FIELDS.pack(ANY, product, vendor, VERSION, SIGNATURE, FIELDS.size + CRC.size)
    return whole + CRC.pack(zlib.crc32(whole) ^ 0xFFFFFFFF)


def bare(content: bytes) -> bytes:
    """A file without its suffix, if it has one."""
    size = FIELDS.size + CRC.size
    return content[:-size] if content[-size:].endswith(SIGNATURE + bytes((size,)), 0, -CRC.size) else content


def finished(content: bytes, command: list[str]) -> bytes:
    """What a plan's command behind the packer's would make of a bitstream; `ToolError` for one that isn't known."""
    match command:
        case ["dfu-suffix", "-v", vendor, "-p", product, "-a", _]:
            return suffixed(content, int(vendor, 16), int(product, 16))
    raise ToolError(f"the board's platform asks for {' '.join(command)!r} after packing; only dfu-suffix is known")
