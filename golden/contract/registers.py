"""Registers of a board: addresses, access, ranges, lookup by name, address or block; values of rates."""

import enum
from dataclasses import dataclass

from nudge.plumbing.errors import SpecError

from .config import MAX_BUNDLES
from .messages import Status
from .shapes import Bundle
from .spec import Spec


class Access(enum.Enum):
    """Accesses that a host has to a register."""

    READ = "ro"
    READ_WRITE = "rw"
    #: Writing triggers an action; reads 0.
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


#: Error statuses with a counter, in register order; then those that only a board with sample memory counts.
COUNTED = tuple(s for s in Status if s is not Status.OK and s < Status.BAD_IMAGE)
COUNTED_STORED = (Status.BAD_IMAGE, Status.NOT_STORED)

#: Phases with a cycle counter, in the order of registers and of `Core.phase_cycles`. `static`: the image's
#: drive. `update`: cycles with an update and nothing else, also between two samples.
PHASES = ("static", "free", "plus", "minus", "update", "commit")

ADDRESS_BUILD = 0x06
ADDRESS_WEIGHT_RATE = 0x10
ADDRESS_BIAS_RATE = 0x18
ADDRESS_COUNTERS = 0x20
ADDRESS_SPIKES = 0x30
ADDRESS_PHASES = 0x38
ADDRESS_STORED = 0x40
#: Addresses of three blocks: counters of frames and samples, spikes of each layer, cycles of each phase.
COUNTERS = range(ADDRESS_COUNTERS, ADDRESS_SPIKES)
SPIKES = range(ADDRESS_SPIKES, ADDRESS_SPIKES + MAX_BUNDLES)
CYCLES = range(ADDRESS_PHASES, ADDRESS_PHASES + len(PHASES))

#: Registers that only a board with sample memory has: its state, the counters of `COUNTED_STORED`, and an
#: action.
STORED = range(ADDRESS_STORED, ADDRESS_STORED + 3 + len(COUNTED_STORED))


def registers(spec: Spec, stores: bool = False) -> tuple[Register, ...]:
    """Return the register map of a board built for `spec`, in order of address.

    Addresses don't depend on the network. stores: whether the board has sample memory.
    """
    f, schedule, n = spec.formats, spec.schedule, len(spec.bundles)
    if n > MAX_BUNDLES:
        raise ValueError(f"the register map has room for {MAX_BUNDLES} bundles, not {n}")
    rw, ro = Access.READ_WRITE, Access.READ
    steps, rate = (schedule.steps_range[0], schedule.steps_range[-1]), (f.rate_range[0], f.rate_range[-1])
    out = [
        Register("scratch", 0x00, rw, "any value; for link tests"),
        Register("free_steps", 0x01, rw, "steps of the free phase", *steps, schedule.free),
        Register("nudged_steps", 0x02, rw, "steps of each nudged phase", *steps, schedule.nudged),
        Register(
            "beta",
            0x03,
            rw,
            "beta, LSB 2^-8",
            f.beta_range[0],
            f.beta_range[-1],
            f.beta_register(spec.learning.beta),
        ),
        Register(
            "batch",
            0x04,
            rw,
            "TRAIN is refused beyond this many pending samples",
            1,
            f.max_batch,
            f.max_batch,
        ),
        Register("clear", 0x05, Access.ACTION, "1 clears all counters but `pending`", 1, 1),
    ]
    out += [Register(name, ADDRESS_BUILD + i, ro, what) for i, (name, what) in enumerate(BUILD.items())]
    for kind, address in (("weight", ADDRESS_WEIGHT_RATE), ("bias", ADDRESS_BIAS_RATE)):
        names = (f"{kind}_rate_{bundle.index}" for bundle in spec.bundles)
        out += [
            Register(name, address + i, rw, "lr / (2 beta batch), LSB 2^-18", *rate)
            for i, name in enumerate(names)
        ]
    counters = [
        ("frames", "frames received with a right CRC"),
        ("overruns", "frames dropped: all buffers were full"),
    ]
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
        Register(
            f"spikes_{layer.index}",
            ADDRESS_SPIKES + layer.index - 1,
            ro,
            "spikes of the layer, all phases, mod 2^32",
        )
        for layer in spec.layers[1:]
    ]
    out += [
        Register(f"cycles_{p}", ADDRESS_PHASES + i, ro, f"cycles of {p}, mod 2^32")
        for i, p in enumerate(PHASES)
    ]
    return tuple(out) + (_of_the_store() if stores else ())


def _of_the_store() -> tuple[Register, ...]:
    """Return the registers of `STORED`."""
    state = [
        ("stored", "samples stored"),
        ("store_end", "word of the memory at which the next record begins"),
    ]
    state += [(status.name.lower(), f"requests answered {status.name}") for status in COUNTED_STORED]
    found = [Register(name, ADDRESS_STORED + i, Access.READ, what) for i, (name, what) in enumerate(state)]
    return (*found, Register("forget", STORED[-1], Access.ACTION, "1 forgets all stored samples", 1, 1))


def register_names(spec: Spec, block: range, stores: bool = False) -> tuple[str, ...]:
    """Return the names of the registers in a block of addresses, such as `COUNTERS`, in order of address."""
    return tuple(register.name for register in registers(spec, stores) if register.address in block)


def registers_by_name(spec: Spec, stores: bool = False) -> dict[str, Register]:
    """Return the register map as name -> register, in order of address."""
    return {register.name: register for register in registers(spec, stores)}


def registers_by_address(spec: Spec, stores: bool = False) -> dict[int, Register]:
    """Return the register map as address -> register, in order of address."""
    return {register.address: register for register in registers(spec, stores)}


def rate_scale(spec: Spec, bundle: Bundle) -> float:
    """Return the factor of g besides the learning rate, 2^(feedback_shift * layers above - point).

    The nudge loses 2^-feedback_shift in each layer that it passes, and sums of fine spikes are in units of
    2^-point.
    """
    above = len(spec.stages) - bundle.index
    point = spec.schedule.fine[bundle.index - 1] if spec.schedule.fine else 0
    return 2.0 ** (spec.schedule.feedback_shift * above - point)


def rate_register(spec: Spec, bundle: Bundle, *, lr: float, beta: float, batch: int) -> int:
    """Return the register value of a learning rate, in LSBs of 2^-18, rounded to nearest:

        register = lr / (2 beta batch) * rate_scale(spec, bundle)

    Raises `SpecError` outside the register's range, or if a rate above 0 becomes 0.
    """
    top = spec.formats.rate_range[-1]
    unit = rate_scale(spec, bundle) * (1 << spec.formats.rate_fraction)
    exact = lr / (2 * beta * batch) * unit
    value = round(exact) if 0 <= exact <= 2 * top else -1  # nan fails this comparison too
    if not 0 <= value <= top or (lr > 0 and value == 0):
        low, high = (x * 2 * beta * batch / unit for x in (0.5, top))
        raise SpecError(
            f"bundle {bundle.index}: learning rate must be 0 or {low:.6g}..{high:.6g} at beta {beta:g}, "
            f"batch {batch}, not {lr:g}"
        )
    return value


#: Registers that describe how the bitstream was built, in register order; all 0 in simulation.
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
