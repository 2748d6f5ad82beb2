# amaranth: UnusedElaboratable=no
"""What is proved of the link's parts, for all inputs and all time."""

from dataclasses import replace

import pytest
from amaranth.hdl import Assert, Assume, Const, Module, Mux, Signal, Value

from golden.contract.config import Config
from golden.contract.presets import preset
from golden.contract.protocol import LONGEST_RUN, PAYLOAD_BYTES, STORED_PAYLOAD_BYTES, Command, Committed, Sampled, Status
from hw.core.interface import READ_LATENCY
from hw.link.decoder import Decoder
from hw.link.deframer import Deframer
from hw.link.framer import Framer
from hw.link.interface import ANSWER_PAYLOAD
from hw.link.register_access import RegisterAccess
from hw.link.sample_control import SampleControl
from hw.link.uart import Receiver, Transmitter
from hw.link.weight_access import WeightAccess

from .prover import Opened, ProofError, keeps_its_offer, past, prove

#: One lane of each layer: what holds for a lane holds for all, which are alike.
LANE = Config(preset("tiny"), (1, 1, 1))


def deframer(window: int) -> tuple[Module, Opened, Deframer]:
    """With what is proved of it."""
    m = Module()
    opened = Opened(m, dut := Deframer(window))
    full = opened["full"]
    m.d.comb += keeps_its_offer(m, dut.o)
    # whatever waits at the output, a byte is taken after a run of zeros at the latest
    run, waited = opened["run"], Signal(16)
    m.d.sync += waited.eq(Mux(dut.i.ready, 0, waited + 1))
    m.d.comb += [Assert(run <= LONGEST_RUN), Assert(dut.i.ready | (waited + run <= LONGEST_RUN)), Assert(waited <= LONGEST_RUN)]
    m.d.comb += Assert(~dut.i.ready | (waited <= LONGEST_RUN))
    freed = opened["freed"]
    m.d.comb += [Assert(full <= window), Assert(~(dut.o.valid | freed) | (full != 0)), Assert(~(dut.o.valid & freed))]
    m.d.comb += Assert((opened["write_slot"] - opened["read_slot"] - full) % window == 0)
    # a frame that is being stored has a buffer of its own
    m.d.comb += Assert(~(opened["inside"] & ~opened["dropping"]) | (full < window))
    # synchronising: after a zero byte the state is that after power-up
    zero = past(m, dut.i.valid & dut.i.ready & (dut.i.payload == 0))
    clean = ~opened["inside"] & ~opened["dropping"] & (opened["left"] == 0) & (opened["length"] == 0) & (run == 0)
    m.d.comb += Assert(~zero | (clean & ~opened["pending_zero"]))
    # nothing is dropped while there is room
    m.d.comb += Assert(~(dut.overrun & (full != window)))
    return m, opened, dut


@pytest.mark.parametrize("window", [2, 8, 32])
def test_deframer(window):
    """Bytes wait a bounded time, frames unchanged until taken; buffers never overflow; a zero byte clears all but the queue."""
    m, opened, _ = deframer(window)
    prove(m, opened.inputs, depth=4, free=("dut.memory",))


def test_what_does_not_hold_of_the_deframer_is_not_proved():
    """What is assumed of it leaves that possible."""
    m, opened, dut = deframer(2)
    m.d.comb += Assert(opened["full"] < dut.window)
    with pytest.raises(ProofError, match="Called with -verify and proof did fail"):
        prove(m, opened.inputs, depth=4, free=("dut.memory",))


def test_framer():
    """What is sent stays until it is taken."""
    m = Module()
    opened = Opened(m, dut := Framer(1))
    m.d.comb += Assume(~dut.write | dut.i.ready)  # the contract: a slot isn't written while it may be sent
    m.d.comb += keeps_its_offer(m, dut.o)
    prove(m, opened.inputs, depth=4)


@pytest.mark.parametrize("divisor", [1, 2, 5])
def test_receiver(divisor):
    """A byte stays until it is taken, whatever the line does."""
    m = Module()
    opened = Opened(m, dut := Receiver(divisor))
    m.d.comb += keeps_its_offer(m, dut.o)
    prove(m, opened.inputs, depth=4)


@pytest.mark.parametrize("divisor", [1, 3])
def test_transmitter(divisor):
    """Idle is high; a byte keeps it busy for ten bit times, not a cycle longer, so it never blocks."""
    m = Module()
    opened = Opened(m, dut := Transmitter(divisor))
    left, timer, waited = opened["left"], opened["timer"], Signal(16)
    m.d.sync += waited.eq(Mux(dut.i.ready, 0, waited + 1))
    m.d.comb += [Assert(left <= 10), Assert(timer < divisor), Assert((left != 0) | dut.tx), Assert(waited < 10 * divisor)]
    m.d.comb += Assert((left == 0) | (waited + (left - 1) * divisor + timer == 10 * divisor - 1))
    m.d.comb += Assert((left != 0) | ((waited == 0) & opened["shift"].all()))
    # what follows the bits that are still to be sent is the idle level
    m.d.comb += Assert(((opened["shift"] >> left) | ~((1 << 10) - 1 >> left))[:10].all())
    prove(m, opened.inputs, depth=4)


class PlayedSamples:
    """The contract of `SampleExecutor`, assumed, and what it knows: `flight` samples are taken and unsaid."""

    def __init__(self, m: Module, dut: Decoder, running: Value):
        samples, request = dut.samples, dut.i.payload
        self.flight, self.speaking, alone = Signal(4), Signal(), Signal()
        # taken or done comes once, after start; what was started beside others is taken; only samples are
        sample = (request.command == Command.INFER) | (request.command == Command.TRAIN)
        m.d.comb += [
            Assume(~samples.taken | (running & sample & ~self.speaking)),
            Assume(~(samples.taken & (samples.done | samples.o.valid))),
            Assume(~(samples.done | samples.o.valid) | (running & alone) | self.speaking),
            # `fits` tells of a sample that stays
            Assume(~samples.fits | past(m, dut.i.valid) & sample),
            Assume(~past(m, samples.fits & dut.i.valid & ~dut.i.ready & ~samples.start) | samples.fits),
            # an answer is finished until it is said
            Assume(~samples.finished | (self.flight != 0) & ~self.speaking),
            Assume(~past(m, samples.finished & ~samples.say) | samples.finished),
            Assume(~samples.idle | (self.flight == 0)),
            # the core rests until something is started
            Assume(~past(m, samples.idle & ~samples.start) | samples.idle),
        ]
        with m.If(samples.start):
            m.d.sync += alone.eq(samples.idle)
        with m.If(samples.say):
            m.d.sync += self.speaking.eq(1)
        with m.Elif(self.speaking & samples.done):
            m.d.sync += self.speaking.eq(0)
        ends = self.speaking & samples.done
        m.d.sync += self.flight.eq(self.flight + samples.taken - ends)
        # what the decoder owes it
        m.d.comb += [
            Assert(~samples.say | samples.finished & ~running),
            Assert(~(samples.start & ~samples.idle) | samples.fits),
            Assert(~(self.speaking & running)),
            Assert(~self.speaking | (self.flight != 0)),
        ]
        self.alone = alone


def decoder(window: int = 2, in_flight: int = 4, stores: bool = False) -> tuple[Module, Opened, Decoder, Signal, PlayedSamples]:
    """With what is proved of it; the executors that run; what is under way."""
    m = Module()
    identity = b"id" + bytes(4 * stores)
    opened = Opened(m, dut := Decoder(identity, window, in_flight, stores=stores))
    if stores:
        # the contract of the memory's test: it ends once, and what it found stays
        tested = past(m, dut.tested)
        m.d.comb += Assume(~tested | dut.tested & (dut.works == past(m, dut.works)))
    executors = {name: getattr(dut, name) for name in dut.executors}
    mine = list(executors).index("samples")
    starts = {name: e.start for name, e in executors.items()}
    begun, running = Signal(), Signal(len(starts))
    m.d.comb += begun.eq(sum(starts.values()) != 0)
    for n, (name, executor) in enumerate(executors.items()):
        ends = executor.done | executor.taken if name == "samples" else executor.done
        if name != "samples":
            # the contract of executors: done comes once, after start; nothing is said when not running
            m.d.comb += Assume(~(executor.done | executor.o.valid) | running[n])
        with m.If(executor.start):
            m.d.sync += running[n].eq(1)
        with m.Elif(ends):
            m.d.sync += running[n].eq(0)
    played = PlayedSamples(m, dut, running[mine])
    # the contract of the deframer: what is offered stays
    held = past(m, dut.i.valid & ~dut.i.ready)
    m.d.comb += Assume(~held | (dut.i.valid & (dut.i.payload.as_value() == past(m, dut.i.payload.as_value()))))

    request, known, last = dut.i.payload, Signal(), Signal(8)
    execute, say, saying = opened.state("EXECUTE"), opened.state("SAY"), request.command == Command.HELLO
    hello = dut.write & ~begun & execute & saying  # the identity is being written
    with m.If(hello | begun):
        m.d.sync += [known.eq(1), last.eq(request.sequence)]
    m.d.comb += Assert(~begun | (known & (request.sequence == (last + 1)[:8]) & (sum(starts.values()) == 1)))
    m.d.comb += keeps_its_offer(m, dut.o)
    answers_in_order(m, opened, played)
    # what makes the induction go through
    executed, upcoming, taken = opened["executed"], opened["upcoming"], opened["taken"]
    flight, done = played.flight, opened["done"]
    m.d.comb += [Assert(executed <= window), Assert(sum(running) <= 1), Assert(known | (executed == 0))]
    m.d.comb += [Assert((running == 0) | execute), Assert(~played.speaking | say), Assert(taken == flight + (say & done))]
    m.d.comb += Assert(~say | Mux(played.speaking, ~done, done))
    m.d.comb += Assert(execute | (executed == 0) | (upcoming == (last + 1)[:8]))
    m.d.comb += Assert((flight == 0) | (executed >= taken))
    length = opened["length"]
    current = known & (last == request.sequence)
    said = (running == 0) & (length <= len(identity)) & ((length == 0) | current)
    m.d.comb += [Assert(~execute | Mux(saying, said & ~done, ((running != 0) ^ done) & current)), Assert(~done | execute | say)]
    # it was started alone, or it is a sample that will be taken
    m.d.comb += Assert(~execute | (flight == 0) | (running[mine] & ~played.alone))
    checked = opened.state("SEQUENCE")
    if stores:
        m.d.comb += Assert(~(checked | execute) | tested)
    states = ("CHECK", "SEQUENCE", "EXECUTE", "SAY", "ANSWER")
    m.d.comb += Assert(sum(opened.state(name) for name in states) == 1)
    sizes = PAYLOAD_BYTES | (STORED_PAYLOAD_BYTES if stores else {})
    legal = sum(request.command == command for command in sizes) != 0
    m.d.comb += Assert(~(execute | checked) | (dut.i.valid & legal))
    m.d.comb += Assert(~checked | (length == 0))
    return m, opened, dut, running, played


def answers_in_order(m: Module, opened: Opened, played: PlayedSamples) -> None:
    """Every answer is that of the oldest request without one; refusals and repetitions come when all have theirs.

    Requests without an answer are counted from the starts and from what is handed to the framer.
    """
    dut, answer, request = opened.dut, opened.dut.o.payload, opened.dut.i.payload
    execute, offered = opened.state("EXECUTE"), opened.state("ANSWER")
    begun = execute & ~past(m, execute)
    aside = past(m, (dut.refused & ~execute) | dut.repeated)
    replied = offered & ~past(m, offered)
    answered = replied & ~aside
    owed, oldest = Signal(4), Signal(8)
    m.d.sync += owed.eq(owed + begun - answered)
    with m.If(begun & (owed == 0)):
        m.d.sync += oldest.eq(request.sequence)
    with m.Elif(answered):
        m.d.sync += oldest.eq(oldest + 1)
    m.d.comb += Assert(~(replied & aside) | (owed == 0))
    m.d.comb += Assert(~answered | ((owed != 0) & (answer.sequence == oldest)))
    # what makes the induction go through
    taken, upcoming = opened["taken"], opened["upcoming"]
    alone = execute & ~begun
    m.d.comb += [
        Assert(owed == taken + alone + answered),
        Assert(((taken == 0) & ~answered) | ((oldest + taken + answered)[:8] == upcoming)),
        Assert(~alone | (taken != 0) | (oldest == request.sequence)),
        Assert(~execute | (request.command == Command.HELLO) | (request.sequence == upcoming)),
        Assert(~execute | (request.command != Command.HELLO) | (taken == 0)),
        Assert(~(replied & aside) | (taken == 0)),
    ]


@pytest.mark.parametrize(
    ("window", "in_flight", "stores"), [(1, 4, False), (2, 4, False), (8, 1, False), (8, 4, False), (2, 4, True)]
)
def test_decoder(window, in_flight, stores):
    """Each request is started at most once, and in order: its number follows the one before. Answers stay until taken, and
    keep the order of requests; each taken sample has one, and there are never more of them than there may be."""
    m, opened, dut, _, played = decoder(window, in_flight, stores)
    m.d.comb += [Assert(played.flight <= dut.most_taken), Assert(opened["taken"] <= dut.most_taken)]
    prove(m, opened.inputs, depth=5)


def test_samples_do_overlap_in_what_is_assumed_of_them():
    """As many are under way as there may be."""
    m, opened, dut, _, played = decoder()
    m.d.comb += Assert(played.flight < dut.most_taken)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=40)


@pytest.mark.parametrize("stores", [False, True])
def test_decoder_never_waits_for_ever(stores):
    """With a framer that takes what it is given, and executors and a core that need a few cycles, each frame is taken within a
    few more."""
    m, opened, dut, running, played = decoder(stores=stores)
    m.d.comb += Assume(dut.o.ready)
    if dut.stores:
        m.d.comb += Assume(dut.tested)
    for n, name in enumerate(dut.executors):
        executor = getattr(dut, name)
        ends = executor.done | executor.taken if name == "samples" else executor.done
        m.d.comb += Assume(ends == (running[n] | (played.speaking if name == "samples" else 0)))
    under_way = (played.flight != 0) & ~played.speaking
    m.d.comb += Assume(~(under_way & past(m, under_way)) | dut.samples.finished)
    m.d.comb += Assume(dut.samples.idle == (played.flight == 0))
    waited = Signal(8)
    m.d.sync += waited.eq(Mux(dut.i.valid & ~dut.i.ready, waited + 1, 0))
    m.d.comb += Assert(waited <= 24)
    prove(m, opened.inputs, depth=32)


def executor(m: Module, opened: Opened, rank: dict[str, object], waits: tuple[str, ...] = (), begin=None, end=None) -> Signal:
    """What the decoder relies on: `done` and payload come only between `start` and `done`, and `done` comes.

    rank: an upper bound of the cycles left, by state; it must fall in every cycle, so each request ends. waits: the states
    that wait for the core, in which it needn't. begin, end: what comes instead of `start` and `done`. Gives `running`.
    """
    execute, running = opened.dut.execute, Signal()
    begin, end = execute.start if begin is None else begin, execute.done if end is None else end
    with m.If(begin):
        m.d.sync += running.eq(1)
    with m.Elif(end):
        m.d.sync += running.eq(0)
    # the decoder's contract: one request at a time, which holds until it is done
    m.d.comb += Assume(~(begin & running))
    held = past(m, running | execute.start)
    m.d.comb += Assume(~(held & running) | (execute.request.as_value() == past(m, execute.request.as_value())))
    m.d.comb += [Assert(~(end | execute.done | execute.o.valid) | running), Assert(opened.state("IDLE") == ~running)]
    left = Signal(32)
    for name, value in rank.items():
        with m.If(opened.state(name)):
            m.d.comb += left.eq(value)
    stays = Const(0, 1)
    for name in waits:
        stays = stays | (opened.state(name) & past(m, opened.state(name)))
    m.d.comb += Assert(~(past(m, running) & running) | stays | (left < past(m, left)))
    return running


def test_register_access():
    """Each request ends, with the payload and `done` that the decoder waits for; a write only where it is allowed."""
    m = Module()
    opened = Opened(m, dut := RegisterAccess())
    left, byte = opened["left"], opened["bytes_left"]
    rank = {"JUDGE": 2, "WRITE": 1, "REFUSE": 1, "CHECK": 2000}
    rank |= {"SEEK": 6 * left + 2, "LOAD": 6 * left + 1, "EMIT": 6 * left + 2 + byte}
    running = executor(m, opened, rank)
    m.d.comb += [Assert(~dut.write | (running & dut.writable)), Assert(~opened.state("LOAD") | (left != 0))]
    m.d.comb += Assert(~opened.state("EMIT") | ((byte != 0) & (byte <= 4)))
    # no more bytes than an answer holds
    said = Signal(10)
    m.d.sync += said.eq(Mux(dut.execute.start, 0, said + dut.execute.o.valid))
    busy = opened.state("SEEK") | opened.state("LOAD")
    m.d.comb += Assert(~busy | (said + 4 * left <= ANSWER_PAYLOAD))
    m.d.comb += Assert(~opened.state("EMIT") | (said + byte + 4 * left <= ANSWER_PAYLOAD))
    m.d.comb += Assert(~opened.state("CHECK") | (said == 0))
    prove(m, opened.inputs, depth=3)


def test_weight_access():
    """Each request ends; no word outside its memory is written, and none while samples are pending."""
    m = Module()
    opened = Opened(m, dut := WeightAccess(LANE))
    words, word, left, age, unread = (opened[name] for name in ("words", "word", "left", "age", "unread"))
    step = words * 64
    rank: dict[str, object] = {"COUNT": (1 << 24) + 2 + unread, "MEASURE": (1 << 24) + 1, "CHECK": 1 << 24}
    rank |= {"DIGEST": 8, "TAIL": left + 1, "DONE": 0}
    rank |= {"LOAD": step + 32 - age, "EMIT": step + left}
    rank |= {"FETCH": step + 3 * left + 3, "WAIT": step + 3 * left + 2, "TAKE": step + 3 * left + 1}
    executor(m, opened, rank)
    inside = (words != 0) & (word + words <= opened["depth"])
    m.d.comb += Assert(~opened.state("CHECK") | opened["outside"] | (inside & opened["known"]))
    size = opened["size"]
    for name in ("LOAD", "EMIT", "FETCH", "WAIT", "TAKE"):
        m.d.comb += Assert(~opened.state(name) | inside)
    for name in ("EMIT", "FETCH", "WAIT", "TAKE"):
        m.d.comb += Assert(~opened.state(name) | ((left != 0) & (left <= size)))
    m.d.comb += Assert(~opened.state("TAIL") | ((left != 0) & (left <= 4)))
    m.d.comb += [Assert(age <= READ_LATENCY), Assert(~(opened.state("COUNT") & opened["known"]) | (size != 0))]
    m.d.comb += Assert(~dut.write | (opened["known"] & (word < opened["depth"])))
    began = Signal()  # whether samples were pending when it was checked
    with m.If(opened.state("CHECK")):
        m.d.sync += began.eq(dut.pending)
    for name in ("LOAD", "EMIT", "DIGEST", "TAIL", "FETCH", "WAIT", "TAKE"):
        m.d.comb += Assert(~opened.state(name) | ~began)
    prove(m, opened.inputs, depth=3)


def sample_control(compact: bool) -> tuple[Module, Opened, SampleControl, Signal]:
    """With what is proved of it; the samples that are taken, or being taken, and unsaid."""
    m = Module()
    opened = Opened(m, dut := SampleControl(replace(LANE, compact=compact)))
    execute, most, byte = dut.execute, dut.in_flight, opened["byte"]
    states = ("IDLE", "CHECK", "HOLD", "RUN", "EMIT", "DONE")
    idle, check, hold, run, emit, done = (opened.state(name) for name in states)
    rank = {"CHECK": 100, "HOLD": 50, "RUN": 50, "EMIT": 10 - byte, "DONE": 1}
    begin, end = execute.start | execute.say, execute.done | execute.taken
    running = executor(m, opened, rank, waits=("CHECK", "HOLD", "RUN"), begin=begin, end=end)
    m.d.comb += [Assert(sum(opened.state(name) for name in states) == 1), Assert(~(execute.done & execute.taken))]
    saying, beside = Signal(), Signal()
    with m.If(execute.say):
        m.d.sync += saying.eq(1)
    with m.Elif(end):
        m.d.sync += saying.eq(0)
    with m.If(execute.start):
        m.d.sync += beside.eq(~execute.idle)
    request = execute.request
    sample = (request.command == Command.INFER) | (request.command == Command.TRAIN)
    train = request.command == Command.TRAIN
    # the decoder's contract: what isn't alone fits, was offered before, and is finished when it is to be said
    offered = past(m, request.as_value())
    m.d.comb += [
        Assume(~execute.start | execute.idle | execute.fits),
        Assume(~execute.start | (request.as_value() == offered)),
        Assume(~execute.start | sample | (request.command == Command.COMMIT)),
        Assume(~execute.say | execute.finished),
        Assume(~(execute.start & execute.say)),
    ]
    # the register file's: `pending` is counted at once; the others change while nothing is under way, nor is begun
    pending, quiet = Signal(len(dut.pending)), execute.idle & ~running & ~execute.start
    m.d.sync += pending.eq(Mux(dut.committed, 0, pending) + dut.trained)
    m.d.comb += [Assume(dut.pending == pending), Assume(~dut.written | quiet)]
    m.d.comb += Assume(past(m, quiet) | (dut.batch == past(m, dut.batch)))
    # what wrote them ended before a request was offered
    m.d.comb += Assume(~execute.start | (~past(m, dut.written) & (dut.batch == past(m, dut.batch))))
    # the core's: ready until a start, busy while it has samples, done once for each
    inside, flight = Signal(4), Signal(4)
    m.d.comb += [
        Assume(~past(m, dut.ready & ~dut.start) | dut.ready),
        Assume(~dut.done | (inside != 0)),
        Assume(~(inside != 0) | dut.busy),
    ]
    m.d.sync += inside.eq(inside + (dut.start & sample) - dut.done)
    m.d.sync += flight.eq(flight + (dut.start & sample) - (saying & execute.done))
    # claims
    m.d.comb += [
        Assert(~(dut.start & ~idle & sample) | (dut.ready & (flight < most))),
        Assert(flight <= most),
        Assert(~(execute.idle & ~running) | ((flight == 0) & (inside == 0))),
        Assert(saying | running | (execute.finished == (flight != inside))),
        Assert(~(execute.done & beside & ~saying)),
        Assert(~(saying & execute.done) | (execute.status == Status.OK)),
    ]
    started, status = Signal(), execute.status
    with m.If(begin):
        m.d.sync += started.eq(0)
    with m.Elif(dut.start):
        m.d.sync += started.eq(1)
    m.d.comb += [Assert(~(dut.start & started)), Assert(~dut.start | check)]
    m.d.comb += Assert(~(execute.done & ~saying) | (started == (status == Status.OK)))
    m.d.comb += Assert(~execute.taken | started)
    # it leaves these states as soon as the core lets it
    m.d.comb += Assert(~past(m, run & ~dut.busy) | emit)
    m.d.comb += Assert(~past(m, hold & ~dut.holding) | idle)
    m.d.comb += Assert(~past(m, check & dut.ready & (flight < most)) | ~check)
    # a batch never grows beyond its register
    m.d.comb += Assert(~(dut.start & train) | (dut.pending < dut.batch))
    # a sample's answer has as many bytes as it must, a COMMIT's too
    said = Signal(4)
    m.d.sync += said.eq(Mux(begin, 0, said + execute.o.valid))
    size = Mux(saying, Sampled.size(), Committed.size())
    m.d.comb += Assert(~(execute.done & (status == Status.OK)) | (said == size))
    # what makes the induction go through
    committing, waiting = opened["committing"], opened["waiting"]
    ends = emit | done
    m.d.comb += [
        Assert(inside == opened["inside"]),
        Assert(waiting == flight - inside + (emit & committing) - (done & ~committing)),
        Assert(flight >= inside),
        Assert(~ends | (committing == ~saying)),
        Assert(~saying | ends),
        Assert(~ends | (saying ^ (started & (request.command == Command.COMMIT)))),
        Assert(~(hold | run) | (started & (sample == hold))),
        Assert(~check | (~started & (said == 0) & (sample | (request.command == Command.COMMIT)))),
        Assert(~(run | (ends & ~saying)) | ((flight == 0) & ~beside)),
        Assert(~run | (said == 0)),
        Assert(~emit | (said + Committed.size() == byte + size)),
        Assert(~emit | (byte < Committed.size())),
        Assert(~done | (said == size)),
        Assert(~(emit & saying) | (flight != inside)),
        Assert(~(done & saying) | (flight != inside)),
        Assert(~(idle & committing) | past(m, done)),
        Assert(~(check | hold) | (~committing & (byte == Committed.size() - Sampled.size()))),
        Assert(~(check & ~beside) | (flight == 0)),
        Assert(~(check & beside) | (past(m, check) | past(m, execute.start))),
        Assert(~(check & beside) | (sample & (opened["judged"] == Status.OK))),
    ]
    return m, opened, dut, flight


@pytest.mark.parametrize("compact", [False, True])
def test_sample_control(compact):
    """The core is started at most once for a request, never for a refused one; each request ends when the core has.

    What fits is taken, not refused. Of taken samples there are never more than may be in flight; each can be said once, when
    the core is done with it, and no result is lost.
    """
    m, opened, _, _ = sample_control(compact)
    prove(m, opened.inputs, depth=4)


def test_samples_do_overlap_in_what_is_assumed_of_the_core():
    """As many are in flight as there may be."""
    m, opened, dut, flight = sample_control(compact=False)
    m.d.comb += Assert(flight < dut.in_flight)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=40)
