"""Power and energy, estimated: from transitions, wires and supply currents to a range in mW, and in mJ an image.

The FPGA alone, less its PLL: pins, SDRAM, serial adapter and the board's regulators are left out too. docs/boards.md has the
method in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from plumbing import files
from plumbing.errors import DesignError

#: What builds have of each kind, and how often wires change: written by `boards.toolchain.wires` and
#: `sim.netlists.switching`.
DESIGNS, RATES = Path(__file__).with_name("wires.json"), Path(__file__).with_name("switching.json")

#: Bytes of such a file at most.
MAX_BYTES = 1 << 20


class Range(NamedTuple):
    """From the lowest to the highest; sums and products of ranges above zero."""

    low: float
    high: float

    def plus(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def times(self, other: "Range | float") -> "Range":
        low, high = other if isinstance(other, Range) else (other, other)
        return Range(self.low * low, self.high * high)


#: Volt: of an LFE5U's core (Lattice, FPGA-DS-02012, recommended operating conditions), and of its auxiliary supply.
CORE_VOLTS, AUXILIARY_VOLTS = 1.1, 2.5

#: Ampere at rest at 25 degrees, typical (FPGA-DS-02012, supply current, standby): core, auxiliary.
STANDBY = {"LFE5U-85F": (0.212, 0.026), "LFE5U-45F": (0.116, 0.017), "LFE5U-25F": (0.077, 0.016)}

#: A warm part leaks more: twice the typical current in a part some 30 degrees warmer, as is usual for leakage.
LEAKAGE = Range(1, 2)

#: Farad for each tile that a wire spans. High: VTR's model of a 40 nm part like Stratix IV (vtr_flow/arch/timing/
#: k6_N10_mem32K_40nm.xml, Cmetal), whose tile has ten LUTs of 6 inputs. Low: half, since an ECP5's tile has eight of 4 inputs.
TILE = Range(11.25e-15, 22.5e-15)

#: Farad beside that for each wire. Low: driver and one multiplexer there (Cout, Cin). High: ten more multiplexers.
WIRE = Range(4.8e-15, 12.5e-15)

#: Farad for each input of a cell. Low: there (C_ipin_cblock). High: three times that.
INPUT = Range(1.5e-15, 4.5e-15)

#: Farad inside a LUT for each change of its output, and of a flip-flop's clock pin. Such that 196 cells of counters on an
#: iCE40UP5K, 40 nm too, take what was measured, 27.8 uA at 1.219 V and 12 MHz (tinyvision.ai, "iCE40 power testing"); see
#: `counters`.
INSIDE, CLOCK_PIN = Range(5e-15, 30e-15), Range(2e-15, 8e-15)

#: Joule for each cycle of a clock's tree. Low: what was measured there with 32 flip-flops, 521 uA. High: the same for each of
#: 5,280 cells there, for the 83,640 of an LFE5U-85F.
TREE = Range(53e-12, 53e-12 * 83_640 / 5_280)

#: Joule for each cycle of an enabled port of a block RAM. Low: 36 of 64 bits of an access to 8 kB at 45 nm, 10 pJ (M. Horowitz,
#: ISSCC 2014). High: a model of VTR's, 9 pJ for each edge of the clock at 0.9 V, for 32 kbit.
ACCESS = Range(5.6e-12, 2 * 9e-12 * (CORE_VOLTS / 0.9) ** 2)

#: Ports of a block RAM that are enabled: the one that reads; and the one that writes, even where it writes nothing.
PORTS = Range(1, 2)

#: Joule for each change of an input of a multiplier. Low: VTR's model of 18 bits x 18. High: 1 DSP between two counters on the
#: iCE40UP5K, 23 pJ a cycle as measured, in which 4 of its inputs change.
FACTOR = Range(1.09e-12, 5.9e-12)

#: Changes of LUTs' and adders' outputs for each that a simulation without delays has. High: transitions "can as much as double
#: when glitches are present" (T. Czajkowski, S. Brown, Fast toggle rate computation for FPGA circuits, FPL 2008).
GLITCHES = Range(1, 2)

#: Changes of a wire in a cycle at most, where a simulated design has fewer: its rates are taken for others as well, which may
#: be busier. What Altera's PowerPlay assumes when nothing is known (Quartus Prime 16.0's help, power_default_toggle_rate).
ASSUMED = 0.125

#: Kinds of wires that are the output of logic, and so have glitches.
LOGIC = ("LUT4", "CCU2C", "MULT18X18D")

#: Tiles that a wire of each kind spans.
SPANS = {"H00": 0, "V00": 0, "H01": 1, "V01": 1, "H02": 2, "V02": 2, "H06": 6, "V06": 6}


@dataclass(frozen=True)
class Wired:
    """What a routed build has."""

    #: Amaranth's name of the part, and the build that was counted.
    part: str
    build: str
    #: Wires by the kind of cell that drives them, `boards.toolchain.wires.KINDS`, and input pins of multipliers.
    nets: Mapping[str, int]
    #: Segments of each kind that the router took, and inputs that it reached.
    segments: Mapping[str, int]
    inputs: int
    flip_flops: int
    memories: int

    @property
    def wires(self) -> int:
        """All of them."""
        return sum(count for kind, count in self.nets.items() if not kind.endswith("inputs"))

    @property
    def capacitance(self) -> Range:
        """Farad of a wire in the mean."""
        tiles = sum(SPANS[kind] * count for kind, count in self.segments.items())
        parts = (TILE.times(tiles), WIRE.times(sum(self.segments.values())), INPUT.times(self.inputs))
        total = parts[0].plus(parts[1]).plus(parts[2])
        return total.times(1 / self.wires)


@dataclass(frozen=True)
class Estimate:
    """Power in W by part, and energy in J of an image."""

    parts: Mapping[str, Range]
    training: Range
    inference: Range

    @property
    def total(self) -> Range:
        """Power in W."""
        out = Range(0, 0)
        for part in self.parts.values():
            out = out.plus(part)
        return out

    @classmethod
    def of(cls, wired: Wired, rates: Mapping[str, float], clock_hz: float, cycles: Mapping[str, float]) -> Self:
        """rates: changes of a wire of each kind in a cycle. cycles: of a training sample and of an inference.

        Raises `DesignError` for a part whose current at rest isn't known.
        """
        if wired.part not in STANDBY:
            raise DesignError(f"there is no standby current for a {wired.part}: only for {', '.join(STANDBY)}")
        # a change moves half of the charge's energy, a clock changes twice a cycle
        change, wire = CORE_VOLTS**2 / 2, wired.capacitance
        switched = Range(0, 0)
        for kind, count in wired.nets.items():
            if not kind.endswith("inputs"):
                each = wire.plus(INSIDE) if kind == "LUT4" else wire
                switched = switched.plus(each.times(GLITCHES if kind in LOGIC else 1.0).times(often(rates, kind)).times(count))
        core, auxiliary = STANDBY[wired.part]
        inputs = "MULT18X18D_inputs"
        factors = often(rates, inputs).times(wired.nets[inputs]) if inputs in wired.nets else Range(0, 0)
        parts = {
            "at rest": LEAKAGE.times(core * CORE_VOLTS).plus(Range(1, 1).times(auxiliary * AUXILIARY_VOLTS)),
            "clock": TREE.plus(CLOCK_PIN.times(wired.flip_flops * CORE_VOLTS**2)).times(clock_hz),
            "wires and LUTs": switched.times(change * clock_hz),
            "block RAM": ACCESS.times(PORTS).times(wired.memories * clock_hz),
            "multipliers": FACTOR.times(factors).times(clock_hz),
        }
        total = cls(parts, Range(0, 0), Range(0, 0)).total
        return cls(parts, *(total.times(cycles[kind] / clock_hz) for kind in ("training", "inference")))

    def values(self) -> dict[str, Any]:
        """As JSON has it: mW and mJ, each from the lowest to the highest."""
        power = {**self.parts, "total": self.total}
        energy = {"training": self.training, "inference": self.inference}
        thousandths = ({name: [1e3 * bound for bound in each] for name, each in of.items()} for of in (power, energy))
        return {"kind": "estimate of the FPGA alone", **dict(zip(("mw", "mj"), thousandths, strict=True))}


def often(rates: Mapping[str, float], kind: str) -> Range:
    """Changes of a wire of a kind in a cycle."""
    return Range(rates[kind], max(rates[kind], ASSUMED))


def counters(cells: int, bits: int, clock_hz: float, volts: float) -> Range:
    """W of cells in counters of so many bits: what the coefficients say of a published measurement, as a check of them.

    A counter's bits change twice a cycle in all; a wire there leads to the neighbour.
    """
    changes = 2 / bits
    near = TILE.times(2.0).plus(WIRE.times(2.0)).plus(INPUT)
    return near.plus(INSIDE).times(changes / 2).plus(CLOCK_PIN).times(volts**2 * clock_hz * cells)


def wired(board: str, preset: str) -> Wired:
    """What the committed count has of a board's build; `DesignError` where there is none."""
    known = files.read_json(DESIGNS, MAX_BYTES, lambda why: DesignError(f"{why}: git checkout brings it back"))
    name = f"{board} {preset}"
    if name not in known:
        raise DesignError(f"wires of {name} were never counted: only of {', '.join(known)}")
    return Wired(**known[name])


def rates() -> dict[str, float]:
    """Changes of a wire of each kind in a cycle, as committed."""
    known = files.read_json(RATES, MAX_BYTES, lambda why: DesignError(f"{why}: git checkout brings it back"))
    found: dict[str, float] = known["rates"]
    return found
