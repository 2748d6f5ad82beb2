"""Memory with a self test: controller and `SelfTest`."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .controller import DELAYS, Controller
from .interface import Pins, Port
from .self_test import SelfTest
from .timing import Cycles


class Memory(wiring.Component):
    """Tests the memory after reset, then connects it to its user.

    Parameters
    ----------
    cycles : Cycles

    Members
    -------
    port : In(Port())
        No transfers before ``ready``.
    pins : Out(Pins())
    ready : Out(1)
        The test is over. Stays high.
    works : Out(1)
        The test was passed. Otherwise words that are read are undefined.
    delay : Out(range(DELAYS))
        The read delay that the test determined.
    """

    port: In(Port())
    pins: Out(Pins())
    ready: Out(1)
    works: Out(1)
    delay: Out(range(DELAYS))

    def __init__(self, cycles: Cycles):
        self.cycles = cycles
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller = controller = Controller(self.cycles)
        m.submodules.test = test = SelfTest()
        connect(m, controller.pins, flipped(self.pins))
        m.d.comb += [
            test.start.eq(controller.ready),
            controller.delay.eq(test.delay),
            self.delay.eq(test.delay),
            self.ready.eq(test.done),
            self.works.eq(test.works),
        ]
        with m.If(test.done):
            connect(m, flipped(self.port), controller.port)
        with m.Else():
            connect(m, test.port, controller.port)
        return m
