"""Commits the masters of a bundle: clips them, and has the working copies made of them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.adder_tree import delay
from nudge.hw.lib.saturate import saturated

from .weight_memory import MasterPort


class Commit(wiring.Component):
    """Clips each master to [-1, 1) and writes it back, a word a cycle:

        master = clip(master, -1, 1 - 2^-15)        (numbers for the default formats)

    Latency: `golden.contract.layout.master_words` + 3 cycles.
    Integer model: `golden.model.ops.commit`.

    Members
    -------
    commit : In(1)
        One-cycle pulse: begins a pass over all words.
    busy : Out(1)
        High from the cycle after ``commit`` until all words and their working copies are written.
    masters : Out(MasterPort(config, bundle))
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        super().__init__({"commit": In(1), "busy": Out(1), "masters": Out(MasterPort(config, bundle))})

    def elaborate(self, platform):
        m = Module()
        config, bundle, port, written = self.config, self.bundle, self.masters, self.masters.committed
        words = layout.master_words(config, bundle)
        walking, word = Signal(), Signal(range(words))
        with m.If(walking):
            m.d.sync += [word.eq(word + 1), walking.eq(word != words - 1)]
        with m.Elif(self.commit):
            m.d.sync += [walking.eq(1), word.eq(0)]
        is_bias = delay(m, word >= layout.weight_words(config, bundle), 2)
        read = delay(m, walking, 1)
        m.d.comb += [
            port.reads.eq(walking),
            port.address.eq(word),
            port.keeps.eq(0),
            written.valid.eq(delay(m, read, 1)),
            written.payload.address.eq(delay(m, word, 2)),
            written.payload.weights.eq(~is_bias),
            written.payload.biases.eq(is_bias),
            self.busy.eq(walking | read | written.valid | delay(m, written.valid, 1)),
        ]
        for master, clipped in zip(port.word, written.payload.masters, strict=True):
            m.d.comb += clipped.eq(saturated(master, len(clipped)))
        return m
