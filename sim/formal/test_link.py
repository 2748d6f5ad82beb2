# amaranth: UnusedElaboratable=no
"""What is proved of the link's parts, for all inputs and all time."""

import pytest
from amaranth.hdl import Assert, Assume, Const, Module, Mux, Signal

from golden.contract.config import Config
from golden.contract.presets import preset
from golden.contract.protocol import LONGEST_RUN, Command, Status
from hw.core.interface import READ_LATENCY
from hw.link.decoder import EXECUTORS, Decoder
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


def decoder() -> tuple[Module, Opened, Decoder, Signal]:
    """With what is proved of it; the executors that run."""
    m = Module()
    identity = b"id"
    opened = Opened(m, dut := Decoder(identity, window=2))
    executors = {name: getattr(dut, name) for name in EXECUTORS}
    starts = {name: e.start for name, e in executors.items()}
    begun, running = Signal(), Signal(len(starts))
    m.d.comb += begun.eq(sum(starts.values()) != 0)
    for n, executor in enumerate(executors.values()):
        # the contract of executors: done comes once, after start; nothing is said when not running
        m.d.comb += Assume(~(executor.done | executor.o.valid) | running[n])
        with m.If(executor.start):
            m.d.sync += running[n].eq(1)
        with m.Elif(executor.done):
            m.d.sync += running[n].eq(0)
    # the contract of the deframer: what is offered stays
    held = past(m, dut.i.valid & ~dut.i.ready)
    m.d.comb += Assume(~held | (dut.i.valid & (dut.i.payload.as_value() == past(m, dut.i.payload.as_value()))))

    request, known, last = dut.i.payload, Signal(), Signal(8)
    hello = dut.write & ~begun & (running == 0)  # the identity is being written
    with m.If(hello | begun):
        m.d.sync += [known.eq(1), last.eq(request.sequence)]
    m.d.comb += Assert(~begun | (known & (request.sequence == (last + 1)[:8]) & (sum(starts.values()) == 1)))
    m.d.comb += keeps_its_offer(m, dut.o)
    # what makes the induction go through
    executed, upcoming = opened["executed"], opened["upcoming"]
    m.d.comb += [Assert(executed <= 2), Assert(sum(running) <= 1), Assert(known | (executed == 0))]
    execute = opened.state("EXECUTE")
    m.d.comb += Assert((running == 0) | execute)
    m.d.comb += Assert(execute | (executed == 0) | (upcoming == (last + 1)[:8]))
    saying, length = request.command == Command.HELLO, opened["length"]
    current = known & (last == request.sequence)
    said = (running == 0) & (length <= len(identity)) & ((length == 0) | current)
    done = opened["done"]
    m.d.comb += [Assert(~execute | Mux(saying, said & ~done, ((running != 0) ^ done) & current)), Assert(~done | execute)]
    checked = opened.state("SEQUENCE")
    legal = sum(request.command == command for command in Command) != 0
    m.d.comb += Assert(~(execute | checked) | (dut.i.valid & legal))
    m.d.comb += Assert(~checked | (length == 0))
    return m, opened, dut, running


def test_decoder():
    """Each request is started at most once, and in order: its number follows the one before. Answers stay until taken."""
    m, opened, _, _ = decoder()
    prove(m, opened.inputs, depth=5)


def test_decoder_never_waits_for_ever():
    """With a framer that takes what it is given, and executors that need a cycle, each frame is taken within a few."""
    m, opened, dut, running = decoder()
    m.d.comb += Assume(dut.o.ready)
    m.d.comb += [Assume(getattr(dut, name).done == running[n]) for n, name in enumerate(EXECUTORS)]
    waited = Signal(8)
    m.d.sync += waited.eq(Mux(dut.i.valid & ~dut.i.ready, waited + 1, 0))
    m.d.comb += Assert(waited <= 7)
    prove(m, opened.inputs, depth=12)


def executor(m: Module, opened: Opened, rank: dict[str, object], waits: str | None = None) -> Signal:
    """What the decoder relies on: `done` and payload come only between `start` and `done`, and `done` comes.

    rank: an upper bound of the cycles left, by state; it must fall in every cycle, so each request ends. waits: the state
    that waits for the core, in which it needn't. Gives `running`.
    """
    execute, running = opened.dut.execute, Signal()
    with m.If(execute.start):
        m.d.sync += running.eq(1)
    with m.Elif(execute.done):
        m.d.sync += running.eq(0)
    # the decoder's contract: one request at a time, which holds until it is done
    m.d.comb += Assume(~(execute.start & running))
    held = past(m, running | execute.start)
    m.d.comb += Assume(~(held & running) | (execute.request.as_value() == past(m, execute.request.as_value())))
    m.d.comb += [Assert(~(execute.done | execute.o.valid) | running), Assert(opened.state("IDLE") == ~running)]
    left = Signal(32)
    for name, value in rank.items():
        with m.If(opened.state(name)):
            m.d.comb += left.eq(value)
    stays = Const(0, 1) if waits is None else opened.state(waits) & past(m, opened.state(waits))
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


def test_sample_control():
    """The core is started at most once for a request, never for a refused one; each request ends when the core has."""
    m = Module()
    opened = Opened(m, dut := SampleControl(LANE))
    left = opened["left"]
    rank = {"CHECK": 100, "RUN": 50, "EMIT": left + 1, "DONE": 1}
    executor(m, opened, rank, waits="RUN")
    m.d.comb += Assert(~opened.state("EMIT") | ((left != 0) & (left <= 6)))
    started, status = Signal(), dut.execute.status
    with m.If(dut.execute.start):
        m.d.sync += started.eq(0)
    with m.Elif(dut.start):
        m.d.sync += started.eq(1)
    after = opened.state("RUN") | opened.state("EMIT") | opened.state("DONE")
    m.d.comb += [Assert(~(dut.start & started)), Assert(opened.state("IDLE") | (started == after))]
    m.d.comb += Assert(~dut.execute.done | (started == (status == Status.OK)))
    # it leaves RUN in the first cycle in which the core isn't busy
    m.d.comb += Assert(~past(m, opened.state("RUN") & ~dut.busy) | opened.state("EMIT"))
    # a batch never grows beyond its register, if `pending` only grows by `trained`
    train = dut.execute.request.command == Command.TRAIN
    m.d.comb += Assert(~(dut.start & train) | (dut.pending < dut.batch))
    prove(m, opened.inputs, depth=3)
