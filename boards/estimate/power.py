"""Estimate of power (a range in mW) and energy (a range in mJ per image) from transitions, wires and supply
currents.

It covers the FPGA without its PLL and pins. SDRAM, serial adapter and the board's regulators are left out
too. docs/boards.md explains the method.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from nudge.plumbing import files
from nudge.plumbing.errors import DesignError

from .cells import COUNTS

#: Wires and cells of builds, written by `boards.toolchain.wires`; transitions per cycle of each kind of wire,
#: written by `sim.netlists.switching`.
DESIGNS, RATES = COUNTS / "wires.json", COUNTS / "switching.json"

#: Maximum size of these files in bytes.
MAX_BYTES = 1 << 20


class Range(NamedTuple):
    """An interval [low, high] of values >= 0, with interval sum and product."""

    low: float
    high: float

    def plus(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def times(self, other: "Range | float") -> "Range":
        low, high = other if isinstance(other, Range) else (other, other)
        return Range(self.low * low, self.high * high)


#: Core voltage of an LFE5U in V (Lattice, FPGA-DS-02012, recommended operating conditions); of an LFE5UM5G;
#: auxiliary.
CORE_VOLTS, CORE_VOLTS_5G, AUXILIARY_VOLTS = 1.1, 1.2, 2.5

#: Standby current in A, typical, at 25 degrees C, by size (FPGA-DS-02012, supply current, standby): core,
#: auxiliary.
STANDBY = {"85F": (0.212, 0.026), "45F": (0.116, 0.017), "25F": (0.077, 0.016)}

#: Amaranth's name of each part -> core voltage and standby currents.
SUPPLY = {f"LFE5U-{size}": (CORE_VOLTS, *currents) for size, currents in STANDBY.items()}
SUPPLY |= {f"LFE5UM5G-{size}": (CORE_VOLTS_5G, *currents) for size, currents in STANDBY.items()}

#: Factor on the core's standby current. High: about 30 degrees warmer, when leakage usually doubles.
LEAKAGE = Range(1, 2)

#: Capacitance in F of a wire per tile that it spans. High: VTR's model of a 40 nm part like Stratix IV
#: (vtr_flow/arch/timing/k6_N10_mem32K_40nm.xml, Cmetal), whose tile has ten LUTs of 6 inputs. Low: half,
#: since an ECP5's tile has eight of 4 inputs.
TILE = Range(11.25e-15, 22.5e-15)

#: Further capacitance in F per wire. Low: driver and one multiplexer of that model (Cout, Cin). High: ten
#: more multiplexers.
WIRE = Range(4.8e-15, 12.5e-15)

#: Capacitance in F of a cell's input. Low: that model (C_ipin_cblock). High: three times as much.
INPUT = Range(1.5e-15, 4.5e-15)

#: Capacitance in F inside a LUT, charged by each change of its output, and of a flip-flop's clock pin. They
#: are chosen such that 196 cells of counters on an iCE40UP5K, 40 nm too, take the measured 27.8 uA at 1.219 V
#: and 12 MHz (tinyvision.ai, "iCE40 power testing"); see `counters`.
INSIDE, CLOCK_PIN = Range(5e-15, 30e-15), Range(2e-15, 8e-15)

#: Energy in J of a clock tree per cycle. Low: the 521 uA measured there with 32 flip-flops. High: the same
#: scaled by logic cells, from 5,280 to the 83,640 of an LFE5U-85F.
TREE = Range(53e-12, 53e-12 * 83_640 / 5_280)

#: Energy in J of an enabled port of a block RAM per cycle. Low: 36 of 64 bits of an access to 8 kB at 45 nm,
#: 10 pJ (M. Horowitz, ISSCC 2014). High: a model of VTR's for 32 kbit, 9 pJ per clock edge at 0.9 V, here at
#: 1.1 V.
ACCESS = Range(5.6e-12, 2 * 9e-12 * (CORE_VOLTS / 0.9) ** 2)

#: Enabled ports of a block RAM. Low: the read port. High: the write port too, even in cycles without a write.
PORTS = Range(1, 2)

#: Energy in J per change of a multiplier's input. Low: VTR's model of an 18 x 18 multiplier. High: 1 DSP
#: between two counters on the iCE40UP5K, measured at 23 pJ per cycle, in which 4 of its inputs change.
FACTOR = Range(1.09e-12, 5.9e-12)

#: Transitions of LUTs' and adders' outputs per transition in a simulation without delays. High: transitions
#: "can as much as double when glitches are present" (T. Czajkowski, S. Brown, Fast toggle rate computation
#: for FPGA circuits, FPL 2008).
GLITCHES = Range(1, 2)

#: Upper bound of a wire's transitions per cycle if a simulated design has fewer: its rates are used for other
#: designs too, which may be busier. Altera's PowerPlay assumes this rate by default (Quartus Prime 16.0's
#: help, power_default_toggle_rate).
ASSUMED = 0.125

#: Kinds of wires that are driven by combinational logic, and so have glitches.
LOGIC = ("LUT4", "CCU2C", "MULT18X18D")

#: Number of tiles that a wire segment of each kind spans.
SPANS = {"H00": 0, "V00": 0, "H01": 1, "V01": 1, "H02": 2, "V02": 2, "H06": 6, "V06": 6}


@dataclass(frozen=True)
class Wired:
    """Counts of a routed build."""

    #: Amaranth's name of the part.
    part: str
    #: The build that was counted, in words.
    build: str
    #: Wires by their drivers' kind (`boards.toolchain.wires.KINDS`), and input pins of multipliers.
    nets: Mapping[str, int]
    #: Routed wire segments by kind (`SPANS`).
    segments: Mapping[str, int]
    #: Inputs of cells that wires were routed to.
    inputs: int
    flip_flops: int
    #: Block RAMs.
    memories: int

    @property
    def wires(self) -> int:
        """Number of wires."""
        return sum(count for kind, count in self.nets.items() if not kind.endswith("inputs"))

    @property
    def capacitance(self) -> Range:
        """Mean capacitance of a wire in F: (TILE * tiles + WIRE * segments + INPUT * inputs) / wires."""
        tiles = sum(SPANS[kind] * count for kind, count in self.segments.items())
        parts = (TILE.times(tiles), WIRE.times(sum(self.segments.values())), INPUT.times(self.inputs))
        total = parts[0].plus(parts[1]).plus(parts[2])
        return total.times(1 / self.wires)


@dataclass(frozen=True)
class Estimate:
    """Power in W, and energy in J per image."""

    #: Power in W by its cause: "at rest", "clock", "wires and LUTs", "block RAM", "multipliers".
    parts: Mapping[str, Range]
    #: Energy in J of a training sample.
    training: Range
    #: Energy in J of an inference.
    inference: Range

    @property
    def total(self) -> Range:
        """Total power in W."""
        out = Range(0, 0)
        for part in self.parts.values():
            out = out.plus(part)
        return out

    @classmethod
    def of(
        cls, wired: Wired, rates: Mapping[str, float], clock_hz: float, cycles: Mapping[str, float]
    ) -> Self:
        """Estimate the power of a build.

        rates: transitions per cycle of a wire of each kind. cycles: of a training sample and of an inference.
        Raises `DesignError` for a part whose standby current isn't known.
        """
        if wired.part not in SUPPLY:
            raise DesignError(f"there is no standby current for a {wired.part}: only for {', '.join(SUPPLY)}")
        volts, core, auxiliary = SUPPLY[wired.part]
        # a transition takes C V^2 / 2; a clock has two per cycle
        change, wire = volts**2 / 2, wired.capacitance
        switched = Range(0, 0)
        for kind, count in wired.nets.items():
            if not kind.endswith("inputs"):
                each = wire.plus(INSIDE) if kind == "LUT4" else wire
                switched = switched.plus(
                    each.times(GLITCHES if kind in LOGIC else 1.0).times(often(rates, kind)).times(count)
                )
        inputs = "MULT18X18D_inputs"
        factors = often(rates, inputs).times(wired.nets[inputs]) if inputs in wired.nets else Range(0, 0)
        parts = {
            "at rest": LEAKAGE.times(core * volts).plus(Range(1, 1).times(auxiliary * AUXILIARY_VOLTS)),
            "clock": TREE.plus(CLOCK_PIN.times(wired.flip_flops * volts**2)).times(clock_hz),
            "wires and LUTs": switched.times(change * clock_hz),
            "block RAM": ACCESS.times(PORTS).times(wired.memories * clock_hz * (volts / CORE_VOLTS) ** 2),
            "multipliers": FACTOR.times(factors).times(clock_hz),
        }
        total = cls(parts, Range(0, 0), Range(0, 0)).total
        return cls(parts, *(total.times(cycles[kind] / clock_hz) for kind in ("training", "inference")))

    def values(self) -> dict[str, Any]:
        """Return the estimate for JSON: mW and mJ, each as [low, high]."""
        power = {**self.parts, "total": self.total}
        energy = {"training": self.training, "inference": self.inference}
        thousandths = (
            {name: [1e3 * bound for bound in each] for name, each in of.items()} for of in (power, energy)
        )
        return {"kind": "estimate of the FPGA alone", **dict(zip(("mw", "mj"), thousandths, strict=True))}


def often(rates: Mapping[str, float], kind: str) -> Range:
    """Return the transitions per cycle of a wire of a kind: from the simulated rate to at least `ASSUMED`."""
    return Range(rates[kind], max(rates[kind], ASSUMED))


def counters(cells: int, bits: int, clock_hz: float, volts: float) -> Range:
    """Return the power in W of `cells` cells in counters of `bits` bits, by whose
    published power the coefficients were calibrated.

    A counter has about two transitions per cycle in total, and each wire leads to a neighbouring cell.
    """
    changes = 2 / bits
    near = TILE.times(2.0).plus(WIRE.times(2.0)).plus(INPUT)
    return near.plus(INSIDE).times(changes / 2).plus(CLOCK_PIN).times(volts**2 * clock_hz * cells)


def wired(board: str, preset: str) -> Wired:
    """Return the committed counts of a board's build (wires.json); `DesignError` if there are none."""
    known = files.read_json(
        DESIGNS, MAX_BYTES, lambda why: DesignError(f"{why}: git checkout brings it back")
    )
    name = f"{board} {preset}"
    if name not in known:
        raise DesignError(f"wires of {name} were never counted: only of {', '.join(known)}")
    return Wired(**known[name])


def rates() -> dict[str, float]:
    """Return the committed transitions per cycle of a wire of each kind (switching.json)."""
    known = files.read_json(RATES, MAX_BYTES, lambda why: DesignError(f"{why}: git checkout brings it back"))
    found: dict[str, float] = known["rates"]
    return found
