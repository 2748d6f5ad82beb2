# amaranth: UnusedElaboratable=no
"""Proofs about the executors of the commands for stored samples, for all inputs and all time."""

from typing import Any

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal, Value

from nudge.golden.contract.messages import LABELS
from nudge.golden.contract.protocol import (
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
from nudge.hw.link import record_access as access
from nudge.hw.link.record_access import RecordAccess

from .prover import Opened, ProofError, past, prove
from .test_executors import executor

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


def range_of(request) -> tuple[Value, Value]:
    """Return the first sample and the number of samples of a STORE_DIGEST."""
    size = 8 * SampleNumber.size()
    return request.arguments[:size], request.arguments[size : 8 * SampleRange.size()]


def whole(at) -> Value:
    """Return whether the header read last is that of a record that may be stored and ends in the frame."""
    coded, label = at.header[:16], at.header[16:]
    return (coded != 0) & (coded <= MAX_CODED) & (label < LABELS) & (at.following <= at.end)


def is_last(at) -> Value:
    """Return whether the current record ends with the frame."""
    return at.following == at.end


def rank_of_records(at) -> dict[str, Any]:
    """Return the rank of each state but IDLE for `executor`."""
    behind = (2 * REQUEST_BYTES - at.place) << 4
    passed = 1 << 20  # added to the rank of the first reading, since `place` starts anew in the second
    offsets = {"SEEK": 5, "HEADER": 4, "MEASURE": 3, "COMPARE": 2, "JUDGE": 1}
    rank = {name: behind + offset + Mux(at.storing, 0, passed) for name, offset in offsets.items()}
    return rank | {
        "COPY": behind,
        "ADD": passed + 2,
        "ALL": passed + 1,
        "RANGE": 20,
        "DIGEST": 10,
        "TAIL": at.left + 1,
        "DONE": 0,
    }


def record_access() -> tuple[Module, Opened, RecordAccess]:
    """Return a module with the assertions, the opened `RecordAccess` in it, and the `RecordAccess`."""
    m = Module()
    opened, at = opened_with(m, dut := RecordAccess(), access, "Records")
    rank = rank_of_records(at)
    state = {name: opened.state(name) for name in ("IDLE", *rank)}
    records, left, storing, index = at.records, at.left, at.storing, at.index
    execute, request, record = dut.execute, dut.execute.request, dut.record
    first, wanted = range_of(request)
    running = executor(m, opened, rank, waits=("HEADER", "COPY", "DIGEST"))
    m.d.comb += Assert(~state["JUDGE"] | (at.whole == whole(at)))
    m.d.comb += Assert(~(state["JUDGE"] | state["COPY"]) | (at.last == is_last(at)))
    stores = request.command == Command.STORE
    # the decoder's contract: a whole frame of one of its commands
    m.d.comb += Assume(~execute.start | stores | (request.command == Command.STORE_DIGEST))
    shortest = REQUEST_HEADER + CRC_BYTES + Mux(stores, SampleNumber.size(), SampleRange.size())
    m.d.comb += Assume(
        ~(execute.start | running) | (request.length >= shortest) & (request.length <= REQUEST_BYTES)
    )
    # the frame doesn't change: the second reading finds the same records as the first
    taken = record.valid & record.ready
    stored = counted(m, taken, execute.start)
    m.d.comb += Assume(~(state["JUDGE"] & storing) | whole(at) & (is_last(at) == (stored + 1 == records)))
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
        Assert(
            ~record.valid | (record.payload.words > HEADER_WORDS) & (record.payload.words <= MAX_RECORD_WORDS)
        ),
        Assert(
            ~record.valid | (index < MAX_SAMPLES) & (index <= dut.count) & (record.payload.index == index)
        ),
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
    m.d.comb += [
        Assert(~past(m, taken) | ~state["COPY"]),
        Assert(~past(m, dut.range.valid & dut.range.ready) | state["TAIL"]),
    ]
    waited = waits_at_most(m, BYTE * 3, state["HEADER"])
    waits_at_most(m, BYTE * WORD_BYTES + 1, state["COPY"] & (left != 0) & ~dut.data.valid)
    invariants_of_records(m, dut, at, state, running, (stored, given, ranged, said), waited)
    return m, opened, dut


def invariants_of_records(m, dut, at, state, running, counts, waited) -> None:
    """Assert the invariants for the induction step. counts: of records stored, words given, digests asked
    for, and bytes said in this request.
    """
    (stored, given, ranged, said), execute = counts, dut.execute
    place, records, left, storing, index = at.place, at.records, at.left, at.storing, at.index
    (first, wanted), stores = range_of(execute.request), execute.request.command == Command.STORE
    words = (HEADER_WORDS + ((at.header[:16] + WORD_BYTES - 1) >> 1))[: (REQUEST_BYTES - 1).bit_length()]
    reading = state["SEEK"] | state["HEADER"] | state["MEASURE"] | state["COMPARE"] | state["JUDGE"]
    early = state["RANGE"] | state["DIGEST"]
    m.d.comb += [
        Assert(sum(state.values()) == 1),
        Assert(~(reading | state["ADD"] | state["ALL"] | state["COPY"]) | stores),
        Assert(~(early | state["TAIL"]) | ~stores),
        Assert(~running | past(m, execute.start) | (at.end == execute.request.length - CRC_BYTES)),
        Assert(
            ~(state["JUDGE"] | state["COPY"])
            | (at.following == (place + (words * WORD_BYTES))[: len(at.following)])
        ),
        Assert(~running | (stored == 0) | storing),
        Assert(
            ~(state["ALL"] | state["ADD"]) | (stored == 0) & (records != 0) & (records <= REQUEST_BYTES // 2)
        ),
        Assert(~(state["COPY"] | reading & storing) | (stored < records) & (index == first + stored)),
        Assert(~(state["COPY"] | reading & storing) | (first <= dut.count) & (index <= dut.count)),
        Assert(~(state["COPY"] | reading & storing) | (first + records <= MAX_SAMPLES)),
        Assert(~state["COPY"] | storing & whole(at) & (is_last(at) == (stored + 1 == records))),
        Assert(~state["COPY"] | (given + left == dut.record.payload.words)),
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
        Assert(
            ~state["HEADER"] | (at.read < 3) & (waited >= BYTE * at.read) & (waited < BYTE * (at.read + 1))
        ),
    ]


def test_record_access():
    """Each request ends; records are offered with all words, and only if all of a frame can be stored."""
    m, opened, _ = record_access()
    prove(m, opened.inputs, depth=8)


def test_digests_are_asked_for_in_what_is_assumed():
    m, opened, dut = record_access()
    m.d.comb += Assert(~dut.range.valid)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=4)
