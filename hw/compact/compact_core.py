"""A core for the smallest parts: one neuron and one synapse at a time, with all state in four memories.

Read the files in this order: `memory_map`, the address of each quantity; `counters`, the program's loop
counters; `datapath`, the operations of a cycle; `program`, the state machine. This file connects them to
the core's ports.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from nudge.golden.contract.config import Config, check_schedule
from nudge.golden.contract.shapes import Input
from nudge.hw.core.interface import CoreSignature, trace_word
from nudge.hw.lib.flow import Flow
from nudge.plumbing.errors import ConfigError

from .datapath import Datapath
from .memory_map import MemoryMap
from .products import UpdateShifts
from .program import add_program
from .sequencer import Sequencer


def check_compact(config: Config) -> None:
    """Raise `ConfigError` if the compact core can't be built for this configuration."""
    spec = config.spec
    check_schedule(spec)
    if spec.schedule.fine:
        raise ConfigError(f"the compact core has spikes without a sign, not fine ones as {spec.name} has")
    if spec.schedule.centred:
        raise ConfigError(f"the compact core commits updates as they are, not centred as {spec.name} has it")
    if spec.input.shape != Input().shape:
        ours, theirs = ("x".join(map(str, shown.shape)) for shown in (Input(), spec.input))
        raise ConfigError(f"the compact core takes images of {ours}, not {theirs} as {spec.name} has")
    if [bundle.kind for bundle in spec.bundles] != ["image", "dense"]:
        raise ConfigError(f"the compact core takes one convolution and the output, not {spec.name}")
    if set(config.lanes) != {1}:
        raise ConfigError(f"the compact core has one lane a layer, not {config.lanes}")
    # These raise `ConfigError` for sizes and shifts that don't fit.
    MemoryMap(config)
    UpdateShifts(spec)


class CompactCore(wiring.Component):
    """Same results as `hw.core.core.Core`, one sample at a time; nothing overlaps, not even updates.

    Networks: one convolution and the output, one lane in each layer, small enough for the memories; raises
    `ConfigError` for others.
    Latency: `hw.compact.program` has the cycles of each phase.
    Integer model: `golden.model.fixed`; every weight, bias, prediction and spike is equal.

    Members: those of `Core`.
    """

    def __init__(self, config: Config):
        check_compact(config)  # now, not in `elaborate`
        spec, self.config = config.spec, config
        members = dict(CoreSignature(config).members)
        for layer in spec.layers[1:]:
            members[f"trace_{layer.index}"] = Out(Flow(trace_word(config, layer)))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self.config)
        annealing = sequencer.annealing if self.config.spec.schedule.halvings else None
        datapath = Datapath(m, self, sequencer.step, annealing)
        running = add_program(m, datapath, sequencer)
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.operation.eq(self.operation),
            sequencer.free_steps.eq(self.settings.free_steps),
            sequencer.nudged_steps.eq(self.settings.nudged_steps),
            sequencer.running.eq(running),
            sequencer.seeing.eq(datapath.boxes.seeing),
            self.busy.eq(sequencer.busy),
            self.ready.eq(~sequencer.busy),
            self.holding.eq(sequencer.holding),
            self.done.eq(sequencer.done),
            self.phase.eq(sequencer.phase),
            self.read_data.eq(datapath.parameters.low.read_data),
        ]

        neuron, outputs = datapath.neuron, datapath.counters.outputs
        for cycles, phase in zip(self.phase_cycles, self.phase, strict=True):
            self._count(m, cycles, phase)
        for i, mine in enumerate((~outputs, outputs)):
            fires = neuron.firing & mine
            self._count(m, self.spikes[i], fires & neuron.spike)
            self._trace(m, datapath, getattr(self, f"trace_{i + 1}"), fires)
        return m

    def _count(self, m, counter, event):
        """Build one of the counters that the host clears."""
        with m.If(self.clear):
            m.d.sync += counter.eq(0)
        with m.Elif(event):
            m.d.sync += counter.eq(counter + 1)

    def _trace(self, m, datapath, trace, valid):
        """Drive a trace port, for benches, with the current neuron; when it fires, `Neuron.d` of the cycle
        before is its d."""
        counters, neuron = datapath.counters, datapath.neuron
        d = Signal.like(neuron.d)
        m.d.sync += d.eq(neuron.d)
        m.d.comb += [
            trace.valid.eq(valid),
            trace.payload.address.eq(Mux(counters.outputs, counters.o, counters.n)),
            trace.payload.d[0].eq(d),
            trace.payload.xi[0].eq(neuron.xi),
            trace.payload.u[0].eq(neuron.membrane),
            trace.payload.s.eq(neuron.spike),
        ]
