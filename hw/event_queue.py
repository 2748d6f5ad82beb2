"""Event queue: words of spikes become single events, and silence takes no time."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.spec import Layer

from .config import Config
from .flow import Flow
from .step import spike_word


def event(config: Config, layer: Layer):
    """One neuron that fired: its channel (group * lanes + lane) and position."""
    return data.StructLayout(
        {
            "group": unsigned(bits_for(config.groups(layer) - 1)),
            "lane": unsigned(bits_for(config.lanes[layer.index] - 1)),
            "y": unsigned(bits_for(layer.height - 1)),
            "x": unsigned(bits_for(layer.width - 1)),
        }
    )


class EventQueue(wiring.Component):
    """Takes a layer's words of spikes as the neuron array sends them, and keeps those with a spike.

    A word with n spikes leaves as n events, lowest lane first, one in each cycle in which ``o`` is taken. The queue holds
    a whole layer, so the array never waits. Latency: 3 cycles from a word to its first event.

    Members
    -------
    i : In(Flow(spike_word))
        All words of the layer, in order, step after step.
    o : Out(stream.Signature(event))
    busy : Out(1)
        From the cycle after a word with a spike came, until its last event has been taken.
    """

    def __init__(self, config: Config, layer: Layer):
        self.config, self.layer = config, layer
        super().__init__(
            {
                "i": In(Flow(spike_word(config.words(layer), config.lanes[layer.index]))),
                "o": Out(stream.Signature(event(config, layer))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layer, shape = self.layer, self.o.payload.shape()
        words, lanes = self.config.words(layer), self.config.lanes[layer.index]

        # Words come in order, so their positions are counted instead of divided out of the address.
        place = Signal(shape)
        with m.If(self.i.valid):
            m.d.sync += place.x.eq(place.x + 1)
            with m.If(place.x == layer.width - 1):
                m.d.sync += [place.x.eq(0), place.y.eq(place.y + 1)]
                with m.If(place.y == layer.height - 1):
                    m.d.sync += [place.y.eq(0), place.group.eq(place.group + 1)]
            with m.If(self.i.payload.address == words - 1):
                m.d.sync += place.eq(0)

        item = data.StructLayout({"place": shape, "spikes": unsigned(lanes)})
        m.submodules.queue = queue = SyncFIFOBuffered(width=item.size, depth=words)
        pushed, front = Signal(item), Signal(item)
        m.d.comb += [
            pushed.place.eq(place),
            pushed.spikes.eq(self.i.payload.spikes),
            queue.w_data.eq(pushed.as_value()),
            queue.w_en.eq(self.i.valid & (self.i.payload.spikes != 0)),
            front.as_value().eq(queue.r_data),
        ]

        current, rest, lane = Signal(item), Signal(lanes), Signal(range(lanes))
        for n in reversed(range(lanes)):
            with m.If(current.spikes[n]):
                m.d.comb += lane.eq(n)
        taken = self.o.valid & self.o.ready
        m.d.comb += [
            rest.eq(current.spikes & (current.spikes - 1)),  # without its lowest bit
            self.o.valid.eq(current.spikes != 0),
            self.o.payload.eq(current.place),
            self.o.payload.lane.eq(lane),
            self.busy.eq((queue.level != 0) | self.o.valid),
            queue.r_en.eq(~self.o.valid | (taken & (rest == 0))),
        ]
        with m.If(queue.r_en):
            m.d.sync += current.eq(Mux(queue.r_rdy, front.as_value(), 0))
        with m.Elif(taken):
            m.d.sync += current.spikes.eq(rest)
        return m
