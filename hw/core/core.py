"""The accelerator core: all layers and bundles in parallel, from an image to updated weights."""

from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from nudge.golden.contract.config import Config, check_schedule
from nudge.hw.lib.arg_max import ArgMax
from nudge.hw.lib.flow import Flow
from nudge.hw.synapse.conv_engine import ConvEngine
from nudge.hw.synapse.dense_engine import DenseEngine
from nudge.hw.synapse.event_conv_engine import EventConvEngine
from nudge.hw.synapse.image_engine import ImageEngine
from nudge.hw.synapse.interface import Halves, slot_bits
from nudge.hw.synapse.pixel_engine import PixelEngine
from nudge.hw.synapse.scatter.engine import ScatterEngine
from nudge.hw.update.conv_update import ConvUpdate
from nudge.hw.update.dense_update import DenseUpdate

from .deviation_array import array_of
from .image_buffer import ImageBuffer
from .interface import CoreSignature, Operation, trace_word
from .sequencer import Sequencer
from .totals import Totals
from .weights import Weights

SYNAPSE_ENGINES = {
    "event": EventConvEngine,
    "scatter": ScatterEngine,
    "image": ImageEngine,
    "conv": ConvEngine,
    "dense": DenseEngine,
    "pixels": PixelEngine,
}
UPDATE_ENGINES = {"image": ConvUpdate, "conv": ConvUpdate, "dense": DenseUpdate, "pixels": DenseUpdate}


class Core(wiring.Component):
    """Trains on samples or infers their classes, two samples in antiphase (half a sweep apart), or one
    (`Config.slots`).

    Latency: the sum of the latencies of the parts that the sequencer starts.
    Integer model: `golden.model.fixed`; every weight, bias, prediction and spike is equal.

    Members
    -------
    those of `CoreSignature`, and
    trace_1 .. trace_N : Out(Flow(trace_word))
        For benches: all neurons of layer n after each of their steps, of both samples.
    """

    def __init__(self, config: Config):
        check_schedule(config.spec)
        self.config = config
        members = dict(CoreSignature(config).members)
        for layer in config.spec.layers[1:]:
            members[f"trace_{layer.index}"] = Out(Flow(trace_word(config, layer)))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        parts = self._parts(m)
        update_start = self._sequence(m, parts)
        steps, starts = self._spread_steps(m, parts)
        rates = self._hold_rates(m, update_start)
        for bundle in self.config.spec.bundles:
            self._wire_bundle(m, parts, bundle, update_start, rates)
            self._wire_drives(m, parts, bundle, steps, starts)
        self._wire_layers(m, parts, steps, starts)
        self._serve_images(m, parts)
        self._predict(m, parts)
        self._centre(m, parts, update_start)
        self._serve_host(m, parts)
        self._count_cycles(m, parts.sequencer.phase)
        return m

    def _parts(self, m):
        config, spec = self.config, self.config.spec
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.images = images = ImageBuffer(config)
        parts = Parts(
            sequencer,
            images,
            arrays={layer.index: array_of(config, layer) for layer in spec.layers[1:]},
            engines={b.index: SYNAPSE_ENGINES[config.engine(b)](config, b) for b in spec.bundles},
            updates={b.index: UPDATE_ENGINES[b.kind](config, b) for b in spec.bundles},
            memories={b.index: Weights(config, b) for b in spec.bundles},
            totals={b.index: Totals(config, b) for b in spec.bundles if spec.schedule.centred},
        )
        for n in parts.engines:
            m.submodules[f"array_{n}"] = parts.arrays[n]
            m.submodules[f"engine_{n}"] = parts.engines[n]
            m.submodules[f"update_{n}"] = parts.updates[n]
            m.submodules[f"weights_{n}"] = parts.memories[n]
            if n in parts.totals:
                m.submodules[f"totals_{n}"] = parts.totals[n]
        return parts

    def _sequence(self, m, parts):
        """Connect the sequencer's start and busy lines, except a half's. Return the update start pulse."""
        sequencer, engines = parts.sequencer, parts.engines
        preparing = (engine.preparing for engine in parts.synapses)
        committing = (memory.busy for memory in parts.memories.values())
        m.d.comb += [
            getattr(sequencer, name).eq(getattr(self, name)) for name in ("start", "operation", "label")
        ]
        m.d.comb += [
            getattr(self, name).eq(getattr(sequencer, name))
            for name in ("ready", "holding", "done", "prediction", "busy")
        ]
        m.d.comb += [
            sequencer.free_steps.eq(self.settings.free_steps),
            sequencer.nudged_steps.eq(self.settings.nudged_steps),
            sequencer.prepare_busy.eq(Cat(preparing).any()),
            sequencer.commit_busy.eq(Cat(committing).any()),
            engines[1].write_bank.eq(sequencer.static_write),
        ]
        # Registers, because the engines are spread across the part.
        image_start, update_start = Signal(), Signal()
        m.d.sync += [image_start.eq(sequencer.image_start), update_start.eq(sequencer.update_start)]
        m.d.comb += [engines[1].start.eq(image_start), sequencer.image_busy.eq(image_start | engines[1].busy)]
        updating = (update.busy for update in parts.updates.values())
        m.d.sync += sequencer.update_busy.eq(Cat(update_start, updating).any())
        return update_start

    def _spread_steps(self, m, parts):
        """Pipeline each half from layer to layer, one register per layer; one register for all layers would
        need wires across the part. Return the halves and their start pulses, by layer."""
        sequencer, arrays = parts.sequencer, parts.arrays
        # `sequencer.step` is already a register, so layer 1 needs none of its own.
        steps, starts = {1: sequencer.step}, {1: Signal(name="start_1")}
        m.d.sync += starts[1].eq(sequencer.step_start)
        for n in list(arrays)[1:]:
            steps[n], starts[n] = Signal(Halves, name=f"step_{n}"), Signal(name=f"start_{n}")
            m.d.sync += [steps[n].eq(steps[n - 1]), starts[n].eq(starts[n - 1])]
        working = (part.busy for part in (*arrays.values(), *parts.synapses))
        m.d.sync += sequencer.step_busy.eq(Cat(sequencer.step_start, starts.values(), working).any())
        m.d.comb += parts.engines[1].replay.eq(starts[1])
        m.d.comb += parts.engines[1].read_bank.eq(sequencer.static_read)
        return steps, starts

    def _hold_rates(self, m, update_start):
        """Return a register with the running update's learning rates: all weight rates, then all bias rates.

        An update outlasts its sample, and the host may already change the rates for the next sample.
        """
        settings = Cat(self.settings.weight_rate.as_value(), self.settings.bias_rate.as_value())
        rates = Signal.like(settings, name="rates")
        with m.If(update_start):
            m.d.sync += rates.eq(settings)
        return rates

    def _wire_bundle(self, m, parts, bundle, update_start, rates):
        """Connect a bundle's weight memory to its synapse engine, neuron array and update engine."""
        n, last, rate_bits = bundle.index, parts.last, self.config.spec.formats.rate_bits
        engine, update, memory = parts.engines[n], parts.updates[n], parts.memories[n]
        m.d.comb += [memory.tile_address.eq(engine.tile_address), engine.tile.eq(memory.tile)]
        m.d.comb += memory.commit.eq(parts.sequencer.commit_start)
        connect(m, memory.bias, parts.arrays[n].bias)
        connect(m, update.updates, memory.updates)
        m.d.comb += [
            update.start.eq(update_start),
            update.weight_rate.eq(rates.word_select(n - 1, rate_bits)),
            update.bias_rate.eq(rates.word_select(last + n - 1, rate_bits)),
            parts.arrays[n].updated.eq(parts.sequencer.update_slot),
            parts.arrays[n].post_address.eq(update.post_address),
            update.post.eq(parts.arrays[n].post_sums),
        ]

    def _wire_drives(self, m, parts, bundle, steps, starts):
        """Connect a bundle's synapse engine to the neuron arrays on both sides: drives out, spikes in. Also
        connect the pre layer's window sums to the update engine."""
        n, arrays = bundle.index, parts.arrays
        engine, update = parts.engines[n], parts.updates[n]
        connect(m, engine.forward, arrays[n].below)
        if bundle.on_image:
            return
        connect(m, engine.backward, arrays[n - 1].above)
        halves = steps[n - 1]
        m.d.comb += [engine.pre_step.eq(halves.of(n - 1)), engine.post_step.eq(halves.of(n))]
        m.d.comb += engine.start.eq(starts[n - 1])
        m.d.comb += engine.prepare.eq(parts.sequencer.prepare_start)
        neighbours = ((engine.pre_spikes, arrays[n - 1]), (engine.post_spikes, arrays[n]))
        for spikes, array in neighbours:
            m.d.comb += spikes.valid.eq(array.spikes.valid)
            m.d.comb += spikes.payload.eq(array.spikes.payload)
        m.d.comb += arrays[n - 1].pre_address.eq(update.pre_address)
        m.d.comb += update.pre.eq(arrays[n - 1].pre_sums)

    def _wire_layers(self, m, parts, steps, starts):
        for n, array in parts.arrays.items():
            m.d.comb += [array.step.eq(steps[n].of(n)), array.start.eq(starts[n])]
            if self.config.spec.schedule.halvings:
                told = parts.sequencer.odd_annealing if n % 2 else parts.sequencer.even_annealing
                # A register for each array, because arrays are spread across the part. The extra cycle is
                # harmless: the first word of drives comes later. Synthesis would merge equal registers, but
                # not if they are reset to different values, which no step reads.
                init = dict.fromkeys(("halved", "falls"), n // 2 % 2)
                annealing = Signal.like(told, name=f"annealing_{n}", init=init)
                m.d.sync += annealing.eq(told)
                m.d.comb += array.annealing.eq(annealing)
            m.d.comb += array.clear.eq(self.clear)
            m.d.comb += self.spikes[n - 1].eq(array.spike_count)
            connect(m, flipped(getattr(self, f"trace_{n}")), array.trace)

    def _serve_images(self, m, parts):
        """Connect the image buffer to the link, the image engine and the image bundle's update engine."""
        sequencer, images, engine, update = parts.sequencer, parts.images, parts.engines[1], parts.updates[1]
        m.d.comb += [
            images.start.eq(sequencer.take_start),
            images.bank.eq(sequencer.take_bank),
            sequencer.take_busy.eq(images.busy),
            self.pixel_address.eq(images.pixel_address),
            images.pixel.eq(self.pixel),
            images.drive_bank.eq(sequencer.image_bank),
            images.drive_address.eq(engine.pixel_address),
            engine.pixel.eq(images.drive_pixel),
            images.update_bank.eq(sequencer.update_bank),
            images.update_address.eq(update.pre_address),
            update.pre.pixel.eq(images.update_pixel),
        ]

    def _predict(self, m, parts):
        """Connect the output layer's label and beta, and the arg max that makes the prediction."""
        config, sequencer, last = self.config, parts.sequencer, parts.last
        output, layer = parts.arrays[last], config.spec.layers[last]
        m.submodules.arg_max = arg_max = ArgMax(
            words=config.words(layer), lanes=config.lanes[last], bits=config.spec.sum_bits
        )
        m.d.comb += [
            output.label.eq(sequencer.output_label),
            output.beta.eq(self.settings.beta),
            output.free_address.eq(Cat(arg_max.address, *slot_bits(sequencer.predict_slot, config.slots))),
            arg_max.start.eq(sequencer.predict_start),
            arg_max.values.eq(output.free_sums),
            sequencer.predict_busy.eq(arg_max.busy),
            sequencer.answer.eq(arg_max.index),
        ]

    def _centre(self, m, parts, update_start):
        """For centred commits: connect the totals of all trained samples' pixels and free window sums."""
        sequencer, images = parts.sequencer, parts.images
        training = Signal()
        with m.If(sequencer.take_start):
            m.d.sync += training.eq(self.operation == Operation.TRAIN)
        for n, totals in parts.totals.items():
            memory = parts.memories[n]
            m.d.comb += [
                memory.counted.eq(update_start),
                totals.group.eq(memory.group),
                totals.clear.eq(memory.clear),
            ]
            m.d.comb += memory.totals.eq(totals.totals)
            if n == 1:
                m.d.comb += [
                    totals.i.valid.eq(images.taken.valid & training),
                    totals.i.payload[0].eq(images.taken.payload),
                ]
                continue
            trained, read = Signal(name=f"trained_{n}"), parts.arrays[n - 1].read
            # A register for each array, as for `annealing`.
            m.d.sync += trained.eq(sequencer.odd_training if n % 2 == 0 else sequencer.even_training)
            m.d.comb += [totals.i.valid.eq(read.valid & trained), totals.i.payload.eq(read.payload)]

    def _serve_host(self, m, parts):
        """Connect the host's access to all master memories."""
        address = Signal.like(self.address)
        m.d.sync += address.eq(self.address)
        for memory in parts.memories.values():
            memory.serve_lanes(m, self, address)

    def _count_cycles(self, m, phase):
        """Count the cycles of each phase, one cycle late."""
        m.d.sync += self.phase.eq(phase)
        for i, cycles in enumerate(self.phase_cycles):
            with m.If(self.clear):
                m.d.sync += cycles.eq(0)
            with m.Elif(self.phase[i]):
                m.d.sync += cycles.eq(cycles + 1)


class Parts(NamedTuple):
    """The submodules of a core; those of layers and bundles are keyed by index, 1..N."""

    sequencer: Sequencer
    images: ImageBuffer
    arrays: dict[int, Any]
    engines: dict[int, Any]
    updates: dict[int, Any]
    memories: dict[int, Weights]
    totals: dict[int, Totals]

    @property
    def last(self) -> int:
        """Index of the output layer, which is also that of the bundle below it."""
        return len(self.memories)

    @property
    def synapses(self) -> list[Any]:
        """Engines with `SynapseSignature`: those of all bundles except the image's."""
        return [engine for engine in self.engines.values() if not engine.bundle.on_image]
