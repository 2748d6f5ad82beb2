# amaranth: UnusedElaboratable=no
"""Proofs about the sources of samples, each with the issuer, for all inputs and all time."""

from dataclasses import replace

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from nudge.golden.contract.protocol import (
    ASKED_BYTES,
    CRC_BYTES,
    REQUEST_BYTES,
    REQUEST_HEADER,
    VALUE_BYTES,
    Command,
    Committed,
    Sampled,
    Status,
)
from nudge.hw.core.interface import Operation
from nudge.hw.link import stored_samples
from nudge.hw.link.issuer import Issuer
from nudge.hw.link.line_samples import LineSamples
from nudge.hw.link.stored_samples import PAUSE, StoredSamples

from .prover import Opened, ProofError, keeps_its_offer, past, prove
from .test_executors import LANE, executor
from .test_stored_executors import counted, opened_with


class Issued(Opened):
    """The `Issuer` of a source, connected to it; with the core's contract assumed, and what the issuer owes
    the core and any source asserted."""

    def __init__(self, m: Module, source: wiring.Component):
        super().__init__(m, dut := Issuer(source.config), "issuer")
        connect(m, source.issue, dut.sources[0])
        offer = source.issue.o
        #: The core is given a sample, a COMMIT.
        self.begins, self.commits = Signal(), Signal(name="commits")
        #: Samples in the core; results that wait to be answered.
        self.inside, self.waiting = (self.parts[name].level for name in ("labels", "results"))
        held = past(m, offer.valid & ~offer.ready)
        is_train, is_commit = (offer.payload.operation == one for one in (Operation.TRAIN, Operation.COMMIT))
        idle, hold, commit = (self.state(name) for name in ("IDLE", "HOLD", "COMMIT"))
        m.d.comb += [
            self.begins.eq(dut.start & (dut.operation != Operation.COMMIT)),
            self.commits.eq(dut.start & (dut.operation == Operation.COMMIT)),
        ]
        inside = Signal(4)
        m.d.sync += inside.eq(inside + self.begins - dut.done)
        # the core's contract: ready stays until a start; it is busy while it has samples, holds the image of
        # the one that it began last, and is done once for each, not while it holds the image
        m.d.comb += [
            Assume(~past(m, dut.ready & ~dut.start) | dut.ready),
            Assume(~past(m, dut.start) | dut.busy),
            Assume(~past(m, self.begins) | dut.holding),
            Assume(~dut.done | (inside != 0)),
            Assume(~(inside != 0) | dut.busy),
            Assume(~(dut.done & dut.holding & hold) | (inside > 1)),
        ]
        # the register file's contract: `pending` counts at once
        pending = Signal(len(dut.pending))
        m.d.sync += pending.eq(Mux(dut.committed, 0, pending) + dut.trained)
        m.d.comb += Assume(dut.pending == pending)
        # claims: the core's rules are kept, no result is lost, samples start only with committed weights, and
        # a batch never grows beyond its register
        m.d.comb += [
            Assert(~self.begins | dut.ready & (inside + self.waiting < dut.in_flight)),
            Assert(~self.commits | ~dut.busy & (inside == 0) & (self.waiting == 0)),
            Assert(inside + self.waiting <= dut.in_flight),
            Assert(~self.begins | ~self["stale"]),
            Assert(~dut.trained | (dut.pending < dut.batch)),
            # it goes on as soon as the core allows it
            Assert(~past(m, idle & offer.valid & is_commit & ~dut.busy) | commit),
            Assert(~past(m, idle & offer.valid & ~is_commit & dut.sources[0].room) | hold),
            Assert(~past(m, (hold & ~dut.holding) | (commit & ~dut.busy)) | idle),
            # the stream's rule; a COMMIT has no label
            Assert(~held | offer.valid & (is_commit == past(m, is_commit)) & (is_train == past(m, is_train))),
            Assert(~held | is_commit | (offer.payload.label == past(m, offer.payload.label))),
        ]
        # invariants for the induction step
        m.d.comb += [
            Assert(inside == self.inside),
            Assert(idle ^ hold ^ commit),
            Assert(~hold | offer.valid & ~is_commit & (inside != 0)),
            Assert(~commit | offer.valid & is_commit & (inside == 0) & (self.waiting == 0)),
        ]


def line_samples(compact: bool) -> tuple[Module, list[Value], Signal, int]:
    """Return a module with assertions about `LineSamples` and its issuer, its inputs, the number of samples
    in flight (started in the core and without an answer yet), and their maximum."""
    m = Module()
    opened = Opened(m, dut := LineSamples(replace(LANE, compact=compact)))
    execute, byte, issuer = dut.execute, opened["byte"], Issued(m, dut)
    state = {name: opened.state(name) for name in ("IDLE", "CHECK", "OFFER", "EMIT", "DONE")}
    rank = {"CHECK": 100, "OFFER": 50, "EMIT": 10 - byte, "DONE": 1}
    begin, end = execute.start | execute.say, execute.done | execute.taken
    running = executor(m, opened, rank, waits=("OFFER",), begin=begin, end=end)
    saying, beside, started = Signal(), Signal(), Signal()
    flight, said = Signal(4), Signal(4)
    with m.If(execute.say):
        m.d.sync += saying.eq(1)
    with m.Elif(end):
        m.d.sync += saying.eq(0)
    with m.If(execute.start):
        m.d.sync += beside.eq(~execute.idle)
    with m.If(begin):
        m.d.sync += started.eq(0)
    with m.Elif(issuer.dut.start):
        m.d.sync += started.eq(1)
    m.d.sync += flight.eq(flight + issuer.begins - (saying & execute.done))
    m.d.sync += said.eq(Mux(begin, 0, said + execute.o.valid))
    assume_of_line(m, dut, issuer, running)
    # claims
    inside, waiting, most, status = issuer.inside, issuer.waiting, issuer.dut.in_flight, execute.status
    size = Mux(saying, Sampled.size(), Committed.size())
    m.d.comb += [
        Assert(~(execute.done & execute.taken)),
        Assert((inside <= flight) & (flight <= most)),
        Assert(~(execute.idle & ~running) | ((flight == 0) & (inside == 0))),
        Assert(saying | running | (execute.finished == (flight != inside))),
        Assert(~(execute.done & beside & ~saying)),
        Assert(~(saying & execute.done) | (status == Status.OK)),
        Assert(~issuer.dut.start | ~started & (state["CHECK"] | state["OFFER"])),
        Assert(~(execute.done & ~saying) | (started == (status == Status.OK))),
        Assert(~execute.taken | started),
        # answers of samples and of COMMIT have their exact sizes
        Assert(~(execute.done & (status == Status.OK)) | (said == size)),
    ]
    # invariants for the induction step
    invariants_of_line(m, opened, issuer, state, saying, beside, started, flight)
    emit, done = state["EMIT"], state["DONE"]
    m.d.comb += [
        Assert(waiting == flight - inside + (emit & ~saying) - (done & saying)),
        Assert(~(state["CHECK"] | state["OFFER"]) | (said == 0)),
        Assert(~emit | (said + Committed.size() == byte + size) & (byte < Committed.size())),
        Assert(~done | (said == size)),
    ]
    return m, [*opened.inputs, *issuer.inputs], flight, most


def assume_of_line(m: Module, dut: LineSamples, issuer: Issued, running: Signal) -> None:
    """Assume the contracts of the decoder and of the register file."""
    execute, request, registers = dut.execute, dut.execute.request, issuer.dut
    sample = (request.command == Command.INFER) | (request.command == Command.TRAIN)
    # a request that isn't alone fits, was offered in the two cycles before, and its answer is finished at
    # `say`
    offered = (request.as_value() == past(m, request.as_value())) & ~past(m, running)
    m.d.comb += [
        Assume(~execute.start | execute.idle | execute.fits),
        Assume(~execute.start | offered & past(m, offered)),
        Assume(~execute.start | sample | (request.command == Command.COMMIT)),
        Assume(~execute.say | execute.finished),
        Assume(~(execute.start & execute.say)),
    ]
    # registers and weights change only while no request runs or starts, before the request is offered
    quiet, same = execute.idle & ~running & ~execute.start, registers.batch == past(m, registers.batch)
    m.d.comb += [Assume(~registers.written | quiet), Assume(past(m, quiet) | same)]
    steady = ~past(m, registers.written) & same
    m.d.comb += Assume(~execute.start | steady & past(m, steady))


def invariants_of_line(m, opened, issuer, state, saying, beside, started, flight) -> None:
    """Assert what relates the states of `LineSamples` and of its issuer."""
    execute, request, core = opened.dut.execute, opened.dut.execute.request, issuer.dut
    train, commit = request.command == Command.TRAIN, request.command == Command.COMMIT
    sample = train | (request.command == Command.INFER)
    check, offer, ends = state["CHECK"], state["OFFER"], state["EMIT"] | state["DONE"]
    waits, committing, byte = offer & ~started, opened["committing"], opened["byte"]
    m.d.comb += [
        Assert(sum(state.values()) == 1),
        Assert(~(check | offer) | (sample | commit)),
        Assert(~check | ~started & ~committing & (byte == Committed.size() - Sampled.size())),
        Assert(~(check & ~beside) | (flight == 0)),
        Assert(~(check & beside) | past(m, execute.start) & sample & (opened["judged"] == Status.OK)),
        Assert(~(offer & commit) | (flight == 0) & ~beside),
        Assert(~offer | (started == ~issuer.state("IDLE"))),
        Assert(~(waits & sample) | ~issuer["stale"]),
        Assert(~(waits & train) | (core.pending < core.batch)),
        Assert(~saying | ends),
        Assert(~ends | (committing == ~saying) & (saying ^ (started & commit))),
        Assert(~(ends & saying) | (flight != issuer.inside)),
        Assert(~(ends & ~saying) | (flight == 0) & ~beside),
        Assert(~(state["IDLE"] & committing) | past(m, state["DONE"]) | past(m, offer)),
    ]


@pytest.mark.parametrize("compact", [False, True])
def test_line_samples(compact):
    """The core is started at most once for a request and never for a refused one, and each request ends once
    the core is done.

    A sample that fits is taken, not refused. At most `in_flight` samples are taken and unanswered; each is
    answered once, after the core is done with it, and no result is lost.
    """
    m, inputs, _, _ = line_samples(compact)
    prove(m, inputs, depth=4)


def test_samples_do_overlap_in_what_is_assumed_of_the_core():
    """The assumptions about the core allow `in_flight` samples in flight."""
    m, inputs, flight, most = line_samples(compact=False)
    m.d.comb += Assert(flight < most)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, inputs, depth=40)


def stored() -> tuple[Module, list[Value], StoredSamples]:
    """Return a module with assertions about `StoredSamples` and its issuer, its inputs, and the
    `StoredSamples`."""
    m = Module()
    opened, run = opened_with(m, dut := StoredSamples(LANE), stored_samples, "Run")
    names = ("IDLE", "MEASURE", "ORDER", "CHECK", "RUN", "COMMIT", "RESULT", "TAIL", "DONE")
    state, left, issuer = {name: opened.state(name) for name in names}, opened["left"], Issued(m, dut)
    execute, request, move, found = dut.execute, dut.execute.request, dut.move, dut.found
    rank = {
        "MEASURE": 100,
        "ORDER": 99,
        "CHECK": 90,
        "RUN": 80,
        "COMMIT": 60,
        "RESULT": 50,
        "TAIL": left + 1,
        "DONE": 0,
    }
    running = executor(m, opened, rank, waits=("CHECK", "RUN", "COMMIT"))
    train = request.command == Command.TRAIN_STORED
    # the decoder's contract: a whole frame of one of its commands
    m.d.comb += Assume(~execute.start | train | (request.command == Command.INFER_STORED))
    shortest = REQUEST_HEADER + CRC_BYTES + ASKED_BYTES
    m.d.comb += Assume(
        ~(execute.start | running) | (request.length >= shortest) & (request.length <= REQUEST_BYTES)
    )
    # registers and weights don't change while it runs
    batch = issuer.dut.batch
    m.d.comb += [Assume(~running | ~issuer.dut.written), Assume(~running | (batch == past(m, batch)))]
    # counts of what the request has done so far
    begun, commits = (counted(m, now, execute.start) for now in (issuer.begins, issuer.commits))
    moved, took = (counted(m, one.valid & one.ready, execute.start) for one in (move, found))
    said = counted(m, execute.o.valid, execute.start)
    # the store's contract: each requested sample comes once, and stays until it is taken
    kept = past(m, found.valid & ~found.ready)
    m.d.comb += [
        Assume(~found.valid | (moved != took)),
        Assume(~kept | found.valid & (found.payload.as_value() == past(m, found.payload.as_value()))),
    ]
    # claims: the core is started for a request alone, which has run all of its samples, or those before a
    # damaged one, or (refused) none
    finished = execute.done & (execute.status == Status.OK)
    damaged = execute.done & (execute.status == Status.BAD_IMAGE)
    refused = execute.done & ~finished & ~damaged
    m.d.comb += [
        Assert(~issuer.begins | running & state["RUN"]),
        Assert(~issuer.commits | running & state["COMMIT"]),
        Assert(~finished | (begun == run.samples) & (took == run.samples) & (commits == train)),
        Assert(~damaged | (begun < run.samples) & (commits == 0)),
        Assert(~(finished | damaged) | (said == begun + VALUE_BYTES) & (moved == took)),
        Assert(~refused | (begun == 0) & (moved == 0) & (commits == 0) & (said == 0)),
        Assert(~issuer.dut.committed | (commits == 1) & train),
        *keeps_its_offer(m, move),
    ]
    invariants_of_stored(m, opened, run, issuer, state, running, (begun, commits, moved, took, said))
    return m, [*opened.inputs, *issuer.inputs], dut


def invariants_of_stored(m, opened, run, issuer, state, running, counts) -> None:
    """Assert the invariants for the induction step. counts: of samples begun, COMMITs, samples requested from
    the store, samples taken from it, and bytes said in this request."""
    (begun, commits, moved, took, said), left = counts, opened["left"]
    execute, found, request = opened.dut.execute, opened.dut.found, opened.dut.execute.request
    train = request.command == Command.TRAIN_STORED
    batch, pending = issuer.dut.batch, issuer.dut.pending
    inside, waiting, pause, hold = issuer.inside, issuer.waiting, opened["pause"], issuer.state("HOLD")
    before = state["MEASURE"] | state["ORDER"] | state["CHECK"]
    behind = state["COMMIT"] | state["RESULT"] | state["TAIL"] | state["DONE"]
    m.d.comb += [
        Assert(sum(state.values()) == 1),
        Assert(state["RUN"] | (inside == 0) & (waiting == state["RESULT"]) & (pause == 0) & ~hold),
        Assert(pause <= PAUSE),
        Assert(run.bytes <= ASKED_BYTES),
        Assert(
            ~running
            | past(m, execute.start)
            | (run.samples == (request.length - (REQUEST_HEADER + CRC_BYTES)) >> 2)
        ),
        Assert(~running | (run.samples != 0)),
        Assert(
            ~before | (begun == 0) & (moved == 0) & (took == 0) & (commits == 0) & (said == 0) & ~run.ended
        ),
        Assert(~before | (run.fed == 0) & (run.taken == 0)),
        Assert(~before | (run.unchecked != 0) & (run.unchecked <= run.samples)),
        Assert(~(state["RUN"] & run.whole) | (run.more == (run.fed != run.samples))),
        Assert(~(state["CHECK"] | state["RUN"]) | ~issuer["stale"]),
        Assert(~((state["CHECK"] | state["RUN"]) & train) | (pending + run.samples - begun <= batch)),
        Assert(
            ~running | (run.fed == moved) & (run.taken == took) & (took <= moved) & (moved <= run.samples)
        ),
        Assert(~(running & ~run.ended) | (begun == took + hold)),
        Assert(~(running & run.ended) | (begun + 1 <= took) & ~hold),
        Assert(~hold | found.valid),
        Assert(~state["RUN"] | (begun == said + inside + waiting) & (commits == 0)),
        Assert(~(state["COMMIT"] | state["RESULT"]) | (said == begun) & train & ~run.ended),
        Assert(~(before | state["RUN"] | state["COMMIT"] | state["RESULT"]) | (left == VALUE_BYTES)),
        Assert(~(state["COMMIT"] | state["RESULT"]) | (commits == state["RESULT"] | issuer.state("COMMIT"))),
        Assert(~behind | (moved == took) & (run.ended | (took == run.samples))),
        Assert(~(state["TAIL"] | state["DONE"]) | (commits == (train & ~run.ended))),
        Assert(~state["TAIL"] | (left != 0) & (left <= VALUE_BYTES) & (said + left == begun + VALUE_BYTES)),
        Assert(~state["DONE"] | (said == begun + VALUE_BYTES)),
    ]


def test_stored_samples():
    """Each requested sample is started once and answered once, within the core's rules; a refused request
    starts none."""
    m, inputs, _ = stored()
    prove(m, inputs, depth=4)


def test_requests_are_taken_and_refused_in_what_is_assumed():
    """The assumptions allow a request to end. That samples are started is checked in
    sim/link/test_stored_samples.py, since it takes too many cycles for a solver."""
    m, inputs, dut = stored()
    m.d.comb += Assert(~dut.execute.done)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, inputs, depth=6)
