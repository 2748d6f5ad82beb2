"""Sequencer: the phases of a sample, step by step; its update goes on during the next one."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import protocol
from golden.contract.config import Config
from golden.contract.spec import MAX_STEPS
from hw.synapse.interface import Step

from .interface import Operation


def one_hot(phase):
    """The bit of a phase in `Sequencer.phase`."""
    return 1 << protocol.PHASES.index(phase)


class Sequencer(wiring.Component):
    """Image, free phase, prediction; for training also +beta, -beta, update. Or a commit.

    Each part is started by one pulse and watched by a busy line, so that nothing here knows how long a part takes.
    Snapshot and restore cost no cycle: they are the bank numbers of `Step`.

    Two parts go on beside the others. The update engines take their time while the next sample runs, until it comes to the
    first step of its window: then the sums that they read would be overwritten. So nothing but a commit sees weights that lack
    an update. And a bundle's update engine takes what it needs of a training image (`pixels`) while the free phase runs.

    Members
    -------
    start : In(1), operation : In(Operation), busy : Out(1)
    free_steps, nudged_steps : In
        At least one window each (the registers guarantee it).
    step : Out(Step), step_start : Out(1), step_busy : In(1)
        One time step of all engines and arrays. ``step`` is a register; engines and arrays may see both some
        cycles later.
    image_start, pixels_start, predict_start, update_start, commit_start, prepare_start : Out(1), and their ``_busy`` : In(1)
        A busy line rises in the cycle after its start, ``update_busy`` at most one later. A commit is followed by the engines'
        preparation.
    phase : Out(len(protocol.PHASES))
        One hot in the order of `protocol.PHASES`, for the cycle counters; the prediction counts as free phase. Only cycles in
        which nothing but an update goes on count as update, whether something waits for its end or not.
    """

    def __init__(self, config: Config):
        self.config = config
        steps = bits_for(MAX_STEPS)
        members = {
            "start": In(1),
            "operation": In(Operation),
            "busy": Out(1),
            "free_steps": In(steps),
            "nudged_steps": In(steps),
            "step": Out(Step),
            "phase": Out(unsigned(len(protocol.PHASES))),
        }
        for part in ("image", "pixels", "step", "predict", "update", "commit", "prepare"):
            members |= {f"{part}_start": Out(1), f"{part}_busy": In(1)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        window = self.config.spec.schedule.window
        training, nudged, negative = Signal(), Signal(), Signal()
        count, steps = Signal(bits_for(MAX_STEPS)), Signal(bits_for(MAX_STEPS))
        m.d.comb += steps.eq(Mux(nudged, self.nudged_steps, self.free_steps))
        window_start = Signal.like(steps)
        m.d.comb += window_start.eq(steps - window)

        # Free phase: spike banks 0 and 1 in turns. Its last spikes stay in bank `kept`; the nudged phases start from
        # there and take turns between the other two.
        kept = Signal()
        m.d.sync += [
            self.step.first.eq(~nudged & (count == 0)),
            self.step.state_read.eq(nudged & (count != 0)),
            self.step.state_write.eq(nudged),
            self.step.nudge.eq(nudged),
            self.step.negative.eq(negative),
            self.step.sum.eq(count >= window_start),
            self.step.sum_first.eq(count == window_start),
        ]
        with m.If(nudged):
            m.d.sync += self.step.spike_write.eq(Mux(count[0], 2, ~kept))
            m.d.sync += self.step.spike_read.eq(Mux(count == 0, kept, Mux(count[0], ~kept, 2)))
        with m.Else():
            m.d.sync += [self.step.spike_write.eq(count[0]), self.step.spike_read.eq(~count[0])]

        def phase(name):
            return self.phase.eq(one_hot(name))

        step_phase = self.phase.eq(Mux(~nudged, one_hot("free"), Mux(negative, one_hot("minus"), one_hot("plus"))))

        def part(state, name, counted, then):
            """Two states: one pulse of the part's start, then a wait until it is no longer busy; cycles count for a phase."""
            with m.State(state):
                m.d.comb += [getattr(self, f"{name}_start").eq(1), counted]
                m.next = f"{state}-WAIT"
            with m.State(f"{state}-WAIT"):
                m.d.comb += counted
                with m.If(~getattr(self, f"{name}_busy")):
                    then()

        def go_to(state):
            m.next = state

        def seen():
            m.d.comb += self.pixels_start.eq(training)
            m.next = "STEP"

        def stepped():
            m.d.sync += count.eq(count + 1)
            m.next = "STEP"
            with m.If(count == steps - 1):
                m.d.sync += count.eq(0)
                with m.If(~nudged):
                    m.d.sync += kept.eq(count[0])
                    m.next = "PREDICT"
                with m.Elif(~negative):
                    m.d.sync += negative.eq(1)
                with m.Else():
                    m.next = "UPDATE"

        def predicted():
            m.d.sync += nudged.eq(1)
            m.next = "IDLE"
            with m.If(training):
                m.next = "STEP"

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [count.eq(0), nudged.eq(0), negative.eq(0)]
                with m.If(self.update_busy):
                    m.d.comb += phase("update")
                with m.If(self.start):
                    m.d.sync += training.eq(self.operation == Operation.TRAIN)
                    m.next = "IMAGE"
                    with m.If(self.operation == Operation.COMMIT):
                        m.next = "FINISH"
            part("IMAGE", "image", phase("static"), seen)
            with m.State("STEP"):
                m.d.comb += step_phase
                m.next = "STEP-START"
            with m.State("STEP-START"):
                # The window's steps overwrite what the last sample's update reads.
                with m.If(self.step.sum & self.update_busy):
                    m.d.comb += phase("update")
                with m.Else():
                    m.d.comb += [self.step_start.eq(1), step_phase]
                    m.next = "STEP-WAIT"
            with m.State("STEP-WAIT"):
                m.d.comb += step_phase
                with m.If(~self.step_busy):
                    stepped()
            part("PREDICT", "predict", phase("free"), predicted)
            with m.State("UPDATE"):
                m.d.comb += phase("update")
                with m.If(~self.pixels_busy):
                    m.d.comb += self.update_start.eq(1)
                    m.next = "IDLE"
            with m.State("FINISH"):
                m.d.comb += phase("update")
                with m.If(~self.update_busy):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                # The last update is being written.
                m.d.comb += phase("update")
                m.next = "COMMIT"
            part("COMMIT", "commit", phase("commit"), lambda: go_to("PREPARE"))
            part("PREPARE", "prepare", phase("commit"), lambda: go_to("IDLE"))
        return m
