"""All parts of a core, played for the sequencer, and a check of each start and its operands."""

import random
from dataclasses import dataclass, field

from cocotb.triggers import RisingEdge

from nudge.golden.contract import protocol
from nudge.hw.core.interface import annealing
from nudge.hw.core.sequencer import one_hot
from nudge.hw.synapse.interface import Step
from sim.harness.streams import Port
from sim.harness.testbench import CLOCK
from sim.harness.units import annealing as annealing_at
from sim.harness.units import sides

#: Parts with a start and a busy line, and the largest number of cycles that the bench keeps each busy.
PARTS = {"take": 12, "image": 40, "step": 9, "predict": 5, "update": 150, "commit": 5, "prepare": 60}
#: Fields of `Step` that have a meaning only if the half isn't idle.
FIELDS = (
    "first",
    "silent",
    "kept",
    "keep",
    "state_read",
    "state_write",
    "nudge",
    "negative",
    "sum",
    "sum_first",
    "sum_last",
)


@dataclass
class Told:
    """A started sample, and its expected progress."""

    number: int
    slot: int
    training: bool
    label: int
    answer: int
    sweeps: list[tuple[str, int, dict[str, int]]]
    #: Number of completed halves; and the cycle of each event, by name.
    halves: int = 0
    at: dict[str, int] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.halves == 2 * len(self.sweeps)


class Watch:
    """Play all parts of the core, and check each start and its operands."""

    def __init__(self, dut, name, unit):
        self.port, self.name, self.edge = Port(dut, name), name, RisingEdge(getattr(dut, CLOCK))
        self.unit, self.slots, self.samples, self.commits = unit, unit.config.slots, [], []
        self.output_parity = len(unit.config.spec.bundles) % 2
        self.left, self.cycle, self.committing = dict.fromkeys(PARTS, 0), 0, False
        #: Number of the next sample of each part.
        self.next = dict.fromkeys(("take", "image", "predict", "done", "update"), 0)
        self.statics: dict[int, int] = {}
        self.predicting: Told | None = None
        #: Cycle in which a part last became idle.
        self.over = 0
        self.prepared = self.full = 0

    def expect(self, training, planned):
        """Record a sample at its start."""
        number = len(self.samples)
        told = Told(
            number, number % self.slots, training, random.randrange(10), random.randrange(10), planned
        )
        self.samples.append(told)

    def check_rest(self):
        """Check that every sample is done, and that the update of each trained one has begun."""
        for sample in self.samples:
            assert sample.over, f"{self.name}: sample {sample.number} isn't done"
            assert "done" in sample.at, f"{self.name}: sample {sample.number} isn't done"
            assert not sample.training or "update" in sample.at, (
                f"{self.name}: sample {sample.number} isn't learned"
            )

    async def run(self):
        """Play the parts and check the sequencer in every cycle."""
        port = self.port
        while True:
            await self.edge
            self.cycle += 1
            for part in PARTS:
                if self.left[part]:
                    self.left[part] -= 1
                    if not self.left[part]:
                        self.over = self.cycle
                        getattr(port, f"{part}_busy").value = 0
                        getattr(self, f"end_{part}", lambda: None)()
            if port.done.value:
                self.leave()
            self.check_phase(int(port.phase.value))
            for part, most in PARTS.items():
                if getattr(port, f"{part}_start").value:
                    assert not self.left[part], f"{self.name}: {part} started while it is busy"
                    getattr(self, f"begin_{part}")()
                    # at least 2: the sequencer sees the busy line of the update a cycle later than the others
                    self.left[part] = random.choice((2, 3, random.randint(2, most)))
                    getattr(port, f"{part}_busy").value = 1

    def check_phase(self, phase):
        """Check the port `phase`: at most one bit; none at rest; in a half, the phase of the older sample."""
        assert phase & (phase - 1) == 0, f"{self.name}: phase {phase:b}"
        assert phase < 1 << len(protocol.PHASES), f"{self.name}: phase {phase:b}"
        if self.left["step"] > 1:
            oldest = min(self.going(), key=lambda sample: sample.number)
            name = oldest.sweeps[oldest.halves // 2][0]
            assert phase == one_hot(name), f"{self.name}: a half of {name} counts as {phase:b}"
        elif self.left["commit"] > 1:
            assert phase == one_hot("commit"), f"{self.name}: a commit counts as {phase:b}"
        elif (
            self.left["update"] > 1
            and self.samples[-1].at.get("done", self.cycle) < self.cycle
            and not self.left["prepare"]
        ):
            assert phase == one_hot("update"), f"{self.name}: an update alone counts as {phase:b}"
        elif not any(self.left.values()) and not self.port.busy.value and self.cycle > self.over + 2:
            assert not phase, f"{self.name}: at rest phase {phase:b} is counted"

    def going(self):
        """Return the samples that step in the current half."""
        port, width = self.port, Step.as_shape().size
        steps = [Step.from_bits(int(port.step.value) >> n * width & (1 << width) - 1) for n in range(2)]
        found = [
            self.in_slot(step.slot, first)
            for step, first in zip(steps, (True, False), strict=True)
            if not step.idle
        ]
        return [sample for sample in found if sample]

    def begin_take(self):
        self.taken = self.samples[self.next["take"]]
        self.next["take"] += 1
        live = [
            s
            for s in self.samples[: self.taken.number]
            if ("update over" if s.training else "done") not in s.at
        ]
        assert len(live) < self.unit.places, (
            f"{self.name}: sample {self.taken.number} is the {len(live) + 1}th"
        )

    def end_take(self):
        assert self.port.take_bank.value == self.taken.number % self.unit.places, (
            f"{self.name}: image to the wrong bank"
        )
        self.taken.at["taken"] = self.cycle

    def begin_image(self):
        sample = self.samples[self.next["image"]]
        self.next["image"] += 1
        where = f"{self.name}, static drive of sample {sample.number}"
        assert "taken" in sample.at, f"{where}: before its image is there"
        assert self.port.image_bank.value == sample.number % self.unit.places, f"{where}: of another image"
        bank = int(self.port.static_write.value)
        users = [s for s in self.samples[: sample.number] if "done" not in s.at]
        assert bank < self.unit.static_banks, f"{where}: bank {bank} is in use"
        assert bank not in [self.statics[s.number] for s in users], f"{where}: bank {bank} is in use"
        self.statics[sample.number] = bank
        self.drawing = sample

    def end_image(self):
        assert self.port.static_write.value == self.statics[self.drawing.number], f"{self.name}: bank changed"
        self.drawing.at["drawn"] = self.cycle

    def in_slot(self, slot, odd):
        """Return the sample of a slot if its odd (or even) layers step next; else None."""
        for sample in self.samples:
            if sample.slot == slot and not ("done" in sample.at or sample.over):
                before = self.samples[sample.number - self.slots] if sample.number >= self.slots else None
                here = "drawn" in sample.at and (before is None or "done" in before.at)
                return sample if here and (sample.halves % 2 == 0) == odd else None
        return None

    def begin_step(self):
        assert not self.left["prepare"], f"{self.name}: a half while weights change"
        assert not self.committing, f"{self.name}: a half while weights change"
        self.began = self.cycle

    def compare_halves(self):
        """Check `step` and all that goes with it; return the samples that step."""
        port = self.port
        bits = int(port.step.value)
        width = Step.as_shape().size
        odd, even = (Step.from_bits(bits >> n * width & (1 << width) - 1) for n in range(2))
        if self.slots > 1:
            assert odd.slot != even.slot, f"{self.name}: both halves are of slot {odd.slot}"
        else:
            assert odd.idle != even.idle, f"{self.name}: both halves are of one sample, or none is"
            (idle,) = (step for step in (odd, even) if step.idle)
            assert idle.first, f"{self.name}: idle layers read a state"
            assert idle.silent, f"{self.name}: idle layers read drives"
        going = []
        for step, first in ((odd, True), (even, False)):
            sample = self.in_slot(step.slot, first)
            if step.idle:
                if sample:
                    before = (
                        self.samples[sample.number - self.slots].at["done"]
                        if sample.number >= self.slots
                        else 0
                    )
                    late = self.began - max(before, sample.at["drawn"], self.prepared) > 3
                    assert first, f"{self.name}: sample {sample.number} waits without need"
                    assert not late, f"{self.name}: sample {sample.number} waits without need"
                continue
            assert sample, f"{self.name}: a half of a sample that isn't there, slot {step.slot}"
            phase, t, shared = sample.sweeps[sample.halves // 2]
            wanted = shared | sides(first, phase, t, shared, fine=bool(self.unit.config.spec.schedule.fine))
            where = (
                f"{self.name}, sample {sample.number}, {phase} sweep {t}, {'odd' if first else 'even'} half"
            )
            for name in FIELDS:
                assert step[name] == wanted[name], f"{where}: {name} is {step[name]}, expected {wanted[name]}"
            if halvings := self.unit.config.spec.schedule.halvings:
                free = sum(phase == "free" for phase, _, _ in sample.sweeps)
                told = port.odd_annealing if first else port.even_annealing
                found = annealing(self.unit.config).from_bits(int(told.value))
                expected = annealing_at(halvings, phase, t, free)
                assert {name: found[name] for name in expected} == expected, (
                    f"{where}: annealing {found}, expected {expected}"
                )
            if self.unit.config.spec.schedule.centred:
                trained = int((port.odd_training if first else port.even_training).value)
                assert trained == sample.training, f"{where}: training is {trained}"
            if first:
                assert port.static_read.value == self.statics[sample.number], (
                    f"{where}: another one's static drive"
                )
            if first == bool(self.output_parity):
                assert port.output_label.value == sample.label, f"{where}: another one's label"
            if phase == "plus" and shared["sum_last"] and sample.number >= self.slots:
                before = self.samples[sample.number - self.slots]
                assert not before.training or "update over" in before.at, (
                    f"{where}: over the sums of an update"
                )
            going.append(sample)
        assert going, f"{self.name}: a half of nothing"
        return going

    def end_step(self):
        going = self.compare_halves()
        self.full += len(going) == self.slots
        for sample in going:
            sample.halves += 1

    def begin_predict(self):
        assert self.predicting is None
        waiting = [s for s in self.samples if "predicted" not in s.at and "predict" not in s.at]
        free = {s.number: sum(phase == "free" for phase, _, _ in s.sweeps) for s in waiting}
        ready = [s for s in waiting if s.halves >= 2 * free[s.number]]
        assert ready, f"{self.name}: a prediction without a free phase"
        self.predicting = ready[0]
        self.predicting.at["predict"] = self.cycle

    def end_predict(self):
        sample, self.predicting = self.predicting, None
        assert self.port.predict_slot.value == sample.slot, f"{self.name}: prediction of another slot"
        sample.at["predicted"] = self.cycle
        self.port.answer.value = sample.answer

    def leave(self):
        """Check a sample in the cycle in which it is done."""
        sample = self.samples[self.next["done"]]
        self.next["done"] += 1
        where = f"{self.name}, sample {sample.number}"
        assert sample.over, f"{where}: done too early"
        assert "predicted" in sample.at, f"{where}: done too early"
        assert self.port.prediction.value == sample.answer, f"{where}: another one's prediction"
        sample.at["done"] = self.cycle

    def begin_update(self):
        while not self.samples[self.next["update"]].training:
            self.next["update"] += 1
        sample = self.samples[self.next["update"]]
        self.next["update"] += 1
        where = f"{self.name}, update of sample {sample.number}"
        assert "done" in sample.at, f"{where}: before it is done"
        sample.at["update"] = self.cycle
        self.learned = sample

    def end_update(self):
        port, sample = self.port, self.learned
        assert port.update_slot.value == sample.slot, f"{self.name}: update of another slot"
        assert port.update_bank.value == sample.number % self.unit.places, (
            f"{self.name}: update by another image"
        )
        sample.at["update over"] = self.cycle

    def begin_commit(self):
        assert self.committing, f"{self.name}: a commit that nobody asked for"
        assert not self.left["update"], f"{self.name}: a commit beside an update or a half"
        assert not self.left["step"], f"{self.name}: a commit beside an update or a half"
        self.commits.append(self.cycle)

    def begin_prepare(self):
        assert self.commits, f"{self.name}: weights aren't there yet"
        assert not self.left["commit"], f"{self.name}: weights aren't there yet"

    def end_prepare(self):
        self.prepared = self.cycle
