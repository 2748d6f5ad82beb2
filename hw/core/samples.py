"""How far each sample is on its way through the core, by number; and what stands in a slot."""

from amaranth.hdl import Array, Mux, Signal
from amaranth.utils import bits_for

from golden.contract.schedule import MAX_STEPS
from hw.lib.bounds import low_bits
from hw.synapse.interface import STATIC_BANKS


def following(bank, banks):
    """The number of the next of some banks that are taken in turn."""
    return Mux(bank == banks - 1, 0, bank + 1)


class Samples:
    """Counters of samples, modulo twice the places: of those that have come to each point of the way.

    A sample's number says its place in the image buffer (modulo the places) and its slot (modulo two).
    In order: ``started`` >= ``drawn`` >= ``begun`` >= ``done`` >= ``freed`` >= ``started`` - places.
    """

    def __init__(self, places: int, label_bits: int):
        self.places = places
        count = range(2 * places)
        #: Started by the host.
        self.started = Signal(count, name="started")
        #: Their static drive is made.
        self.drawn = Signal(count, name="drawn")
        #: They are or were in a slot.
        self.begun = Signal(count, name="begun")
        #: Their prediction has been told.
        self.done = Signal(count, name="done")
        #: Nothing of them is needed any more, neither image nor sums.
        self.freed = Signal(count, name="freed")
        #: By place: whether it is trained, and its label.
        self.trained = Array(Signal(name=f"trained_{n}") for n in range(places))
        self.labels = Array(Signal(label_bits, name=f"label_{n}") for n in range(places))

    def place(self, number):
        """Of the sample of this number, in the image buffer."""
        return number[: bits_for(self.places - 1)]

    def slot(self, number):
        """Of the sample of this number."""
        return number[0]

    def between(self, behind, ahead):
        """Samples that are past one point, but not past the next."""
        return low_bits(ahead - behind, len(ahead), "both are modulo a power of two, and never so far apart")

    def advance(self, counter):
        """Statement for `m.d.sync`: one sample more."""
        return counter.eq(counter + 1)


class Slot:
    """A sample that steps, and where it stands. Without one, as at the begin of the next."""

    def __init__(self, number: int, label_bits: int, halvings: tuple[int, ...]):
        def flag(name):
            return Signal(name=f"{name}_{number}")

        #: It steps; it has both nudged phases.
        self.active, self.training = flag("active"), flag("training")
        #: The phase: free, nudged, nudged with -beta.
        self.nudged, self.negative = flag("nudged"), flag("negative")
        #: Sweeps of the phase done, those that it has, and whether this is the last one.
        self.count = Signal(bits_for(MAX_STEPS), name=f"count_{number}")
        self.steps, self.last = Signal.like(self.count, name=f"steps_{number}"), flag("last")
        #: Halvings of lambda until now; whether the next sweep has the next one.
        self.halved, self.falls = Signal(range(len(halvings) + 1), name=f"halved_{number}"), flag("falls")
        #: Bank of its static drive; its label.
        self.static = Signal(range(STATIC_BANKS), name=f"static_{number}")
        self.label = Signal(label_bits, name=f"label_of_{number}")
        #: Its free phase is over, but what is predicted isn't known; it is, and what.
        self.unpredicted, self.predicted = flag("unpredicted"), flag("predicted")
        self.prediction = Signal(label_bits, name=f"prediction_{number}")
        #: Its last sweep is over, but it isn't done; it is done in this cycle.
        self.ended, self.leaving = flag("ended"), flag("leaving")
        #: The update of the one before, which reads the sums of this slot, isn't over.
        self.unlearned = flag("unlearned")
