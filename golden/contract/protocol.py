"""Messages and registers of the link: the one home that gateware, host and documentation read. Plain data only.

Frame on the wire: STUFFED(version, sequence, command, payload..., CRC-32) then one zero byte. CRC-32 is zlib's, little
endian, over everything before it. All integers are little endian. The board answers every request once, with the
command's top bit set, then a status byte, then the payload.

Stuffing removes the zeros. Answers have plain COBS (Cheshire and Baker, 1999). Requests have COBS with zero runs, after
the "zero run elimination" of the same authors' draft for PPP (draft-ietf-pppext-cobs-00): the code byte that begins a
block is below `FULL_BLOCK` for code - 1 bytes and then a zero, which is left out where the frame ends; `FULL_BLOCK` for as
many bytes and no zero; above it for code - `FULL_BLOCK` + 1 zeros and nothing else. A digit is mostly zeros: its 784 pixels
are 205 bytes in the mean, and the line carries four times as many.

Order: requests are executed in the order of their sequence numbers (mod 256). HELLO is always accepted and sets the
number that comes next. A number that was among the last `window` executed gets its stored answer again and is not
executed again; any other number is answered BAD_SEQUENCE. So a host may keep `window` requests in flight, repeat any of
them, and every request is executed exactly once, in order. HELLO says how many that is.
"""

import enum
import struct
from dataclasses import dataclass

from .spec import CLASSES, IMAGE_SIDE, MAX_STEPS, Spec

VERSION = 2

#: Requests a host may have in flight, unless a board says otherwise: it has this many frame buffers and keeps as many answers.
#: A USB adapter holds an answer back for 16 ms: so many keep a board busy that takes 16 ms / (WINDOW - 1) or more for each.
WINDOW = 8

#: A board says in HELLO how many it has: a power of two up to this, so that a repeated number is told from a new one.
MAX_WINDOW = 64


def check_window(window: int) -> int:
    """The window, if it is one."""
    if not (1 <= window <= MAX_WINDOW and window & (window - 1) == 0):
        raise ValueError(f"window must be a power of two, 1..{MAX_WINDOW}, not {window!r}")
    return window


#: Largest decoded frame, CRC included, that a frame buffer holds: an image with header fits, with room for weights.
REQUEST_BYTES = 1024

#: Largest decoded answer, CRC included: the answer buffers stay within one small block RAM.
ANSWER_BYTES = 256

#: Code byte of a request's block of FULL_BLOCK - 1 bytes that no zero follows; codes above it stand for 2..32 zeros.
#: 32: longer runs would save 3 % of a digit, and the board spends a cycle on each zero.
FULL_BLOCK = 0xE0
LONGEST_RUN = 0xFF - FULL_BLOCK + 1

PIXELS = IMAGE_SIDE * IMAGE_SIDE

#: version, sequence, command.
REQUEST_HEADER = 3
#: version, sequence, command | ANSWER, status.
ANSWER_HEADER = 4
CRC_BYTES = 4
ANSWER = 0x80

MAGIC = b"NDGE"
NAME_BYTES = 8


class Command(enum.IntEnum):
    """Request payload -> answer payload. bundle: `Bundle.index`, 1..N."""

    HELLO = 0x01  #: empty -> Identity (see `identity`)
    READ_REGISTER = 0x02  #: address u8, count u8 -> count x u32
    WRITE_REGISTER = 0x03  #: address u8, value u32 -> empty
    READ_WEIGHTS = 0x04  #: bundle u8, word u32, count u8 -> count x lanes x s16, masters, in the order of `layout`
    WRITE_WEIGHTS = 0x05  #: bundle u8, word u32, then n x lanes x s16 -> empty. Takes effect at the next COMMIT
    INFER = 0x06  #: label u8, 784 pixels -> prediction u8, cycles u32
    TRAIN = 0x07  #: label u8, 784 pixels -> prediction u8, cycles u32
    COMMIT = 0x08  #: empty -> pending samples u16 that it made final, cycles u32
    DIGEST = 0x09  #: bundle u8 -> CRC-32 u32 over the bundle's master memory, words in order, lanes in order, s16 each


#: Payload bytes of each command's request; WRITE_WEIGHTS: at least so many (bundle, word, one weight).
PAYLOAD_BYTES: dict[Command, int] = {
    Command.HELLO: 0,
    Command.READ_REGISTER: 2,
    Command.WRITE_REGISTER: 5,
    Command.READ_WEIGHTS: 6,
    Command.WRITE_WEIGHTS: 7,
    Command.INFER: 1 + PIXELS,
    Command.TRAIN: 1 + PIXELS,
    Command.COMMIT: 0,
    Command.DIGEST: 1,
}


class Status(enum.IntEnum):
    """First byte of an answer after its header. Anything but OK means: state unchanged, error counted."""

    OK = 0
    BAD_FRAME = 1  #: the last block is cut short
    BAD_CRC = 2  #: checksum mismatch
    BAD_LENGTH = 3  #: frame too short, too long, or of another size than its command has
    BAD_VERSION = 4  #: version other than VERSION
    BAD_COMMAND = 5  #: no such command
    BAD_SEQUENCE = 6  #: neither the next number nor one of the last `window`
    BAD_ORDER = 7  #: not allowed now: see ORDER_RULES
    BAD_RANGE = 8  #: address, bundle, count, label or register value out of range, or register not writable


ORDER_RULES = """
- TRAIN: refused with BAD_ORDER when `batch` samples are pending, or weights were written since the last COMMIT.
- INFER: refused when weights were written since the last COMMIT. (Pending samples don't matter: the dynamics read the
  working weights, which only COMMIT refreshes.)
- READ_WEIGHTS, WRITE_WEIGHTS, DIGEST: refused while samples are pending: a master is only defined after COMMIT.
- COMMIT and registers: always allowed.
"""


class Access(enum.Enum):
    """What a host may do with a register."""

    READ = "ro"
    READ_WRITE = "rw"
    #: Writing does something; reads 0.
    ACTION = "wo"


@dataclass(frozen=True)
class Register:
    """One 32-bit register. A write outside low..high is answered BAD_RANGE and changes nothing."""

    name: str
    address: int
    access: Access
    what: str
    low: int = 0
    high: int = 0xFFFFFFFF
    reset: int = 0


#: Error statuses that have a counter, in register order.
COUNTED = tuple(s for s in Status if s is not Status.OK)

#: Phases with a cycle counter, in register order. `static`: the image's drive. `update`: nothing but an update goes on,
#: between two samples too. Same order as `Core.phase_cycles`.
PHASES = ("static", "free", "plus", "minus", "update", "commit")

ADDRESS_BUILD = 0x06
ADDRESS_WEIGHT_RATE = 0x10
ADDRESS_BIAS_RATE = 0x18
ADDRESS_COUNTERS = 0x20
ADDRESS_SPIKES = 0x30
ADDRESS_PHASES = 0x38
#: Bundles and layers that the address blocks leave room for.
MAX_BUNDLES = 8


def registers(spec: Spec) -> tuple[Register, ...]:
    """The register map of a board built for `spec`, in order of address. Addresses don't depend on the preset."""
    f, schedule, n = spec.formats, spec.schedule, len(spec.bundles)
    if n > MAX_BUNDLES:
        raise ValueError(f"the register map has room for {MAX_BUNDLES} bundles, not {n}")
    rw, ro = Access.READ_WRITE, Access.READ
    rate = (1 << f.rate_bits) - 1
    out = [
        Register("scratch", 0x00, rw, "any value; for link tests"),
        Register("free_steps", 0x01, rw, "steps of the free phase", schedule.window, MAX_STEPS, schedule.free),
        Register("nudged_steps", 0x02, rw, "steps of each nudged phase", schedule.window, MAX_STEPS, schedule.nudged),
        Register("beta", 0x03, rw, "beta, LSB 2^-8", 1, (1 << f.beta_bits) - 1, spec.beta(spec.learning.beta)),
        Register("batch", 0x04, rw, "TRAIN is refused beyond so many pending samples", 1, f.max_batch, f.max_batch),
        Register("clear", 0x05, Access.ACTION, "1 clears all counters but `pending`", 1, 1),
    ]
    out += [Register(name, ADDRESS_BUILD + i, ro, what) for i, (name, what) in enumerate(BUILD.items())]
    out += [
        Register(f"weight_rate_{b.index}", ADDRESS_WEIGHT_RATE + b.index - 1, rw, "lr / (2 beta batch), LSB 2^-18", 0, rate)
        for b in spec.bundles
    ]
    out += [
        Register(f"bias_rate_{b.index}", ADDRESS_BIAS_RATE + b.index - 1, rw, "lr / (2 beta batch), LSB 2^-18", 0, rate)
        for b in spec.bundles
    ]
    counters = [("frames", "good frames received"), ("overruns", "frames dropped: all buffers were full")]
    counters += [(f"{s.name.lower()}", f"requests answered {s.name}") for s in COUNTED]
    counters += [
        ("framing", "bytes dropped: their stop bit was low"),
        ("duplicates", "requests answered again from store, not executed again"),
        ("pending", "samples trained since the last COMMIT"),
        ("samples", "samples trained or inferred"),
        ("errors", "samples whose prediction differed from the label"),
    ]
    out += [Register(name, ADDRESS_COUNTERS + i, ro, what) for i, (name, what) in enumerate(counters)]
    out += [
        Register(f"spikes_{layer.index}", ADDRESS_SPIKES + layer.index - 1, ro, "spikes of the layer, all phases, mod 2^32")
        for layer in spec.layers[1:]
    ]
    out += [Register(f"cycles_{p}", ADDRESS_PHASES + i, ro, f"cycles of {p}, mod 2^32") for i, p in enumerate(PHASES)]
    return tuple(out)


#: What a bitstream says about its making, in register order; all 0 in simulation.
BUILD = {
    "build": "CRC-32 of netlist, constraints, commands and tool versions; the bitstream's file name has it",
    "build_seed": "seed of placement",
    "build_yosys": "version, major << 16 | minor",
    "build_nextpnr": "version, major << 16 | minor",
}


@dataclass(frozen=True)
class BuildFacts:
    """Values of the registers in `BUILD`, in the same order."""

    build: int = 0
    seed: int = 0
    yosys: int = 0
    nextpnr: int = 0


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
        name = self.preset.encode()
        if len(name) > NAME_BYTES:
            raise ValueError(f"preset name must have at most {NAME_BYTES} bytes, not {self.preset!r}")
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

#: Valid labels are 0..CLASSES-1.
LABELS = CLASSES
