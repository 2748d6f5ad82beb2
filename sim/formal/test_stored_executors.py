# amaranth: UnusedElaboratable=no
"""Proofs about the executors of the commands for stored samples, for all inputs and all time."""

from typing import Any

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal

from nudge.golden.contract.messages import LABELS
from nudge.golden.contract.protocol import (
    ASKED_BYTES,
    CRC_BYTES,
    MAX_DIGESTED,
    REQUEST_BYTES,
    REQUEST_HEADER,
    VALUE_BYTES,
    Command,
    SampleNumber,
    SampleRange,
    Status,
)
from nudge.golden.contract.stored import HEADER_WORDS, MAX_CODED, MAX_RECORD_WORDS, MAX_SAMPLES, WORD_BYTES
from nudge.hw.core.interface import Operation
from nudge.hw.link import record_access as access
from nudge.hw.link import stored_samples as samples
from nudge.hw.link.record_access import RecordAccess
from nudge.hw.link.stored_samples import PAUSE, StoredSamples

from .prover import Opened, ProofError, keeps_its_offer, past, prove
from .test_executors import LANE, executor

#: Maximum cycles that `FrameBytes` takes for a byte.
BYTE = 3


def opened_with(m: Module, dut: Any, module: Any, name: str) -> tuple[Opened, Any]:
    """Open a component; return it with the instance of class `name` of its module that holds its signals."""
    kept: list[Any] = []

    def make() -> Any:
        kept.append(made())
        return kept[0]

    made = getattr(module, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, make)
        opened = Opened(m, dut)
    (found,) = kept
    return opened, found


def counted(m: Module, now, start) -> Signal:
    """Return the number of cycles since `start` in which `now` was high."""
    count = Signal(range(1 << 12))
    m.d.sync += count.eq(Mux(start, 0, count + now))
    return count


def waits_at_most(m: Module, cycles: int, waiting) -> Signal:
    """Assert that `waiting` is high for at most `cycles` cycles in a row; return the count so far."""
    waited = Signal(range(cycles + 2))
    m.d.sync += waited.eq(Mux(waiting, waited + (waited <= cycles), 0))
    m.d.comb += Assert(~waiting | (waited < cycles))
    return waited


def record_access() -> tuple[Module, Opened, RecordAccess]:
    """Return a module with the assertions, the opened `RecordAccess` in it, and the `RecordAccess`."""
    m = Module()
    opened, at = opened_with(m, dut := RecordAccess(), access, "Records")
    names = ("SEEK", "HEADER", "MEASURE", "JUDGE", "ADD", "ALL", "COPY", "RANGE", "DIGEST", "TAIL", "DONE")
    state = {name: opened.state(name) for name in ("IDLE", *names)}
    place, following, end, records, left = at.place, at.following, at.end, at.records, at.left
    header, storing, index = at.header, at.storing, at.index
    execute, request, record = dut.execute, dut.execute.request, dut.record
    first = request.arguments[: 8 * SampleNumber.size()]
    wanted = request.arguments[8 * SampleNumber.size() : 8 * SampleRange.size()]
    behind = (2 * REQUEST_BYTES - place) << 4
    passed = 1 << 20  # added to the rank of the first reading, since `place` starts anew in the second
    offsets = {"SEEK": 4, "HEADER": 3, "MEASURE": 2, "JUDGE": 1}
    rank = {name: behind + offset + Mux(storing, 0, passed) for name, offset in offsets.items()}
    rank |= {"COPY": behind, "ADD": passed + 2, "ALL": passed + 1, "RANGE": 20, "DIGEST": 10, "TAIL": left + 1, "DONE": 0}
    running = executor(m, opened, rank, waits=("HEADER", "COPY", "DIGEST"))
    stores = request.command == Command.STORE
    # the decoder's contract: a whole frame of one of its commands
    m.d.comb += Assume(~execute.start | stores | (request.command == Command.STORE_DIGEST))
    shortest = REQUEST_HEADER + CRC_BYTES + Mux(stores, SampleNumber.size(), SampleRange.size())
    m.d.comb += Assume(~(execute.start | running) | (request.length >= shortest) & (request.length <= REQUEST_BYTES))
    # the frame doesn't change: the second reading finds the same records as the first
    coded, label = header[:16], header[16:]
    words = (HEADER_WORDS + ((coded + WORD_BYTES - 1) >> 1))[: (REQUEST_BYTES - 1).bit_length()]
    whole = (coded != 0) & (coded <= MAX_CODED) & (label < LABELS) & (following <= end)
    taken = record.valid & record.ready
    stored = counted(m, taken, execute.start)
    m.d.comb += Assume(~(state["JUDGE"] & storing) | (whole & ((following == end) == (stored + 1 == records))))
    # the store's contract: it takes a record after its words, and then counts it; nothing else changes while
    # a request runs
    given = counted(m, dut.data.valid & dut.data.ready, execute.start | taken)
    m.d.comb += Assume(~record.ready | (record.valid & (left == 0)))
    after, quiet = past(m, taken), past(m, running | execute.start)
    kept = (dut.count == past(m, dut.count)) & (dut.end == past(m, dut.end))
    m.d.comb += [
        Assume(~quiet | after | kept),
        Assume(~after | (dut.count >= past(m, dut.count)) & (dut.count > past(m, record.payload.index))),
    ]
    # claims: each record that is offered may be stored, and has all of its words
    m.d.comb += [
        Assert(~record.valid | (running & stores & storing)),
        Assert(~record.valid | (record.payload.words > HEADER_WORDS) & (record.payload.words <= MAX_RECORD_WORDS)),
        Assert(~record.valid | (index < MAX_SAMPLES) & (index <= dut.count) & (record.payload.index == index)),
        Assert(~dut.data.valid | record.valid & (given < record.payload.words)),
        Assert(~taken | (given == record.payload.words)),
    ]
    # a digest is requested only for stored records, and its answer has VALUE_BYTES bytes
    ranged = counted(m, dut.range.valid & dut.range.ready, execute.start)
    said = counted(m, execute.o.valid, execute.start)
    within = (wanted != 0) & (wanted <= MAX_DIGESTED) & (first + wanted <= dut.count)
    m.d.comb += Assert(~dut.range.valid | (running & ~stores & within))
    finished = execute.done & (execute.status == Status.OK)
    m.d.comb += [
        Assert(~finished | (said == Mux(stores, 0, VALUE_BYTES))),
        Assert(~finished | Mux(stores, (stored == records) & (records != 0), ranged == 1)),
        # a refused request has no effect
        Assert(~(execute.done & ~finished) | ((stored == 0) & (ranged == 0) & (said == 0) & (given == 0))),
    ]
    # it continues as soon as the store does, and a byte and a word arrive within a bounded time
    m.d.comb += [Assert(~past(m, taken) | ~state["COPY"]), Assert(~past(m, dut.range.valid & dut.range.ready) | state["TAIL"])]
    waited = waits_at_most(m, BYTE * 3, state["HEADER"])
    waits_at_most(m, BYTE * WORD_BYTES + 1, state["COPY"] & (left != 0) & ~dut.data.valid)
    # invariants for the induction step
    reading = state["SEEK"] | state["HEADER"] | state["MEASURE"] | state["JUDGE"]
    early = state["RANGE"] | state["DIGEST"]
    m.d.comb += [
        Assert(sum(state.values()) == 1),
        Assert(~(reading | state["ADD"] | state["ALL"] | state["COPY"]) | stores),
        Assert(~(early | state["TAIL"]) | ~stores),
        Assert(~running | past(m, execute.start) | (end == request.length - CRC_BYTES)),
        Assert(~(state["JUDGE"] | state["COPY"]) | (following == (place + (words * WORD_BYTES))[: len(following)])),
        Assert(~running | (stored == 0) | storing),
        Assert(~(state["ALL"] | state["ADD"]) | (stored == 0) & (records != 0) & (records <= REQUEST_BYTES // 2)),
        Assert(~(state["COPY"] | reading & storing) | (stored < records) & (index == first + stored)),
        Assert(~(state["COPY"] | reading & storing) | (first <= dut.count) & (index <= dut.count)),
        Assert(~(state["COPY"] | reading & storing) | (first + records <= MAX_SAMPLES)),
        Assert(~state["COPY"] | storing & whole & ((following == end) == (stored + 1 == records))),
        Assert(~state["COPY"] | (given + left == record.payload.words)),
        Assert(~(running & stores & ~state["COPY"]) | (given == 0)),
        Assert(~(reading & ~storing) | (stored == 0)),
        Assert(~(state["DONE"] & stores) | (stored == records) & (records != 0)),
        Assert(~(running & stores) | (said == 0) & (ranged == 0)),
        Assert(~(running & ~stores) | (stored == 0) & (given == 0)),
        Assert(~early | (said == 0) & (ranged == 0) & (left == VALUE_BYTES)),
        Assert(~state["TAIL"] | (said + left == VALUE_BYTES) & (left != 0) & (ranged == 1)),
        Assert(~(state["DONE"] & ~stores) | (said == VALUE_BYTES) & (ranged == 1)),
        Assert(~state["DIGEST"] | (wanted != 0) & (wanted <= MAX_DIGESTED)),
        Assert(~(state["ADD"]) | ~storing),
        Assert(~(running & stores & ~state["DONE"]) | (place <= REQUEST_BYTES)),
        Assert(~(reading & ~storing) | (place >= access.RECORDS_AT + 2 * records)),
        Assert(~state["HEADER"] | (at.read < 3) & (waited >= BYTE * at.read) & (waited < BYTE * (at.read + 1))),
    ]
    return m, opened, dut


def test_record_access():
    """Each request ends; records are offered with all words, and only if all of a frame can be stored."""
    m, opened, _ = record_access()
    prove(m, opened.inputs, depth=8)


def test_digests_are_asked_for_in_what_is_assumed():
    m, opened, dut = record_access()
    m.d.comb += Assert(~dut.range.valid)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=4)


def stored_samples() -> tuple[Module, Opened, StoredSamples]:
    """Return a module with the assertions, the opened `StoredSamples` in it, and the `StoredSamples`."""
    m = Module()
    opened, run = opened_with(m, dut := StoredSamples(LANE), samples, "Run")
    names = ("IDLE", "MEASURE", "ORDER", "CHECK", "RUN", "REST", "COMMIT", "TAIL", "DONE")
    state = {name: opened.state(name) for name in names}
    left = opened["left"]
    # Amaranth names only the last signal of a multiple assignment: find others by position and width
    holding = opened.signals[[signal.name for signal in opened.signals].index("begin") + 1]
    (pause,) = (one for one in opened.signals if one.name == "$signal" and len(one) == PAUSE.bit_length())
    inside, waiting = (opened.parts[name].level for name in ("labels", "results"))
    execute, request, move, found = dut.execute, dut.execute.request, dut.move, dut.found
    rank = {"MEASURE": 100, "ORDER": 99, "CHECK": 90, "RUN": 80, "REST": 70, "COMMIT": 60, "TAIL": left + 1, "DONE": 0}
    running = executor(m, opened, rank, waits=("CHECK", "RUN", "REST", "COMMIT"))
    train = request.command == Command.TRAIN_STORED
    # the decoder's contract: a whole frame of one of its commands
    m.d.comb += Assume(~execute.start | train | (request.command == Command.INFER_STORED))
    shortest = REQUEST_HEADER + CRC_BYTES + ASKED_BYTES
    m.d.comb += Assume(~(execute.start | running) | (request.length >= shortest) & (request.length <= REQUEST_BYTES))
    # counts of what the request has done so far
    commit = dut.operation == Operation.COMMIT
    begun = counted(m, dut.start & ~commit, execute.start)
    commits = counted(m, dut.start & commit, execute.start)
    moved = counted(m, move.valid & move.ready, execute.start)
    took = counted(m, found.valid & found.ready, execute.start)
    said = counted(m, execute.o.valid, execute.start)
    # the store's contract: each requested sample comes once, and stays until it is taken
    kept = past(m, found.valid & ~found.ready)
    m.d.comb += [
        Assume(~found.valid | (moved != took)),
        Assume(~kept | found.valid & (found.payload.as_value() == past(m, found.payload.as_value()))),
    ]
    # the core's contract: it holds the image of the sample that it began last, and isn't done with it before
    m.d.comb += [
        Assume(~past(m, dut.start & ~commit) | dut.holding),
        Assume(~dut.done | (inside != 0)),
        Assume(~(dut.done & dut.holding & holding) | (inside > 1)),
        Assume(~past(m, dut.start) | dut.busy),
        Assume(~(inside != 0) | dut.busy),
    ]
    ready = past(m, dut.ready & ~dut.start)
    m.d.comb += Assume(~ready | dut.ready)
    # claims: the core's rules are kept, and at most `in_flight` samples are in it or unanswered
    m.d.comb += [
        Assert(~dut.start | dut.active & running),
        Assert(~(dut.start & ~commit) | dut.ready & state["RUN"]),
        Assert(~(dut.start & commit) | ~dut.busy & state["REST"] & (inside == 0)),
        Assert(inside + waiting <= dut.in_flight),
        Assert(~dut.active | running),
        *keeps_its_offer(m, move),
    ]
    # a request has run all of its samples, or those before a damaged one, or (refused) none
    finished = execute.done & (execute.status == Status.OK)
    damaged = execute.done & (execute.status == Status.BAD_IMAGE)
    refused = execute.done & ~finished & ~damaged
    m.d.comb += [
        Assert(~finished | (begun == run.samples) & (took == run.samples) & (commits == train)),
        Assert(~damaged | (begun < run.samples) & (commits == 0)),
        Assert(~(finished | damaged) | (said == begun + VALUE_BYTES) & (moved == took)),
        Assert(~refused | (begun == 0) & (moved == 0) & (commits == 0) & (said == 0)),
        Assert(~dut.commits | (commits == 1) & train),
    ]
    # invariants for the induction step
    before = state["MEASURE"] | state["ORDER"] | state["CHECK"]
    behind = state["REST"] | state["COMMIT"] | state["TAIL"] | state["DONE"]
    m.d.comb += [
        Assert(sum(state.values()) == 1),
        Assert(state["RUN"] | (inside == 0) & (waiting == 0) & (pause == 0) & ~holding),
        Assert(pause <= PAUSE),
        Assert(run.bytes <= ASKED_BYTES),
        Assert(~running | past(m, execute.start) | (run.samples == (request.length - (REQUEST_HEADER + CRC_BYTES)) >> 2)),
        Assert(~running | (run.samples != 0)),
        Assert(~before | (begun == 0) & (moved == 0) & (took == 0) & (commits == 0) & (said == 0) & ~run.ended),
        Assert(~before | (run.fed == 0) & (run.taken == 0)),
        Assert(~state["CHECK"] | (run.read < run.samples)),
        Assert(~running | (run.fed == moved) & (run.taken == took) & (took <= moved) & (moved <= run.samples)),
        Assert(~(running & ~run.ended) | (begun == took + holding)),
        Assert(~(running & run.ended) | (begun + 1 <= took + holding)),
        Assert(~holding | (inside != 0) & found.valid),
        Assert(~(holding & run.ended) | (moved != took)),
        Assert(~state["RUN"] | (begun == said + inside + waiting) & (commits == 0)),
        Assert(~(state["REST"] | state["COMMIT"]) | (said == begun) & train & ~run.ended & (left == VALUE_BYTES)),
        Assert(~state["REST"] | (commits == 0)),
        Assert(~state["COMMIT"] | (commits == 1)),
        Assert(~behind | (moved == took) & (run.ended | (took == run.samples))),
        Assert(~(state["TAIL"] | state["DONE"]) | (commits == (train & ~run.ended))),
        Assert(~state["TAIL"] | (left != 0) & (left <= VALUE_BYTES) & (said + left == begun + VALUE_BYTES)),
        Assert(~state["DONE"] | (said == begun + VALUE_BYTES)),
    ]
    return m, opened, dut


def test_stored_samples():
    """Each requested sample is started once and answered once, within the core's rules; a refused request
    starts none."""
    m, opened, _ = stored_samples()
    prove(m, opened.inputs, depth=4)


def test_requests_are_taken_and_refused_in_what_is_assumed():
    """The assumptions allow a request to end. That samples are started is checked in
    sim/link/test_stored_samples.py, since it takes too many cycles for a solver."""
    m, opened, dut = stored_samples()
    m.d.comb += Assert(~dut.execute.done)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=6)
