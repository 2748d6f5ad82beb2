"""The accelerator core: all bundles and layers side by side, from an image in memory to updated weights in memory."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from golden.contract.config import Config
from hw.lib.arg_max import ArgMax
from hw.lib.flow import Flow
from hw.synapse.conv_engine import ConvEngine
from hw.synapse.dense_engine import DenseEngine
from hw.synapse.event_conv_engine import EventConvEngine
from hw.synapse.image_engine import ImageEngine
from hw.synapse.interface import Step
from hw.update.conv_update import ConvUpdate
from hw.update.dense_update import DenseUpdate

from .interface import MASTER_BITS, CoreSignature, trace_word
from .neuron_array import NeuronArray
from .sequencer import Sequencer
from .weight_memory import WeightMemory

SYNAPSE_ENGINES = {"event": EventConvEngine, "image": ImageEngine, "conv": ConvEngine, "dense": DenseEngine}
UPDATE_ENGINES = {"image": ConvUpdate, "conv": ConvUpdate, "dense": DenseUpdate}


class Core(wiring.Component):
    """Trains and infers one sample at a time; equals `golden.model.fixed` in every weight, bias, prediction and spike.

    Members
    -------
    those of `CoreSignature`, and
    trace_1 .. trace_N : Out(Flow(trace_word))
        Every neuron of layer n after each step, for benches.
    """

    def __init__(self, config: Config):
        self.config = config
        members = dict(CoreSignature(config).members)
        for layer in config.spec.layers[1:]:
            members[f"trace_{layer.index}"] = Out(Flow(trace_word(config, layer)))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        config, spec = self.config, self.config.spec
        layers, bundles = spec.layers, spec.bundles

        m.submodules.sequencer = sequencer = Sequencer(config)
        arrays = {layer.index: NeuronArray(config, layer) for layer in layers[1:]}
        kinds = {b.index: "event" if b.index in config.events else b.kind for b in bundles}
        engines = {b.index: SYNAPSE_ENGINES[kinds[b.index]](config, b) for b in bundles}
        updates = {b.index: UPDATE_ENGINES[b.kind](config, b) for b in bundles}
        memories = {b.index: WeightMemory(config, b) for b in bundles}
        for n in engines:
            m.submodules[f"array_{n}"] = arrays[n]
            m.submodules[f"engine_{n}"] = engines[n]
            m.submodules[f"update_{n}"] = updates[n]
            m.submodules[f"weights_{n}"] = memories[n]
        last = len(bundles)
        synapses = [engines[b.index] for b in bundles if b.kind != "image"]

        # -- sequencer
        m.d.comb += [
            sequencer.start.eq(self.start),
            sequencer.operation.eq(self.operation),
            self.busy.eq(sequencer.busy),
            sequencer.free_steps.eq(self.settings.free_steps),
            sequencer.nudged_steps.eq(self.settings.nudged_steps),
            sequencer.image_busy.eq(engines[1].busy),
            sequencer.pixels_busy.eq(updates[1].loading),
            updates[1].load.eq(sequencer.pixels_start),
            sequencer.prepare_busy.eq(Cat(engine.preparing for engine in synapses).any()),
            sequencer.commit_busy.eq(Cat(memory.busy for memory in memories.values()).any()),
            engines[1].start.eq(sequencer.image_start),
        ]
        # registers, since update engines are all over the part
        update_start = Signal()
        m.d.sync += update_start.eq(sequencer.update_start)
        m.d.sync += sequencer.update_busy.eq(Cat(update_start, (update.busy for update in updates.values())).any())

        # -- a step goes from layer to layer, with a register of its own at each: one for all needs wires across the part
        steps, starts = {0: sequencer.step}, {0: sequencer.step_start}
        for n in arrays:
            steps[n], starts[n] = Signal(Step, name=f"step_{n}"), Signal(name=f"start_{n}")
            m.d.sync += [steps[n].eq(steps[n - 1]), starts[n].eq(starts[n - 1])]
        started = [starts[n] for n in arrays]
        m.d.comb += sequencer.step_busy.eq(Cat(started, (part.busy for part in (*arrays.values(), *synapses))).any())
        m.d.comb += engines[1].replay.eq(starts[1])

        # -- one bundle after the other: weights, engine, update engine; the drives meet in the layers' arrays
        # An update outlasts its sample, and the host may change the rates for the next one.
        rates = Signal.like(Cat(self.settings.weight_rate.as_value(), self.settings.bias_rate.as_value()))
        with m.If(update_start):
            m.d.sync += rates.eq(Cat(self.settings.weight_rate.as_value(), self.settings.bias_rate.as_value()))
        rate_bits = spec.formats.rate_bits
        for bundle in bundles:
            n, engine, update, memory = bundle.index, engines[bundle.index], updates[bundle.index], memories[bundle.index]
            m.d.comb += [memory.tile_address.eq(engine.tile_address), engine.tile.eq(memory.tile)]
            m.d.comb += memory.commit.eq(sequencer.commit_start)
            connect(m, memory.bias, arrays[n].bias)
            connect(m, update.updates, memory.updates)
            m.d.comb += [
                update.start.eq(update_start),
                update.weight_rate.eq(rates.word_select(n - 1, rate_bits)),
                update.bias_rate.eq(rates.word_select(last + n - 1, rate_bits)),
                arrays[n].post_address.eq(update.post_address),
                update.post.eq(arrays[n].post_sums),
            ]
            connect(m, engine.forward, arrays[n].below)
            if bundle.kind == "image":
                m.d.comb += self.pixel_address.eq(Mux(engine.busy, engine.pixel_address, update.pre_address))
                m.d.comb += [engine.pixel.eq(self.pixel), update.pre.pixel.eq(self.pixel)]
            else:
                connect(m, engine.backward, arrays[n - 1].above)
                m.d.comb += [engine.step.eq(steps[n - 1]), engine.start.eq(starts[n - 1])]
                m.d.comb += engine.prepare.eq(sequencer.prepare_start)
                for spikes, array in ((engine.pre_spikes, arrays[n - 1]), (engine.post_spikes, arrays[n])):
                    m.d.comb += [spikes.valid.eq(array.spikes.valid), spikes.payload.eq(array.spikes.payload)]
                m.d.comb += [arrays[n - 1].pre_address.eq(update.pre_address), update.pre.eq(arrays[n - 1].pre_sums)]

        for n, array in arrays.items():
            m.d.comb += [array.step.eq(steps[n]), array.start.eq(starts[n]), array.clear.eq(self.clear)]
            m.d.comb += self.spikes[n - 1].eq(array.spike_count)
            connect(m, flipped(getattr(self, f"trace_{n}")), array.trace)

        # -- the output layer: nudge and prediction
        output = arrays[last]
        m.submodules.arg_max = arg_max = ArgMax(
            words=config.words(layers[last]), lanes=config.lanes[last], bits=spec.sum_bits
        )
        m.d.comb += [
            output.label.eq(self.label),
            output.beta.eq(self.settings.beta),
            arg_max.start.eq(sequencer.predict_start),
            arg_max.values.eq(output.post_sums.plus),
            sequencer.predict_busy.eq(arg_max.busy),
            self.prediction.eq(arg_max.index),
        ]
        with m.If(arg_max.busy):
            m.d.comb += output.post_address.eq(arg_max.address)

        # -- the host's access to the masters
        address = Signal.like(self.address)
        m.d.sync += address.eq(self.address)
        for bundle in bundles:
            self._by_lane(m, memories[bundle.index], bundle, address)

        # -- cycles of each phase, counted a cycle later
        m.d.sync += self.phase.eq(sequencer.phase)
        for i, cycles in enumerate(self.phase_cycles):
            with m.If(self.clear):
                m.d.sync += cycles.eq(0)
            with m.Elif(self.phase[i]):
                m.d.sync += cycles.eq(cycles + 1)
        return m

    def _by_lane(self, m, memory, bundle, address):
        """The host's access to one memory. Its words are gathered and taken apart beside it, and only lanes travel."""
        n, lanes = bundle.index, self.config.lanes[bundle.index]
        mine = self.bundle == n - 1
        gathered = Signal.like(memory.write_data, name=f"gathered_{n}", reset_less=True)
        chosen = Signal(MASTER_BITS, name=f"chosen_{n}", reset_less=True)
        store = Signal(name=f"store_{n}")
        m.d.comb += [memory.address.eq(address), memory.write_data.eq(gathered), memory.write.eq(store)]
        m.d.sync += store.eq(self.write & mine & ~self.busy & (self.lane == lanes - 1))
        for lane in range(lanes):
            with m.If(self.write & mine & (self.lane == lane)):
                m.d.sync += gathered[lane].eq(self.write_data.as_signed())
        with m.Switch(self.lane):
            for lane in range(lanes):
                with m.Case(lane):
                    m.d.sync += chosen.eq(memory.read_data[lane])
        with m.If(mine):
            m.d.sync += self.read_data.eq(chosen)
