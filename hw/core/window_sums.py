"""Window sums of a layer: xi summed over the averaging windows, for the update engines and the prediction."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import bits_for

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.bounds import bounded
from nudge.hw.lib.flow import Flow
from nudge.hw.lib.turns import padded, word_of
from nudge.hw.synapse.interface import Step, slot_bits
from nudge.hw.update.interface import sums_word

from .interface import xi_shape


def readers(config: Config, layer: Layer) -> dict[str, Any]:
    """Return the members by which update engines, commits and the prediction read a layer's window sums.

    updated : In(1)
        Slot of the sample to update.
    post_address, pre_address : In
        Word addresses for the update engines of the bundles below (this layer is its post layer) and above.
    post_sums, pre_sums : Out(sums_word)
        The nudged phases' sums at the address of the previous cycle.
    free_address : In
        Output layer only: word address, with the slot in the bit above it if there are two.
    free_sums : Out(ArrayLayout(unsigned(sum_bits), lanes))
        Output layer only: the free phase's sums at the address of the previous cycle.
    read : Out(Flow(ArrayLayout(unsigned(sum_bits), lanes)))
        Only if commits are centred, and not in the output layer: each word of the free phase's sums once,
        when it is complete.
    """
    address = bits_for(config.words(layer) - 1)
    members = {"updated": In(1), "post_address": In(address), "pre_address": In(address)}
    members |= {f"{side}_sums": Out(sums_word(config, layer, side)) for side in ("post", "pre")}
    sums = data.ArrayLayout(unsigned(config.spec.sum_bits), config.lanes[layer.index])
    if layer.index == len(config.spec.layers) - 1:
        members |= {"free_address": In(bits_for((config.slots << address) - 1)), "free_sums": Out(sums)}
    elif config.spec.schedule.centred:
        members |= {"read": Out(Flow(sums))}
    return members


def connect_readers(m, window, array):
    """Connect the `readers` of the window sums with those of their array, of which they are a submodule."""
    for name, member in readers(array.config, array.layer).items():
        inner, outer = getattr(window, name), getattr(array, name)
        if member.is_signature:
            connect(m, inner, flipped(outer))
        else:
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)


class WindowSums(wiring.Component):
    """Sums xi over the averaging window of each phase: sum = xi in its first step, then sum + xi.

    Complete sums are kept: in one memory for each nudged phase, which both neighbours' update engines read,
    and in the output layer in one for the free phase. Each sample in flight has its own banks.

    A sum fits `Spec.sum_bits` by construction: xi is at most 1 in each of the window's steps.
    Latency: a sum is complete in the cycle after its last xi.
    Integer model: `golden.model.chunks.averaged`.

    Parameters
    ----------
    config : Config
    layer : Layer
        Layer 1..N; the sums of the free phase are kept for the last one only.

    Members
    -------
    step : In(Step)
        The half of a sweep to which the xi belong.
    coming : In
        Part with the xi that will be valid two cycles later.
    valid : In(1)
        ``xi`` is valid and belongs to a sample.
    part, word : In
        Part of the state memory, and word of the layer, to which ``xi`` belongs.
    last : In(1)
        High if the part is the last one of its word.
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
        #: Layouts of the sums of a part, and of a word.
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
        readers = [
            self._address(address, self.words, self.updated)
            for address in (self.post_address, self.pre_address)
        ]
        for name, phase in (("plus", step.nudge & ~step.negative), ("minus", step.negative)):
            post, pre = self._complete(m, name, word, phase, readers)
            m.d.comb += [self.post_sums[name].eq(post), self.pre_sums[name].eq(pre)]
        if self.output:
            m.d.comb += self.free_sums.eq(
                self._complete(m, "free", word, ~step.nudge, [self.free_address])[0]
            )
        self._tell(m, word)
        return m

    def _address(self, number, count, slot):
        """Return the address of one of ``count`` words or parts in a memory with a bank for each slot."""
        return Cat(padded(number, count), *slot_bits(slot, self.config.slots))

    def _tell(self, m, word):
        """Drive ``read`` with the free phase's sums, for centred commits."""
        if "read" in self.signature.members:
            ends = self.step.sum & self.step.sum_last & ~self.step.nudge
            m.d.comb += [self.read.valid.eq(self.valid & self.last & ends), self.read.payload.eq(word)]

    def _grow(self, m):
        """Return the sums including the current xi; old sums are read two cycles before new are written."""
        old, new = (
            Signal(self.part_sums, name="old_sums", reset_less=True),
            Signal(self.part_sums, name="new_sums"),
        )
        spec = self.config.spec
        most, low = spec.window_bound, -spec.window_bound if spec.schedule.fine else 0
        for lane, xi in enumerate(self.xi):
            m.d.comb += bounded(
                new[lane], old[lane] + xi, low, most, "as many xi as the window has steps, each at most 1"
            )
        m.d.sync += old.eq(self._parts(m, "growing", new, self.valid & self.step.sum))
        with m.If(self.step.sum_first):
            m.d.sync += old.eq(0)
        return new

    def _parts(self, m, name, written, enable):
        """Build a memory of sums, one word a part; return the data of its read port, for part ``coming``."""
        depth = self.config.slots << bits_for(self.parts - 1)
        m.submodules[name] = memory = BlockMemory(shape=self.part_sums, depth=depth)
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += read.addr.eq(self._address(self.coming, self.parts, self.step.slot))
        m.d.comb += write.addr.eq(self._address(self.part, self.parts, self.step.slot))
        m.d.comb += [write.data.eq(written), write.en.eq(enable)]
        return read.data

    def _complete(self, m, name, word, phase, addresses):
        """Build the memory of a phase's complete sums; return the data of its read ports."""
        enable = self.valid & self.last & self.step.sum & self.step.sum_last & phase
        return self._memory(m, name, self.sums, (enable, self.word, word), addresses)

    def _memory(self, m, name, shape, written, addresses):
        """Build a memory with one word for each word of the layer; return the data of its read ports, one for
        each of ``addresses``. written: write enable, word address, data."""
        depth = self.config.slots << bits_for(self.words - 1)
        m.submodules[name] = memory = BlockMemory(shape=shape, depth=depth)
        write, ports = memory.write_port(), [memory.read_port() for _ in addresses]
        enable, at, word = written
        m.d.comb += [
            write.addr.eq(self._address(at, self.words, self.step.slot)),
            write.data.eq(word),
            write.en.eq(enable),
        ]
        m.d.comb += [port.addr.eq(address) for port, address in zip(ports, addresses, strict=True)]
        return [port.data for port in ports]
