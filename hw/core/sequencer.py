"""Sequencer: steps two samples in antiphase, or one, in parallel with updates, images and static drives."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import MAX_STEPS
from nudge.hw.synapse.interface import Halves, Step, static_banks

from .interface import Operation, annealing, label_bits, samples_in_flight
from .samples import Samples, Slot, following


def one_hot(phase):
    """Return the one-hot code of a phase in `Sequencer.phase`."""
    return 1 << protocol.PHASES.index(phase)


class Sequencer(wiring.Component):
    """Starts all parts of the core: accepts samples, steps two of them, updates the masters; or commits.

    A sample's odd layers step in one half of a sweep, its even layers in the next. Two samples, one in each
    *slot*, are half a sweep apart: while the odd layers of one step, the even layers of the other do. So each
    half uses every array once and every bundle once in each direction. Samples use the slots in turn; each
    begins when its static drive is complete and its slot is free. The layers of an empty slot are idle. With
    one slot (`Config.slots`) either the odd or the even layers are idle in each half.

    Each part is started by a one-cycle pulse and has a busy line, so the sequencer depends on no
    part's latency. Snapshot and restore take no cycles: they are the bank numbers of `Step`.

    In parallel with the halves, each in the order of the samples: ``take`` copies an image from the
    link; ``image`` computes a static drive, for one sample more than those that step; ``predict``
    runs after a sample's free phase; ``update`` after its last phase, one sample at a time. Before the
    last sweep of its +beta phase a sample waits until the update of its slot's previous sample is
    over, because it would overwrite that sample's sums. A commit waits for all updates.

    Latency: a half takes its busy cycles and two more; so does every other part.

    Members
    -------
    start, operation, label, ready, holding, done, busy
        As in `CoreSignature`.
    free_steps, nudged_steps : In
        Sweeps of the phases; at least one averaging window each (the registers guarantee it). Read when a
        phase begins.
    step : Out(Halves)
        A register, valid from the cycle after ``step_start``; engines and arrays may get both later.
    step_start : Out(1), step_busy : In(1)
        Start and busy line of one half of a sweep, for all engines and arrays.
    static_read : Out
        Bank of the static drive of the sample in its odd half; stable as ``step`` is.
    odd_annealing, even_annealing : Out(annealing)
        Only if the schedule has halvings: position of the sample in its odd (even) half; stable as ``step``.
    odd_training, even_training : Out(1)
        Only if commits are centred: the sample in its odd (even) half is trained; stable as ``step`` is.
    output_label : Out
        Label of the sample whose output layer steps; stable as ``step`` is.
    take_start, image_start, predict_start, update_start, commit_start, prepare_start : Out(1)
        One-cycle pulses. After a commit the engines prepare; meanwhile images are taken and static
        drives computed.
    take_busy, image_busy, predict_busy, update_busy, commit_busy, prepare_busy : In(1)
        High from the cycle after the part's start; ``update_busy`` at most one cycle later.
    take_bank, image_bank, update_bank : Out
        Bank of the image buffer that the part uses.
    static_write : Out
        Bank in which a static drive is stored.
    predict_slot, update_slot : Out(1)
        Slot of the part's sample; stable from the part's start until its end.
    answer : In
        Result of ``predict``, stable while not ``predict_busy``.
    prediction : Out
        Predicted class of the sample that is ``done``.
    phase : Out(len(protocol.PHASES))
        One-hot in the order of `protocol.PHASES`, for the cycle counters: the phase of the older of
        two samples that step; "static" while a sample is taken or its static drive computed and none
        steps; "update" while only an update runs, or the halves wait for one.
    """

    def __init__(self, config: Config):
        self.config, self.places, self.static_banks = config, samples_in_flight(config), static_banks(config)
        steps, label = bits_for(MAX_STEPS), label_bits(config)
        members = {
            "start": In(1),
            "operation": In(Operation),
            "label": In(label),
            "ready": Out(1),
            "holding": Out(1),
            "done": Out(1),
            "busy": Out(1),
            "free_steps": In(steps),
            "nudged_steps": In(steps),
            "step": Out(Halves),
            "static_read": Out(range(self.static_banks)),
            "output_label": Out(label),
            "static_write": Out(range(self.static_banks)),
            "predict_slot": Out(1),
            "update_slot": Out(1),
            "answer": In(label),
            "prediction": Out(label),
            "phase": Out(unsigned(len(protocol.PHASES))),
        }
        if config.spec.schedule.halvings:
            members |= {f"{half}_annealing": Out(annealing(config)) for half in ("odd", "even")}
        if config.spec.schedule.centred:
            members |= {f"{half}_training": Out(1) for half in ("odd", "even")}
        for part in ("take", "image", "step", "predict", "update", "commit", "prepare"):
            members |= {f"{part}_start": Out(1), f"{part}_busy": In(1)}
        members |= {f"{part}_bank": Out(range(self.places)) for part in ("take", "image", "update")}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        bits, halvings = label_bits(self.config), self.config.spec.schedule.halvings
        samples = Samples(self.places, self.config.slots, bits)
        slots = [Slot(n, self.static_banks, bits, halvings) for n in range(self.config.slots)]
        committing, preparing = self._commit(m, samples)
        self._take(m, samples, committing)
        self._draw(m, samples)
        turn, beginning, stalled = self._halves(m, samples, slots, preparing)
        self._describe(m, slots, turn, beginning)
        self._predict(m, slots)
        self._leave(m, samples, slots)
        learning = self._learn(m, samples, slots)
        unlearned = samples.between(samples.freed, samples.done)
        m.d.comb += self.busy.eq(committing | (samples.started != samples.done) | (unlearned > learning))
        self._count(m, samples, slots, stalled, committing, preparing)
        return m

    def _take(self, m, samples, committing):
        """Accept samples: copy the image of each into the image buffer, and keep its label."""
        place, room = samples.place(samples.started), Signal()
        m.d.comb += [
            room.eq(samples.between(samples.freed, samples.started) < self.places),
            self.ready.eq(~self.take_busy & room & ~committing),
            self.take_start.eq(self.start & self.ready & (self.operation != Operation.COMMIT)),
            self.holding.eq(self.take_busy),
        ]
        with m.If(self.take_start):
            m.d.sync += [samples.advance(samples.started), self.take_bank.eq(place)]
            m.d.sync += samples.labels[place].eq(self.label)
            m.d.sync += samples.trained[place].eq(self.operation == Operation.TRAIN)

    def _draw(self, m, samples):
        """Start the static drive of the next sample with a complete image, while a bank is free."""
        waiting, free = Signal(), Signal()
        m.d.comb += [
            self.image_bank.eq(samples.place(samples.drawn)),
            # While an image is being taken, the sample started last doesn't count.
            waiting.eq(samples.between(samples.drawn, samples.started) > self.take_busy),
            free.eq(samples.between(samples.done, samples.drawn) < self.static_banks),
        ]
        with m.FSM(name="draw"):
            with m.State("IDLE"):
                with m.If(waiting & free):
                    m.d.comb += self.image_start.eq(1)
                    m.next = "DRAW"
            with m.State("DRAW"):
                with m.If(~self.image_busy):
                    m.d.sync += samples.advance(samples.drawn)
                    m.d.sync += self.static_write.eq(following(self.static_write, self.static_banks))
                    m.next = "IDLE"

    def _halves(self, m, samples, slots, preparing):
        """Start one half after another while a slot holds a sample. Return the slot whose odd layers step,
        the slots in which a sample begins (one bit each), and the flag that a half waits for an update."""
        turn, stalled, static = Signal(), Signal(), Signal(range(self.static_banks))
        beginning = Signal(len(slots))
        active = Cat(slot.active for slot in slots)
        place, next_slot = samples.place(samples.begun), samples.slot(samples.begun)
        with m.FSM(name="halves"):
            with m.State("STEP"):
                for n, slot in enumerate(slots):
                    # The slot is also free if its sample leaves in this cycle.
                    free = ~slot.active & (~slot.ended | slot.leaving)
                    mine = (turn == n) & (next_slot == n)
                    m.d.comb += beginning[n].eq(mine & free & (samples.begun != samples.drawn) & ~preparing)
                    with m.If(beginning[n]):
                        m.d.sync += [slot.active.eq(1), slot.training.eq(samples.trained[place])]
                        m.d.sync += [slot.label.eq(samples.labels[place]), slot.static.eq(static)]
                with m.If(beginning.any()):
                    m.d.sync += samples.advance(samples.begun)
                    m.d.sync += static.eq(following(static, self.static_banks))
                # The half would overwrite sums that the update of the slot's previous sample still reads.
                hazards = (s.active & s.nudged & s.last & s.unlearned for s in slots)
                m.d.comb += stalled.eq(Cat(hazards).any())
                with m.If(~(active | beginning).any()):
                    m.d.sync += turn.eq(next_slot)
                with m.Elif(~stalled):
                    m.d.comb += self.step_start.eq(1)
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(~self.step_busy):
                    m.d.sync += turn.eq(~turn)
                    m.next = "STEP"
                    for n, slot in enumerate(slots):
                        with m.If(slot.active & (turn != n)):
                            slot.end_sweep(m, self.free_steps, self.nudged_steps)
        for slot in slots:
            slot.compare(m, self.free_steps)
        return turn, beginning, stalled

    def _describe(self, m, slots, turn, beginning):
        """Drive ``step`` and the outputs that are stable with it, one cycle after the slot registers."""
        averaging, last = self.config.spec.schedule.window, len(self.config.spec.bundles)
        # Deviations begin without spikes, so no spikes are kept for the nudged phases.
        deviating = bool(self.config.spec.schedule.fine)
        output = turn if last % 2 else ~turn
        for told, name, chosen in ((self.static_read, "static", turn), (self.output_label, "label", output)):
            # In the cycle of STEP a sample may begin; its slot's registers are valid one cycle later.
            values = [getattr(slot, name) for slot in slots]
            m.d.comb += told.eq(Mux(chosen[0], values[-1], values[0]))
        for n, slot in enumerate(slots):
            if self.config.spec.schedule.halvings:
                for told, mine in ((self.odd_annealing, turn == n), (self.even_annealing, turn != n)):
                    with m.If(mine):
                        m.d.sync += [told.halved.eq(slot.halved), told.falls.eq(slot.falls)]
            if self.config.spec.schedule.centred:
                for trained, mine in ((self.odd_training, turn == n), (self.even_training, turn != n)):
                    with m.If(mine):
                        m.d.sync += trained.eq(slot.training)
            for odd, step, mine in ((True, self.step.odd, turn == n), (False, self.step.even, turn != n)):
                with m.If(mine):
                    m.d.sync += [
                        step.slot.eq(n),
                        step.idle.eq(~slot.active & ~beginning[n]),
                        step.first.eq(~slot.nudged & slot.first),
                        step.silent.eq(
                            (slot.first if deviating else ~slot.nudged & slot.first) if odd else 0
                        ),
                        step.kept.eq(slot.nudged & slot.first if odd and not deviating else 0),
                        step.keep.eq(0 if odd or deviating else ~slot.nudged & slot.last),
                        step.state_read.eq(slot.nudged & ~slot.first),
                        step.state_write.eq(slot.nudged),
                        step.nudge.eq(slot.nudged),
                        step.negative.eq(slot.negative),
                        step.sum.eq(slot.left <= averaging),
                        step.sum_first.eq(slot.left == averaging),
                        step.sum_last.eq(slot.last),
                    ]
                if len(slots) == 1:
                    with m.Else():
                        m.d.sync += step.eq(Step.const({"idle": 1, "first": 1, "silent": 1}))

    def _predict(self, m, slots):
        """Run ``predict`` for each sample after its free phase."""
        with m.FSM(name="predict"):
            with m.State("IDLE"):
                for n, slot in enumerate(slots):
                    with m.If(slot.unpredicted):
                        m.d.sync += self.predict_slot.eq(n)
                        m.next = "START"
            with m.State("START"):
                m.d.comb += self.predict_start.eq(1)
                m.next = "PREDICT"
            with m.State("PREDICT"):
                with m.If(~self.predict_busy):
                    m.next = "IDLE"
                    for n, slot in enumerate(slots):
                        with m.If(self.predict_slot == n):
                            m.d.sync += [slot.unpredicted.eq(0), slot.predicted.eq(1)]
                            m.d.sync += slot.prediction.eq(self.answer)

    def _leave(self, m, samples, slots):
        """Report the oldest sample as done once its sweeps are over and its prediction is known."""
        oldest = samples.slot(samples.done)
        m.d.comb += self.prediction.eq(Mux(oldest, slots[-1].prediction, slots[0].prediction))
        for n, slot in enumerate(slots):
            m.d.comb += slot.leaving.eq((oldest == n) & slot.ended & slot.predicted)
            with m.If(slot.leaving):
                m.d.comb += self.done.eq(1)
                m.d.sync += [samples.advance(samples.done), slot.ended.eq(0), slot.predicted.eq(0)]
                m.d.sync += slot.unlearned.eq(slot.unlearned | slot.training)

    def _learn(self, m, samples, slots):
        """Run one update after another. Return a flag: the running update has sampled the learning rates."""
        number = samples.freed
        m.d.comb += [self.update_slot.eq(samples.slot(number)), self.update_bank.eq(samples.place(number))]
        with m.FSM(name="learn") as fsm:
            with m.State("IDLE"):
                with m.If(samples.done != number):
                    with m.If(samples.trained[samples.place(number)]):
                        m.d.comb += self.update_start.eq(1)
                        m.next = "BEGIN"
                    with m.Else():
                        m.d.sync += samples.advance(number)
            with m.State("BEGIN"):
                # The engines get their start pulse, and become busy, one cycle late.
                m.next = "LEARN"
            with m.State("LEARN"):
                with m.If(~self.update_busy):
                    m.d.sync += samples.advance(number)
                    for n, slot in enumerate(slots):
                        with m.If(self.update_slot == n):
                            m.d.sync += slot.unlearned.eq(0)
                    m.next = "IDLE"
        return fsm.ongoing("LEARN")

    def _commit(self, m, samples):
        """Run a commit after the last update, then the engines' preparation. Return two flags: a commit is
        pending or running; the engines prepare (samples are accepted meanwhile, but none begins)."""
        asked = Signal()
        with m.If(self.start & ~self.busy & (self.operation == Operation.COMMIT)):
            m.d.sync += asked.eq(1)
        with m.FSM(name="commit") as fsm:
            with m.State("IDLE"):
                with m.If(asked):
                    m.next = "FINISH"
            with m.State("FINISH"):
                with m.If(samples.done == samples.freed):
                    m.next = "SETTLE"
            with m.State("SETTLE"):
                # The last update is being written.
                m.next = "COMMIT"
            for part, then in (("commit", "PREPARE"), ("prepare", "IDLE")):
                with m.State(part.upper()):
                    m.d.comb += getattr(self, f"{part}_start").eq(1)
                    m.next = f"{part.upper()}-WAIT"
                with m.State(f"{part.upper()}-WAIT"):
                    with m.If(~getattr(self, f"{part}_busy")):
                        m.next = then
                        if part == "commit":
                            m.d.sync += asked.eq(0)
        return asked, fsm.ongoing("PREPARE") | fsm.ongoing("PREPARE-WAIT")

    def _count(self, m, samples, slots, stalled, committing, preparing):
        """Drive ``phase``: the activity that the core waits for."""
        finishing = committing & (samples.done != samples.freed)
        with m.If(stalled | finishing):
            m.d.comb += self.phase.eq(one_hot("update"))
        with m.Elif(committing | preparing):
            m.d.comb += self.phase.eq(one_hot("commit"))
        for oldest in range(len(slots)):
            for slot in (*slots[oldest:], *slots[:oldest]):
                nudged = Mux(slot.negative, one_hot("minus"), one_hot("plus"))
                with m.Elif((samples.slot(samples.done) == oldest) & slot.active):
                    m.d.comb += self.phase.eq(Mux(slot.nudged, nudged, one_hot("free")))
        with m.Elif(samples.started != samples.drawn):
            m.d.comb += self.phase.eq(one_hot("static"))
        with m.Elif(samples.started != samples.done):
            # Only the prediction is left.
            m.d.comb += self.phase.eq(one_hot("free"))
        with m.Elif(Cat(slot.unlearned for slot in slots).any()):
            m.d.comb += self.phase.eq(one_hot("update"))
