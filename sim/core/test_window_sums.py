# amaranth: UnusedElaboratable=no
"""Window sums against the golden model: interleaved samples, phases, pauses, back-to-back steps, extremes."""

import random

import cocotb
import torch

from nudge.hw.core.deviation_sums import DeviationSums
from nudge.hw.core.interface import xi_shape
from nudge.hw.core.window_sums import WindowSums
from sim.harness.networks import hidden_layer, output_layer
from sim.harness.random_values import integers
from sim.harness.streams import Monitor, Port, start
from sim.harness.sums import compare_sums, finished
from sim.harness.units import each, halves
from sim.harness.words import layer_words, packed


def hidden(shape, lanes, at_once=None, *, window_log2=2, fine=False, **rest):
    """Return layer 1's sums in any shape. fine: binary points of fine spikes. rest: schedule flags, slots."""
    kind = DeviationSums if fine else WindowSums
    schedule = {"window_log2": window_log2, "decay_shift": 1, "fine": fine}
    return kind(*hidden_layer(shape, lanes, at_once, **schedule, **rest))


def output(lanes, at_once=None, *, window_log2=2, fine=False, **rest):
    """Return the sums of an output layer."""
    kind = DeviationSums if fine else WindowSums
    return kind(*output_layer(lanes, at_once, window_log2=window_log2, decay_shift=1, fine=fine, **rest))


UNITS = {
    "sums_3x2x3": hidden((3, 2, 3), 1),
    "sums_4x3x1": hidden((4, 3, 1), 2, window_log2=3),
    "sums_one": hidden((1, 1, 1), 1, window_log2=0),
    "sums_turns_3x3": hidden((9, 2, 1), 9, 3),
    "sums_turns_2x1": hidden((4, 2, 2), 2, 1, window_log2=1),
    "sums_one_word": hidden((4, 1, 1), 4, 1),
    "sums_output_1": output(1, window_log2=3),
    "sums_output_turns": output(10, 2),
    "sums_output_10": output(10, window_log2=0),
    "sums_fine_3x2x3": hidden((3, 2, 3), 1, fine=(4, 3, 1)),
    "sums_centred": hidden((4, 3, 1), 2, 1, centred=True),
    "sums_fine_centred": hidden((4, 2, 2), 2, 1, window_log2=1, fine=(3, 2, 0), centred=True),
    "sums_fine_equal": hidden((4, 3, 1), 2, window_log2=3, fine=(0, 0, 0)),
    "sums_fine_one": hidden((1, 1, 1), 1, window_log2=0, fine=(3, 0, 0)),
    "sums_fine_turns": hidden((4, 2, 2), 2, 1, window_log2=1, fine=(8, 6, 4)),
    "sums_vector_turns": hidden((4, 2, 2), 2, 1, window_log2=1, fine=(8, 6, 4), vector_field=True),
    "sums_vector_output": output(10, 2, window_log2=3, fine=(4, 2, 1), vector_field=True),
    "sums_fine_output": output(10, 2, window_log2=3, fine=(4, 2, 1)),
    "sums_alone": hidden((3, 2, 3), 1, slots=1),
    "sums_alone_output": output(10, 5, slots=1),
    "sums_alone_fine": hidden((4, 2, 2), 2, 1, window_log2=1, fine=(3, 2, 0), centred=True, slots=1),
    "sums_alone_fine_output": output(10, 2, window_log2=3, fine=(4, 2, 1), slots=1),
}


@cocotb.test()
async def sums_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, check)


async def check(dut, name, unit):
    sums = Driver(dut, name, unit)
    window, one = unit.config.spec.schedule.window, unit.config.spec.formats.one
    # two samples together, and single samples in either slot; phases as long as their window, or longer
    for first, count in ((0, 2), (2, 1), (3, 30)):
        await sums.run(
            first, [(window + random.randint(0, 3), window + random.randint(0, 3)) for _ in range(count)]
        )
    assert sums.seen == {0, window * one}, f"{name}: only reached {sums.seen}"
    if unit.config.spec.schedule.fine:
        most = 2 * window * one
        assert sums.differences == {-most, most}, f"{name}: differences only reached {sums.differences}"


class Driver:
    """Drive the sums as the stages of the neuron array do, and compute their model."""

    def __init__(self, dut, name, unit):
        self.name, self.unit, self.port = name, unit, Port(dut, name)
        self.spec = unit.config.spec
        #: The last complete sums, by slot and phase.
        self.complete: dict[tuple[int, str], torch.Tensor] = {}
        #: The bounds (0 and M x one) that complete sums have reached.
        self.seen: set[int] = set()
        #: Number of words on the port `read` that were compared: sums of free phases.
        self.told = 0
        self.read = Monitor(dut, f"{name}__read") if unit.config.spec.schedule.centred else None
        #: The bounds +-2 M x one that differences of deviations have reached.
        self.differences: set[int] = set()

    async def run(self, first, steps):
        """Run samples alternately in both slots, numbered from `first`; compare the sums after each phase.

        steps: (free, nudged) sweeps of each sample.
        """
        f, layer, window = self.spec.formats, self.unit.layer, self.spec.schedule.window
        growing: dict[int, torch.Tensor] = {}
        kind: dict[int, str] = {}
        fine = bool(self.spec.schedule.fine)
        for number, half in enumerate(halves(window, steps, first, fine=fine, slots=self.unit.config.slots)):
            planned = half[layer.index % 2]
            if planned.idle:
                await self.rest()
                continue
            fields = planned.fields
            if fields["sum_first"]:
                kind[planned.slot] = random.choice(("low", "high", "mixed", "uniform", "uniform"))
                if fine and fields["nudge"] and planned.sample % 5 < 2:
                    # the two nudged phases at opposite bounds
                    kind[planned.slot] = ("low", "high")[(planned.sample % 5 == 0) == fields["negative"]]
            lowest = -f.one if fine and fields["nudge"] else 0
            xi = integers(lowest, f.one, (1, *layer.shape), kind.get(planned.slot))
            await self.step(planned, xi)
            if fields["sum"]:
                growing[planned.slot] = xi + (0 if fields["sum_first"] else growing[planned.slot])
            if fields["sum_last"]:
                self.complete[planned.slot, planned.phase] = total = growing[planned.slot]
                self.seen |= {0, window * f.one} & {int(total.min()), int(total.max())}
                if fine and planned.phase == "minus":
                    await self.port.edge  # means and differences are written a cycle later
                    phases = (self.complete[planned.slot, phase] for phase in ("free", "plus", "minus"))
                    found = finished(self.unit.config, layer, *phases)
                    self.complete |= {(planned.slot, name): values for name, values in found.items()}
                    most, difference = 2 * window * f.one, found["post difference"]
                    self.differences |= {-most, most} & {int(difference.min()), int(difference.max())}
                where = f"{self.name}, half {number}, sample {planned.sample}, {planned.phase}"
                await compare_sums(where, self.port, self.unit, self.complete)
                if self.read and planned.phase == "free":
                    rows = packed(layer_words(self.unit.config, layer, total[0]), self.spec.sum_bits)
                    assert self.read.words[self.told :] == rows, f"{where}: the sums were told otherwise"
                    self.told += len(rows)

    async def rest(self):
        """Wait up to three cycles without a sample; nothing must be stored."""
        for _ in range(random.randint(0, 3)):
            self.noise()
            await self.port.edge

    def noise(self):
        """Set `valid` to 0 and the other inputs to random values."""
        self.port.valid.value = 0
        for signal in (self.port.part, self.port.word, self.port.last, self.port.xi):
            signal.value = random.getrandbits(len(signal))

    async def step(self, planned, xi):
        """Send xi of all parts, with random pauses; `coming` announces each part two cycles ahead.

        The next step may begin in the following cycle.
        """
        unit, stall = self.unit, random.choice((0.0, 0.0, 0.4))
        words = packed(layer_words(unit.config, unit.layer, xi[0]), xi_shape(unit.config).width)
        bits = len(self.port.xi)
        self.port.step.value = planned.bits
        coming: list[int | None] = [None, None]
        part = 0
        while part < unit.parts or coming != [None, None]:
            announced = part if part < unit.parts and random.random() >= stall else None
            self.port.coming.value = random.randrange(unit.parts) if announced is None else announced
            part += announced is not None
            coming.append(announced)
            at = coming.pop(0)
            self.noise()
            if at is not None:
                word, turn = divmod(at, unit.turns)
                self.port.valid.value, self.port.part.value, self.port.word.value = 1, at, word
                self.port.last.value = int(turn == unit.turns - 1)
                self.port.xi.value = words[word] >> turn * bits & (1 << bits) - 1
            await self.port.edge
        self.port.valid.value = 0
