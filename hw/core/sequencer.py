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

    Each part is started by one pulse and watched by a busy line, so that nothing here knows how
    long a part takes. Snapshot and restore cost no cycle: they are the bank numbers of `Step`.

    Two parts go on beside the others. The update engines take their time while the next sample
    runs, until it comes to the first step of its averaging window: then the sums that they read
    would be overwritten. So nothing but a commit sees weights that lack an update. And a bundle's
    update engine takes what it needs of a training image (`pixels`) while the free phase runs.

    Latency: a step takes three cycles beside those for which it is busy, another part two.

    Members
    -------
    start : In(1)
        One cycle; ignored while ``busy``.
    operation : In(Operation)
        Sampled with ``start``.
    busy : Out(1)
        High from the cycle after ``start`` until all but the update is done.
    free_steps, nudged_steps : In
        At least one averaging window each (the registers guarantee it).
    step : Out(Step)
        A register; engines and arrays may see it and its start some cycles later.
    step_start : Out(1), step_busy : In(1)
        One time step of all engines and arrays.
    image_start, pixels_start, predict_start, update_start, commit_start, prepare_start : Out(1)
        One cycle. A commit is followed by the engines' preparation.
    image_busy, pixels_busy, predict_busy, update_busy, commit_busy, prepare_busy : In(1)
        High from the cycle after its start, ``update_busy`` at most one later.
    phase : Out(len(protocol.PHASES))
        One hot in the order of `protocol.PHASES`, for the cycle counters; the prediction counts as
        free phase. Only cycles in which nothing but an update goes on count as update, whether
        something waits for its end or not.
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
        at = SamplePlace()
        self._describe_step(m, at)

        def go_to(state):
            m.next = state

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            self._idle(m, at)
            self._part(m, "IMAGE", "image", "static", lambda: self._seen(m, at))
            self._steps(m, at)
            self._part(m, "PREDICT", "predict", "free", lambda: self._predicted(m, at))
            self._update(m)
            self._part(m, "COMMIT", "commit", "commit", lambda: go_to("PREPARE"))
            self._part(m, "PREPARE", "prepare", "commit", lambda: go_to("IDLE"))
        return m

    def _describe_step(self, m, at):
        """The fields of `Step`, a cycle after the place that they follow from.

        Free phase: spike banks 0 and 1 in turns. Its last spikes stay in bank ``kept``; the nudged
        phases start from there and take turns between the other two.
        """
        averaging = self.config.spec.schedule.window
        m.d.comb += at.steps.eq(Mux(at.nudged, self.nudged_steps, self.free_steps))
        window_start = Signal.like(at.steps)
        m.d.comb += window_start.eq(at.steps - averaging)
        step, count, kept = self.step, at.count, at.kept
        m.d.sync += [
            step.first.eq(~at.nudged & (count == 0)),
            step.state_read.eq(at.nudged & (count != 0)),
            step.state_write.eq(at.nudged),
            step.nudge.eq(at.nudged),
            step.negative.eq(at.negative),
            step.sum.eq(count >= window_start),
            step.sum_first.eq(count == window_start),
        ]
        with m.If(at.nudged):
            m.d.sync += step.spike_write.eq(Mux(count[0], 2, ~kept))
            m.d.sync += step.spike_read.eq(Mux(count == 0, kept, Mux(count[0], ~kept, 2)))
        with m.Else():
            m.d.sync += [step.spike_write.eq(count[0]), step.spike_read.eq(~count[0])]

    def _count_for(self, phase):
        """The cycle counts for a phase."""
        return self.phase.eq(one_hot(phase))

    def _part(self, m, state, name, phase, then):
        """Two states: one pulse of the part's start, then a wait until it is no longer busy."""
        with m.State(state):
            m.d.comb += [getattr(self, f"{name}_start").eq(1), self._count_for(phase)]
            m.next = f"{state}-WAIT"
        with m.State(f"{state}-WAIT"):
            m.d.comb += self._count_for(phase)
            with m.If(~getattr(self, f"{name}_busy")):
                then()

    def _idle(self, m, at):
        with m.State("IDLE"):
            m.d.sync += [at.count.eq(0), at.nudged.eq(0), at.negative.eq(0)]
            with m.If(self.update_busy):
                m.d.comb += self._count_for("update")
            with m.If(self.start):
                m.d.sync += at.training.eq(self.operation == Operation.TRAIN)
                m.next = "IMAGE"
                with m.If(self.operation == Operation.COMMIT):
                    m.next = "FINISH"

    def _seen(self, m, at):
        """After the static drive."""
        m.d.comb += self.pixels_start.eq(at.training)
        m.next = "STEP"

    def _steps(self, m, at):
        """One time step in three states."""
        nudged = Mux(at.negative, one_hot("minus"), one_hot("plus"))
        step_phase = self.phase.eq(Mux(~at.nudged, one_hot("free"), nudged))
        with m.State("STEP"):
            m.d.comb += step_phase
            m.next = "STEP-START"
        with m.State("STEP-START"):
            # The steps of the averaging window overwrite what the last sample's update reads.
            with m.If(self.step.sum & self.update_busy):
                m.d.comb += self._count_for("update")
            with m.Else():
                m.d.comb += [self.step_start.eq(1), step_phase]
                m.next = "STEP-WAIT"
        with m.State("STEP-WAIT"):
            m.d.comb += step_phase
            with m.If(~self.step_busy):
                self._stepped(m, at)

    def _stepped(self, m, at):
        """After a step: the next one of the phase, else the next phase."""
        m.d.sync += at.count.eq(at.count + 1)
        m.next = "STEP"
        with m.If(at.count == at.steps - 1):
            m.d.sync += at.count.eq(0)
            with m.If(~at.nudged):
                m.d.sync += at.kept.eq(at.count[0])
                m.next = "PREDICT"
            with m.Elif(~at.negative):
                m.d.sync += at.negative.eq(1)
            with m.Else():
                m.next = "UPDATE"

    def _predicted(self, m, at):
        """After the prediction."""
        m.d.sync += at.nudged.eq(1)
        m.next = "IDLE"
        with m.If(at.training):
            m.next = "STEP"

    def _update(self, m):
        """The start of a sample's update; what a commit waits for."""
        with m.State("UPDATE"):
            m.d.comb += self._count_for("update")
            with m.If(~self.pixels_busy):
                m.d.comb += self.update_start.eq(1)
                m.next = "IDLE"
        with m.State("FINISH"):
            m.d.comb += self._count_for("update")
            with m.If(~self.update_busy):
                m.next = "SETTLE"
        with m.State("SETTLE"):
            # The last update is being written.
            m.d.comb += self._count_for("update")
            m.next = "COMMIT"


class SamplePlace:
    """Where a sample stands."""

    def __init__(self):
        self.training, self.nudged, self.negative = Signal(), Signal(), Signal()
        #: Steps of the phase done, and steps that it has.
        self.count, self.steps = Signal(bits_for(MAX_STEPS)), Signal(bits_for(MAX_STEPS))
        #: Spike bank of the free phase's last spikes.
        self.kept = Signal()
