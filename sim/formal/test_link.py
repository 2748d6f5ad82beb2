# amaranth: UnusedElaboratable=no
"""Proofs about UART, deframer and framer, for all inputs and all time."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal

from nudge.golden.contract.protocol import LONGEST_RUN
from nudge.hw.link.deframer import MAX_BYTE_CYCLES, Deframer
from nudge.hw.link.framer import Framer
from nudge.hw.link.uart import Receiver, Transmitter

from .prover import Opened, ProofError, keeps_its_offer, past, prove


def deframer(window: int) -> tuple[Module, Opened, Deframer]:
    """Return a module with the assertions, the opened deframer in it, and the deframer."""
    m = Module()
    opened = Opened(m, dut := Deframer(window))
    full = opened["full"]
    m.d.comb += keeps_its_offer(m, dut.o)
    # even with backpressure at the output, an input byte waits at most for a run of zeros
    run, waited = opened["run"], Signal(16)
    m.d.sync += waited.eq(Mux(dut.i.ready, 0, waited + 1))
    taken, most = opened["taken"], MAX_BYTE_CYCLES - 1
    m.d.comb += [
        Assert(run <= LONGEST_RUN),
        Assert(dut.i.ready | (waited + run <= most)),
        Assert(waited <= most),
    ]
    m.d.comb += [Assert(~taken | (run == 0) & (waited == 0)), Assert(dut.i.ready == ~taken & (run == 0))]
    m.d.comb += Assert(opened["ends"] == (opened["taken_byte"] == 0))
    freed = opened["freed"]
    m.d.comb += [
        Assert(full <= window),
        Assert(~(dut.o.valid | freed) | (full != 0)),
        Assert(~(dut.o.valid & freed)),
    ]
    m.d.comb += Assert((opened["write_slot"] - opened["read_slot"] - full) % window == 0)
    # a frame that is being stored has a free buffer
    m.d.comb += Assert(~(opened["inside"] & ~opened["dropping"]) | (full < window))
    # synchronisation: after a zero byte the state equals that after power-up
    zero = past(m, taken & opened["ends"])
    clean = (
        ~opened["inside"] & ~opened["dropping"] & (opened["left"] == 0) & (opened["length"] == 0) & (run == 0)
    )
    m.d.comb += Assert(~zero | (clean & ~opened["pending_zero"]))
    # no frame is dropped while a buffer is free
    m.d.comb += Assert(~(dut.overrun & (full != window)))
    return m, opened, dut


@pytest.mark.parametrize("window", [2, 8, 32])
def test_deframer(window):
    """Bytes wait a bounded time, frames stay unchanged until taken, buffers never overflow, and a zero byte
    resets all state but the queue of frames."""
    m, opened, _ = deframer(window)
    prove(m, opened.inputs, depth=4, free=("dut.memory",))


def test_what_does_not_hold_of_the_deframer_is_not_proved():
    """The assumptions allow a full queue, so the opposite can't be proved."""
    m, opened, dut = deframer(2)
    m.d.comb += Assert(opened["full"] < dut.window)
    with pytest.raises(ProofError, match="Called with -verify and proof did fail"):
        prove(m, opened.inputs, depth=4, free=("dut.memory",))


def test_framer():
    """An offered byte stays until it is taken."""
    m = Module()
    opened = Opened(m, dut := Framer(1))
    m.d.comb += Assume(~dut.write | dut.i.ready)  # the contract: a slot isn't written while it may be sent
    m.d.comb += keeps_its_offer(m, dut.o)
    prove(m, opened.inputs, depth=4)


@pytest.mark.parametrize("divisor", [1, 2, 5])
def test_receiver(divisor):
    """A received byte stays until it is taken, whatever the line does."""
    m = Module()
    opened = Opened(m, dut := Receiver(divisor))
    m.d.comb += keeps_its_offer(m, dut.o)
    prove(m, opened.inputs, depth=4)


@pytest.mark.parametrize("divisor", [1, 3])
def test_transmitter(divisor):
    """The line is high when idle, and a byte keeps the transmitter busy for exactly ten bit times."""
    m = Module()
    opened = Opened(m, dut := Transmitter(divisor))
    left, timer, waited = opened["left"], opened["timer"], Signal(16)
    m.d.sync += waited.eq(Mux(dut.i.ready, 0, waited + 1))
    m.d.comb += [
        Assert(left <= 10),
        Assert(timer < divisor),
        Assert((left != 0) | dut.tx),
        Assert(waited < 10 * divisor),
    ]
    m.d.comb += Assert((left == 0) | (waited + (left - 1) * divisor + timer == 10 * divisor - 1))
    m.d.comb += Assert((left != 0) | ((waited == 0) & opened["shift"].all()))
    # above the remaining bits the shift register has the idle level
    m.d.comb += Assert(((opened["shift"] >> left) | ~((1 << 10) - 1 >> left))[:10].all())
    prove(m, opened.inputs, depth=4)
