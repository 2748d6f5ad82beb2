# amaranth: UnusedElaboratable=no
"""Proofs about the executors of commands, for all inputs and all time."""

from dataclasses import replace

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, Signal

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Command, Status
from nudge.hw.core.interface import READ_LATENCY
from nudge.hw.link.interface import ANSWER_PAYLOAD
from nudge.hw.link.register_access import RegisterAccess
from nudge.hw.link.weight_access import WeightAccess

from .prover import Opened, past, prove

#: One lane for each layer; all lanes are alike, so a proof for one holds for all.
LANE = Config(preset("tiny"), (1, 1, 1))


def executor(
    m: Module, opened: Opened, rank: dict[str, object], waits: tuple[str, ...] = (), begin=None, end=None
) -> Signal:
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
    m.d.comb += Assume(
        ~(held & running) | (execute.request.as_value() == past(m, execute.request.as_value()))
    )
    m.d.comb += [
        Assert(~(end | execute.done | execute.o.valid) | running),
        Assert(opened.state("IDLE") == ~running),
    ]
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
    rank = {"BOUND": 3, "JUDGE": 2, "WRITE": 1, "REFUSE": 1, "CHECK": 2000}
    rank |= {"SEEK": 6 * left + 2, "LOAD": 6 * left + 1, "EMIT": 6 * left + 2 + byte}
    running = executor(m, opened, rank)
    m.d.comb += [Assert(~dut.write | (running & dut.writable)), Assert(~opened.state("LOAD") | (left != 0))]
    # `writable` is about the address and data of the two cycles before
    kept = (dut.address == past(m, dut.address)) & (dut.write_data == past(m, dut.write_data))
    m.d.comb += Assert(~dut.write | kept & past(m, kept))
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
        rank |= {
            name: rank[name] + first_round for name in ("COUNT", "MEASURE", "CHECK", "FETCH", "WAIT", "TAKE")
        }
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
        m.d.comb += Assert(~opened.state(name) | inside & opened["known"])
    for name in ("EMIT", "FETCH", "WAIT", "TAKE"):
        m.d.comb += Assert(~opened.state(name) | ((left != 0) & (left <= size)))
    m.d.comb += Assert(~opened.state("TAIL") | ((left != 0) & (left <= 4)))
    m.d.comb += [Assert(age <= READ_LATENCY), Assert(~opened["known"] | (size != 0) & (opened["depth"] != 0))]
    digesting = dut.execute.request.command == Command.DIGEST
    m.d.comb += Assert(~(opened.state("MEASURE") & digesting) | (word == 0))
    for name in ("COUNT", "FETCH", "WAIT", "TAKE", *(["AGAIN"] if centred else [])):
        m.d.comb += Assert(~(opened.state(name) & digesting))
    m.d.comb += Assert(~dut.write | (opened["known"] & (word < opened["depth"])))
    began = Signal()  # whether samples were pending in CHECK
    with m.If(opened.state("CHECK")):
        m.d.sync += began.eq(dut.pending)
    for name in ("LOAD", "EMIT", "DIGEST", "TAIL", "FETCH", "WAIT", "TAKE"):
        m.d.comb += Assert(~opened.state(name) | ~began)
    prove(m, opened.inputs, depth=3)
