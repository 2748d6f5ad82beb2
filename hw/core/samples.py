"""The sequencer's bookkeeping: counters of samples by stage; a slot's registers, and how they advance."""

from amaranth.hdl import Array, Cat, Const, Mux, Signal
from amaranth.utils import bits_for

from nudge.golden.contract.schedule import MAX_STEPS
from nudge.hw.lib.bounds import low_bits


def following(bank, banks):
    """Return (bank + 1) mod ``banks``."""
    return Mux(bank == banks - 1, 0, bank + 1)


class Samples:
    """Counters of the samples that have passed each stage, modulo 2 * ``places``.

    A sample's number modulo ``places`` is its place in the image buffer; modulo ``slots`` it is its slot.
    ``started`` >= ``drawn`` >= ``begun`` >= ``done`` >= ``freed`` >= ``started`` - places.
    """

    def __init__(self, places: int, slots: int, label_bits: int):
        self.places, self.slots = places, slots
        count = range(2 * places)
        #: Samples started by the host.
        self.started = Signal(count, name="started")
        #: Samples with a complete static drive.
        self.drawn = Signal(count, name="drawn")
        #: Samples that have entered a slot.
        self.begun = Signal(count, name="begun")
        #: Samples with their `done` pulse sent.
        self.done = Signal(count, name="done")
        #: Samples with neither their image nor their window sums needed any longer.
        self.freed = Signal(count, name="freed")
        #: By place: high if the sample is trained; its label.
        self.trained = Array(Signal(name=f"trained_{n}") for n in range(places))
        self.labels = Array(Signal(label_bits, name=f"label_{n}") for n in range(places))

    def place(self, number):
        """Return the image buffer's bank for sample ``number``."""
        return number[: bits_for(self.places - 1)]

    def slot(self, number):
        """Return the slot of sample ``number``."""
        return number[0] if self.slots > 1 else Const(0, 1)

    def between(self, behind, ahead):
        """Return the number of samples between two stages: ``ahead`` - ``behind``, modulo 2 * places."""
        return low_bits(ahead - behind, len(ahead), "both are modulo a power of two, and never so far apart")

    def advance(self, counter):
        """Return the statement for `m.d.sync` that counts one more sample."""
        return counter.eq(counter + 1)


class Slot:
    """Registers of one slot: the sample that steps in it, and its phase. An empty slot is in the state in
    which the next sample begins."""

    def __init__(self, number: int, static_banks: int, label_bits: int, halvings: tuple[int, ...]):
        def flag(name):
            return Signal(name=f"{name}_{number}")

        self.halvings = halvings
        #: `active`: a sample steps. `training`: it has both nudged phases.
        self.active, self.training = flag("active"), flag("training")
        #: The phase: free if neither is high; `nudged` in both nudged phases; `negative` in the -beta phase.
        self.nudged, self.negative = flag("nudged"), flag("negative")
        #: Sweeps left in the phase, with the current one, in an empty slot those of the free phase; flags for
        #: the phase's first and last sweep.
        self.left = Signal(bits_for(MAX_STEPS), name=f"left_{number}")
        self.first, self.last = Signal(name=f"first_{number}", init=1), flag("last")
        #: Completed sweeps of the phase and halvings of lambda so far; `falls`: lambda is halved before the
        #: next sweep.
        self.count = Signal.like(self.left, name=f"count_{number}")
        self.halved, self.falls = Signal(range(len(halvings) + 1), name=f"halved_{number}"), flag("falls")
        #: Bank of the sample's static drive; its label.
        self.static = Signal(range(static_banks), name=f"static_{number}")
        self.label = Signal(label_bits, name=f"label_of_{number}")
        #: `unpredicted`: the free phase is over, the prediction pending. `predicted`: `prediction` is valid.
        self.unpredicted, self.predicted = flag("unpredicted"), flag("predicted")
        self.prediction = Signal(label_bits, name=f"prediction_{number}")
        #: `ended`: the last sweep is over, `done` is pending. `leaving`: the sample is done in this cycle.
        self.ended, self.leaving = flag("ended"), flag("leaving")
        #: The update of the slot's previous sample, which reads the sums of this slot, isn't over.
        self.unlearned = flag("unlearned")

    def compare(self, m, free_steps):
        """Drive ``last``, ``falls`` and, in an empty slot, ``left``. free_steps: sweeps of the free phase."""
        m.d.comb += self.last.eq(self.left == 1)
        with m.If(~self.active):
            m.d.sync += self.left.eq(free_steps)
        if self.halvings:
            halves_next = Cat(self.count == at - 1 for at in self.halvings).any()
            m.d.comb += self.falls.eq(~self.nudged & ~self.last & halves_next)

    def end_sweep(self, m, free_steps, nudged_steps):
        """Begin the next sweep or phase, or end the sample. free_steps, nudged_steps: sweeps of a phase."""
        m.d.sync += [self.left.eq(self.left - 1), self.first.eq(0)]
        if self.halvings:
            m.d.sync += self.count.eq(self.count + 1)
            with m.If(self.falls):
                m.d.sync += self.halved.eq(self.halved + 1)
        with m.If(self.last):
            m.d.sync += [self.left.eq(nudged_steps), self.first.eq(1)]
            if self.halvings:
                m.d.sync += self.count.eq(0)
            with m.If(self.nudged):
                m.d.sync += [self.negative.eq(~self.negative), self.nudged.eq(~self.negative)]
            with m.Else():
                m.d.sync += [self.unpredicted.eq(1), self.nudged.eq(self.training)]
            with m.If(self.negative | ~self.training):
                m.d.sync += [self.active.eq(0), self.ended.eq(1), self.left.eq(free_steps)]
                if self.halvings:
                    m.d.sync += self.halved.eq(0)
