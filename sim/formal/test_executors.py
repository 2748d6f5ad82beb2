# amaranth: UnusedElaboratable=no
"""Proofs about the executors of commands, for all inputs and all time."""

from dataclasses import replace

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Command, Committed, Sampled, Status
from nudge.hw.core.interface import READ_LATENCY
from nudge.hw.link.interface import ANSWER_PAYLOAD
from nudge.hw.link.register_access import RegisterAccess
from nudge.hw.link.sample_control import SampleControl
from nudge.hw.link.weight_access import WeightAccess

from .prover import Opened, ProofError, past, prove

#: One lane for each layer; all lanes are alike, so a proof for one holds for all.
LANE = Config(preset("tiny"), (1, 1, 1))


def executor(m: Module, opened: Opened, rank: dict[str, object], waits: tuple[str, ...] = (), begin=None, end=None) -> Signal:
    """Assert the executors' contract with the decoder: `done` and payload come only while running, and `done`
    comes.

    rank: an upper bound of the remaining cycles, by state; it must fall in every cycle, so that each request
    ends. waits: states that wait for another part, in which the rank may stay. begin, end: replacements of
    `start` and `done`. Returns `running`, which is high from `begin` to `end`.
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
    """Each request ends, its payload fits into an answer, and only writable registers are written."""
    m = Module()
    opened = Opened(m, dut := RegisterAccess())
    left, byte = opened["left"], opened["bytes_left"]
    rank = {"JUDGE": 2, "WRITE": 1, "REFUSE": 1, "CHECK": 2000}
    rank |= {"SEEK": 6 * left + 2, "LOAD": 6 * left + 1, "EMIT": 6 * left + 2 + byte}
    running = executor(m, opened, rank)
    m.d.comb += [Assert(~dut.write | (running & dut.writable)), Assert(~opened.state("LOAD") | (left != 0))]
    # `writable` is about the address and data of the cycle before
    kept = (dut.address == past(m, dut.address)) & (dut.write_data == past(m, dut.write_data))
    m.d.comb += Assert(~dut.write | kept)
    m.d.comb += Assert(~opened.state("EMIT") | ((byte != 0) & (byte <= 4)))
    # no more bytes than an answer holds
    said = Signal(10)
    m.d.sync += said.eq(Mux(dut.execute.start, 0, said + dut.execute.o.valid))
    busy = opened.state("SEEK") | opened.state("LOAD")
    m.d.comb += Assert(~busy | (said + 4 * left <= ANSWER_PAYLOAD))
    m.d.comb += Assert(~opened.state("EMIT") | (said + byte + 4 * left <= ANSWER_PAYLOAD))
    m.d.comb += Assert(~opened.state("CHECK") | (said == 0))
    prove(m, opened.inputs, depth=3)


@pytest.mark.parametrize("centred", [False, True])
def test_weight_access(centred):
    """Each request ends, and never writes outside a memory, while samples are pending, or if refused."""
    m = Module()
    spec = replace(LANE.spec, schedule=replace(LANE.spec.schedule, centred=centred))
    opened = Opened(m, dut := WeightAccess(replace(LANE, spec=spec)))
    words, word, left, age, unread = (opened[name] for name in ("words", "word", "left", "age", "unread"))
    step = words * 64
    rank: dict[str, object] = {"COUNT": (1 << 24) + 2 + unread, "MEASURE": (1 << 24) + 1, "CHECK": 1 << 24}
    rank |= {"DIGEST": 8, "TAIL": left + 1, "DONE": 0}
    rank |= {"LOAD": step + 32 - age, "EMIT": step + left}
    rank |= {"FETCH": step + 3 * left + 3, "WAIT": step + 3 * left + 2, "TAKE": step + 3 * left + 1}
    if centred:
        first_round = Mux(opened["checked"], 0, 1 << 26)
        rank |= {name: rank[name] + first_round for name in ("COUNT", "MEASURE", "CHECK", "FETCH", "WAIT", "TAKE")}
        rank["AGAIN"] = 1 << 25
    executor(m, opened, rank)
    wrote = Signal()
    m.d.sync += wrote.eq(~dut.execute.start & (wrote | dut.write))
    m.d.comb += Assert(~(dut.execute.done & (dut.execute.status != Status.OK)) | ~wrote)
    before = ["COUNT", "MEASURE", "CHECK", *(["AGAIN"] if centred else [])]
    m.d.comb += Assert(~Cat(opened.state(name) for name in before).any() | ~wrote)
    if centred:
        m.d.comb += Assert(opened["checked"] | ~wrote | opened.state("IDLE"))
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
    began = Signal()  # whether samples were pending in CHECK
    with m.If(opened.state("CHECK")):
        m.d.sync += began.eq(dut.pending)
    for name in ("LOAD", "EMIT", "DIGEST", "TAIL", "FETCH", "WAIT", "TAKE"):
        m.d.comb += Assert(~opened.state(name) | ~began)
    prove(m, opened.inputs, depth=3)


def sample_control(compact: bool) -> tuple[Module, Opened, SampleControl, Signal]:
    """Return a module with the assertions, the opened `SampleControl` in it, the `SampleControl`, and the
    number of samples in flight: started in the core and without an answer yet."""
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
    # the decoder's contract: a request that isn't alone fits, was offered in the cycle before, and its answer
    # is finished at `say`
    offered = past(m, request.as_value())
    m.d.comb += [
        Assume(~execute.start | execute.idle | execute.fits),
        Assume(~execute.start | (request.as_value() == offered)),
        Assume(~execute.start | sample | (request.command == Command.COMMIT)),
        Assume(~execute.say | execute.finished),
        Assume(~(execute.start & execute.say)),
    ]
    # the register file's contract: `pending` counts at once; the other registers change only while no request
    # runs or starts
    pending, quiet = Signal(len(dut.pending)), execute.idle & ~running & ~execute.start
    m.d.sync += pending.eq(Mux(dut.committed, 0, pending) + dut.trained)
    m.d.comb += [Assume(dut.pending == pending), Assume(~dut.written | quiet)]
    m.d.comb += Assume(past(m, quiet) | (dut.batch == past(m, dut.batch)))
    # a write of registers ended before the request was offered
    m.d.comb += Assume(~execute.start | (~past(m, dut.written) & (dut.batch == past(m, dut.batch))))
    # the core's contract: ready stays until a start, busy while it has samples, done once for each
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
    # it leaves these states as soon as the core allows it
    m.d.comb += Assert(~past(m, run & ~dut.busy) | emit)
    m.d.comb += Assert(~past(m, hold & ~dut.holding) | idle)
    m.d.comb += Assert(~past(m, check & dut.ready & (flight < most)) | ~check)
    # a batch never grows beyond its register
    m.d.comb += Assert(~(dut.start & train) | (dut.pending < dut.batch))
    # answers of samples and of COMMIT have their exact sizes
    said = Signal(4)
    m.d.sync += said.eq(Mux(begin, 0, said + execute.o.valid))
    size = Mux(saying, Sampled.size(), Committed.size())
    m.d.comb += Assert(~(execute.done & (status == Status.OK)) | (said == size))
    # invariants for the induction step
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
    """The core is started at most once for a request and never for a refused one, and each request ends once
    the core is done.

    A sample that fits is taken, not refused. At most `in_flight` samples are taken and unanswered; each is
    answered once, after the core is done with it, and no result is lost.
    """
    m, opened, _, _ = sample_control(compact)
    prove(m, opened.inputs, depth=4)


def test_samples_do_overlap_in_what_is_assumed_of_the_core():
    """The assumptions about the core allow `in_flight` samples in flight."""
    m, opened, dut, flight = sample_control(compact=False)
    m.d.comb += Assert(flight < dut.in_flight)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=40)
