"""Sums of xi over the averaging windows of a layer: what its update engines correlate, and what the prediction is made of."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract.config import Config
from golden.contract.shapes import Layer
from hw.lib.block_memory import BlockMemory
from hw.lib.bounds import bounded
from hw.lib.flow import Flow
from hw.lib.turns import padded, word_of
from hw.synapse.interface import SLOTS, Step
from hw.update.interface import sums_word

from .interface import xi_shape


def readers(config: Config, layer: Layer) -> dict[str, Any]:
    """Members by which update engines, commits and the prediction read a layer's sums.

    updated : In(1)
        Slot of the sample whose sums are read.
    post_address, pre_address : In
        Words of the nudged phases' sums, of the bundles below and above.
    post_sums, pre_sums : Out(sums_word)
        The sums at the address of the cycle before.
    free_address : In
        Output layer only: word, then above it the slot, of sums of the free phase.
    free_sums : Out(ArrayLayout(unsigned(sum_bits), lanes))
        Those at the address of the cycle before.
    read : Out(Flow(ArrayLayout(unsigned(sum_bits), lanes)))
        If commits are centred, not of the output layer: each word of the free phase's sums once, as it is
        complete.
    """
    address, word = bits_for(config.words(layer) - 1), sums_word(config, layer)
    members = {"updated": In(1), "post_address": In(address), "pre_address": In(address)}
    members |= {"post_sums": Out(word), "pre_sums": Out(word)}
    sums = data.ArrayLayout(unsigned(config.spec.sum_bits), config.lanes[layer.index])
    if layer.index == len(config.spec.layers) - 1:
        members |= {"free_address": In(address + bits_for(SLOTS - 1)), "free_sums": Out(sums)}
    elif config.spec.schedule.centred:
        members |= {"read": Out(Flow(sums))}
    return members


class WindowSums(wiring.Component):
    """Adds each step's xi to the sums as they grow, and keeps the complete ones: one memory for each nudged phase, read by both
    neighbours' update engines, in the output layer one for the free phase. Each sample in flight has banks of its own.

    A sum stays within `Spec.sum_bits` by construction: at most 1 in each of the window's steps.
    Latency: a sum is complete in the cycle after its last xi.
    Model: sums of `golden.model.ops.neuron`'s xi, in `golden.model.chunks.averaged`.

    Parameters
    ----------
    config : Config
    layer : Layer
        Layer 1..N; of the last one the sums of the free phase are kept too.

    Members
    -------
    step : In(Step)
        The half of a sweep in which the xi are.
    coming : In
        Part whose xi come in the second cycle from this one.
    valid : In(1)
        xi is valid and belongs to a sample.
    part, word : In
        Part of the state, and word of the layer, of these xi.
    last : In(1)
        The part is the last one of its word.
    xi : In(ArrayLayout(xi_shape, lanes of a part))
        LSB 2^-8.
    those of `readers`
    """

    def __init__(self, config: Config, layer: Layer):
        self.config, self.layer = config, layer
        self.words, self.turns = config.words(layer), config.turns(layer)
        self.parts = self.words * self.turns
        lanes, bits = config.lanes[layer.index], config.spec.sum_bits
        self.output = layer.index == len(config.spec.layers) - 1
        #: Sums of a part, and of a word.
        self.part_sums = data.ArrayLayout(unsigned(bits), lanes // self.turns)
        self.sums = data.ArrayLayout(unsigned(bits), lanes)
        members = {
            "step": In(Step),
            "coming": In(range(self.parts)),
            "valid": In(1),
            "part": In(range(self.parts)),
            "word": In(range(self.words)),
            "last": In(1),
            "xi": In(data.ArrayLayout(xi_shape(config), lanes // self.turns)),
        }
        super().__init__(members | readers(config, layer))

    def elaborate(self, platform):
        m = Module()
        step = self.step
        word = word_of(m, self.turns, self.valid, self._grow(m).as_value(), "sums")
        readers = [Cat(padded(address, self.words), self.updated) for address in (self.post_address, self.pre_address)]
        for name, phase in (("plus", step.nudge & ~step.negative), ("minus", step.negative)):
            post, pre = self._complete(m, name, word, phase, readers)
            m.d.comb += [self.post_sums[name].eq(post), self.pre_sums[name].eq(pre)]
        if self.output:
            m.d.comb += self.free_sums.eq(self._complete(m, "free", word, ~step.nudge, [self.free_address])[0])
        self._tell(m, word)
        return m

    def _tell(self, m, word):
        """The free phase's sums, for what commits are centred by."""
        if "read" in self.signature.members:
            ends = self.step.sum & self.step.sum_last & ~self.step.nudge
            m.d.comb += [self.read.valid.eq(self.valid & self.last & ends), self.read.payload.eq(word)]

    def _grow(self, m):
        """The sums with the xi that are there, read two cycles before they are written."""
        old, new = Signal(self.part_sums, name="old_sums", reset_less=True), Signal(self.part_sums, name="new_sums")
        spec = self.config.spec
        most, low = spec.window_bound, -spec.window_bound if spec.schedule.fine else 0
        for lane, xi in enumerate(self.xi):
            m.d.comb += bounded(new[lane], old[lane] + xi, low, most, "as many xi as the window has steps, each at most 1")
        m.d.sync += old.eq(self._parts(m, "growing", new, self.valid & self.step.sum))
        with m.If(self.step.sum_first):
            m.d.sync += old.eq(0)
        return new

    def _parts(self, m, name, written, enable):
        """A memory of the state's parts, and its read port's data: of the part that is coming."""
        depth = SLOTS << bits_for(self.parts - 1)
        m.submodules[name] = memory = BlockMemory(shape=self.part_sums, depth=depth)
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += read.addr.eq(Cat(padded(self.coming, self.parts), self.step.slot))
        m.d.comb += write.addr.eq(Cat(padded(self.part, self.parts), self.step.slot))
        m.d.comb += [write.data.eq(written), write.en.eq(enable)]
        return read.data

    def _complete(self, m, name, word, phase, addresses):
        """A memory of the sums of a phase, and its read ports' data."""
        enable = self.valid & self.last & self.step.sum & self.step.sum_last & phase
        return self._memory(m, name, self.sums, (enable, self.word, word), addresses)

    def _memory(self, m, name, shape, written, addresses):
        """A memory of words of the layer, and its read ports' data. written: whether, which word, and what."""
        m.submodules[name] = memory = BlockMemory(shape=shape, depth=SLOTS << bits_for(self.words - 1))
        write, ports = memory.write_port(), [memory.read_port() for _ in addresses]
        enable, at, word = written
        m.d.comb += [write.addr.eq(Cat(padded(at, self.words), self.step.slot)), write.data.eq(word), write.en.eq(enable)]
        m.d.comb += [port.addr.eq(address) for port, address in zip(ports, addresses, strict=True)]
        return [port.data for port in ports]
