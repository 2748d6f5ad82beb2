"""Executes READ_REGISTER and WRITE_REGISTER."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract.protocol import MAX_REGISTERS, REQUEST_BYTES, VALUE_BYTES, Command, Status

from .interface import Executor


class RegisterAccess(wiring.Component):
    """Executes READ_REGISTER and WRITE_REGISTER on the bus of `RegisterFile`.

    BAD_RANGE: a count of 0 or above `MAX_REGISTERS`, an address without a register, a value that the register
    refuses.

    Latency from `start` to `done`: 3 cycles for a write; for a read 6 for each register and 2 more.

    Parameters
    ----------
    frame_bytes : int
        Maximum bytes of a frame.

    Members ------- execute : In(Executor(frame_bytes)) address : Out(8), write : Out(1), write_data :
    Out(32), read_data : In(32), exists : In(1), writable : In(1)
        As in `RegisterFile`.
    """

    def __init__(self, frame_bytes: int = REQUEST_BYTES):
        super().__init__(
            {
                "execute": In(Executor(frame_bytes)),
                "address": Out(8),
                "write": Out(1),
                "write_data": Out(32),
                "read_data": In(32),
                "exists": In(1),
                "writable": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        request, o = self.execute.request, self.execute.o
        first, argument = request.arguments[:8], request.arguments[8:40]
        count = argument[:8]
        left = Signal(8)
        word = Signal(32)
        bytes_left = Signal(range(VALUE_BYTES + 1))
        m.d.comb += [self.write_data.eq(argument), o.payload.eq(word[:8])]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self.address.eq(first), left.eq(count)]
                with m.If(self.execute.start):
                    m.next = "BOUND"
                    with m.If(request.command == Command.READ_REGISTER):
                        m.next = "CHECK"
            with m.State("BOUND"):
                # `writable` is valid two cycles after address and data
                m.next = "JUDGE"
            with m.State("JUDGE"):
                m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [self.write.eq(self.writable), self.execute.done.eq(1)]
                with m.If(~self.writable):
                    m.d.comb += self.execute.status.eq(Status.BAD_RANGE)
                m.next = "IDLE"
            with m.State("CHECK"):
                m.next = "SEEK"
                with m.If((left == 0) | (left > MAX_REGISTERS)):
                    m.next = "REFUSE"
            with m.State("SEEK"):
                m.next = "LOAD"
                with m.If(left == 0):
                    m.d.comb += self.execute.done.eq(1)
                    m.next = "IDLE"
                with m.Elif(~self.exists):
                    m.next = "REFUSE"
            with m.State("LOAD"):
                m.d.sync += [word.eq(self.read_data), bytes_left.eq(VALUE_BYTES)]
                m.d.sync += [self.address.eq(self.address + 1), left.eq(left - 1)]
                m.next = "EMIT"
            with m.State("EMIT"):
                m.d.comb += o.valid.eq(1)
                m.d.sync += [word.eq(word >> 8), bytes_left.eq(bytes_left - 1)]
                with m.If(bytes_left == 1):
                    m.next = "SEEK"
            with m.State("REFUSE"):
                m.d.comb += [self.execute.done.eq(1), self.execute.status.eq(Status.BAD_RANGE)]
                m.next = "IDLE"
        return m
