"""The compact core's sequencer: runs the phases of a sample one after another, sweep by sweep."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import MAX_STEPS
from nudge.hw.core.interface import Operation, annealing


class Step(data.Struct):
    """Controls of the sweep that the program runs; stable while it runs.

    Snapshot and restore are bank numbers, not copies: the free phase leaves its last state in bank
    0; the first sweep of each nudged phase reads it there and writes bank 1, which the phase's other
    sweeps read and write.
    """

    #: First sweep of a sample: all states and spikes read as zero.
    first: unsigned(1)
    #: State bank to read.
    state_read: unsigned(1)
    #: State bank to write.
    state_write: unsigned(1)
    #: Nudged phase: the outputs are nudged.
    nudge: unsigned(1)
    #: The nudge is -beta.
    negative: unsigned(1)
    #: The sweep is in its phase's averaging window.
    sum: unsigned(1)
    #: First sweep of the window.
    sum_first: unsigned(1)


class Sequencer(wiring.Component):
    """Runs a sample (image, free phase; for training also +beta, -beta, update) or a commit.

    Each part is started by a one-cycle pulse and has one busy line. The prediction is computed in the
    last sweep of the free phase.

    Latency: in addition to the program's cycles two for each sweep, one for each phase of sweeps, two for
    each other part, and one at the end of a sample.

    Members
    -------
    start : In(1)
        One-cycle pulse, while not ``busy``.
    operation : In(Operation)
        Sampled with ``start``.
    busy : Out(1)
        High from the cycle after ``start`` until the sample or commit is done.
    holding : Out(1)
        High from the cycle after a sample's ``start`` until its image is no longer read.
    done : Out(1)
        One-cycle pulse at the end of a sample, in the last cycle of ``busy``.
    free_steps, nudged_steps : In
        Sweeps of the phases; at least one averaging window each (the registers guarantee it).
    step : Out(Step)
        Valid from ``step_start`` until ``running`` falls.
    annealing : Out(annealing)
        Only if the schedule has halvings: the sample's position in them; stable as ``step`` is.
    image_start, step_start, update_start, commit_start : Out(1)
        One-cycle pulses: start a part of the program.
    running : In(1)
        High from the cycle after a part's start until it is done.
    seeing : In(1)
        High while the image is read, from the cycle after ``image_start`` on.
    phase : Out(len(protocol.PHASES))
        One-hot in the order of `protocol.PHASES`, for the cycle counters; or 0.
    """

    def __init__(self, config: Config):
        self.config = config
        steps = bits_for(MAX_STEPS)
        annealed = {"annealing": Out(annealing(config))} if config.spec.schedule.halvings else {}
        super().__init__(
            {
                "start": In(1),
                "operation": In(Operation),
                "busy": Out(1),
                "holding": Out(1),
                "done": Out(1),
                "free_steps": In(steps),
                "nudged_steps": In(steps),
                "step": Out(Step),
                "image_start": Out(1),
                "step_start": Out(1),
                "update_start": Out(1),
                "commit_start": Out(1),
                "running": In(1),
                "seeing": In(1),
                "phase": Out(len(protocol.PHASES)),
            }
            | annealed
        )

    def elaborate(self, platform):
        m = Module()
        training, nudged, negative = Signal(), Signal(), Signal()
        #: High until the phase's first sweep is over.
        fresh = Signal()
        #: Sweeps of the phase after this one; counted down to 0, so that the window needs no adder.
        left = Signal(bits_for(MAX_STEPS))
        window = self.config.spec.schedule.window
        m.d.comb += [
            self.step.first.eq(~nudged & fresh),
            self.step.state_read.eq(nudged & ~fresh),
            self.step.state_write.eq(nudged),
            self.step.nudge.eq(nudged),
            self.step.negative.eq(negative),
            self.step.sum.eq(left < window),
            self.step.sum_first.eq(left == window - 1),
        ]

        restarted, swept = self._anneal(m, nudged, left)

        def counts_as(phase):
            return self.phase.eq(1 << protocol.PHASES.index(phase))

        nudged_phase = Mux(negative, 1 << protocol.PHASES.index("minus"), 1 << protocol.PHASES.index("plus"))
        in_phase = self.phase.eq(Mux(nudged, nudged_phase, 1 << protocol.PHASES.index("free")))

        def part(name, phase, then):
            """Build two states: send the part's start pulse, then wait for its end."""
            with m.State(name.upper()):
                m.d.comb += [getattr(self, f"{name}_start").eq(1), counts_as(phase)]
                m.next = f"{name.upper()}-WAIT"
            with m.State(f"{name.upper()}-WAIT"):
                m.d.comb += counts_as(phase)
                with m.If(~self.running):
                    m.next = then

        with m.FSM() as fsm:
            m.d.comb += [
                self.busy.eq(~fsm.ongoing("IDLE")),
                self.holding.eq(fsm.ongoing("IMAGE") | self.seeing),
                self.done.eq(fsm.ongoing("DONE")),
            ]
            with m.State("IDLE"):
                m.d.sync += [nudged.eq(0), negative.eq(0), *restarted]
                m.d.sync += training.eq(self.operation == Operation.TRAIN)
                with m.If(self.start):
                    m.next = "IMAGE"
                    with m.If(self.operation == Operation.COMMIT):
                        m.next = "COMMIT"
            part("image", "static", "PHASE")
            with m.State("PHASE"):
                m.d.comb += in_phase
                m.d.sync += [fresh.eq(1), left.eq(Mux(nudged, self.nudged_steps, self.free_steps) - 1)]
                m.next = "STEP"
            with m.State("STEP"):
                m.d.comb += [self.step_start.eq(1), in_phase]
                m.next = "STEP-WAIT"
            with m.State("STEP-WAIT"):
                m.d.comb += in_phase
                with m.If(~self.running):
                    m.d.sync += [fresh.eq(0), left.eq(left - 1), *swept]
                    m.next = "STEP"
                    with m.If(left == 0):
                        m.d.sync += [nudged.eq(1), negative.eq(nudged)]
                        m.next = "PHASE"
                        with m.If(~training):
                            m.next = "DONE"
                        with m.Elif(negative):
                            m.next = "UPDATE"
            part("update", "update", "DONE")
            with m.State("DONE"):
                m.next = "IDLE"
            part("commit", "commit", "IDLE")
        return m

    def _anneal(self, m, nudged, left):
        """Build the halvings of lambda. Return the statements for the begin of a sample and for the end of a
        sweep; none if the schedule has no halvings."""
        halvings = self.config.spec.schedule.halvings
        if not halvings:
            return [], []
        #: Sweeps of the free phase before this one, up to the last halving; halvings so far.
        count, halved = Signal(range(halvings[-1] + 1)), Signal(range(len(halvings) + 1))
        falls = ~nudged & (left != 0) & Cat(count == at - 1 for at in halvings).any()
        m.d.comb += [self.annealing.halved.eq(halved), self.annealing.falls.eq(falls)]
        swept = [halved.eq(halved + falls), count.eq(count + (count != halvings[-1]))]
        return [count.eq(0), halved.eq(0)], swept
