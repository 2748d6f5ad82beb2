"""What a core shows to the link: settings, operations, masters; and words between its parts."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.contract import layout, protocol
from golden.contract.config import Config
from golden.contract.schedule import MAX_STEPS
from golden.contract.shapes import Layer


class Operation(enum.Enum, shape=2):
    """What `start` starts."""

    #: Free phase and prediction.
    INFER = 0
    #: The same, nudged phases and the update of the masters.
    TRAIN = 1
    #: Masters to working copies.
    COMMIT = 2


def settings_layout(config: Config) -> data.StructLayout:
    """Registers that the core reads; they must not change while it is busy."""
    f, n = config.spec.formats, len(config.spec.bundles)
    return data.StructLayout(
        {
            "free_steps": unsigned(bits_for(MAX_STEPS)),
            "nudged_steps": unsigned(bits_for(MAX_STEPS)),
            "beta": unsigned(f.beta_bits),
            "weight_rate": data.ArrayLayout(unsigned(f.rate_bits), n),
            "bias_rate": data.ArrayLayout(unsigned(f.rate_bits), n),
        }
    )


def annealing(config: Config) -> data.StructLayout:
    """Where a step of a sample is in a schedule whose lambda falls (`Schedule.halvings`)."""
    return data.StructLayout(
        {
            #: Halvings until now: k of lambda = 2^-k is as much larger than at first.
            "halved": range(len(config.spec.schedule.halvings) + 1),
            #: The next step has the next one.
            "falls": unsigned(1),
        }
    )


#: Cycles from `address` to `read_data`: the address's register, memory, its register, lane, bundle.
READ_LATENCY = 5

#: Cycles from `lane` to `read_data`.
LANE_LATENCY = 2


def bias_word(config: Config, layer: Layer):
    """Working biases of one channel group, LSB 2^-12."""
    lanes = data.ArrayLayout(signed(config.spec.formats.bias_bits), config.lanes[layer.index])
    address = unsigned(bits_for(config.groups(layer) - 1))
    return data.StructLayout({"address": address, "bias": lanes})


def xi_shape(config: Config):
    """xi of a neuron, LSB 2^-8: 0..256; of deviations, in units of a fine spike, within +-256."""
    bits = config.spec.state_bits
    return signed(bits + 1) if config.spec.schedule.fine else unsigned(bits)


def trace_word(config: Config, layer: Layer):
    """What a bench sees of each word in each sweep: all quantities of the neuron, after its step."""
    spec, lanes = config.spec, config.lanes[layer.index]
    return data.StructLayout(
        {
            "slot": unsigned(1),
            "address": unsigned(bits_for(config.words(layer) - 1)),
            "d": data.ArrayLayout(signed(spec.formats.decoder_bits), lanes),
            "xi": data.ArrayLayout(xi_shape(config), lanes),
            "u": data.ArrayLayout(signed(spec.membrane_bits), lanes),
            "s": unsigned(lanes * spec.spike_bits),
        }
    )


def samples_in_flight(config: Config) -> int:
    """Samples that a core has at once, at most: of two that it steps, one whose static drive is made, and one whose image it
    takes. The compact core has one."""
    return 1 if config.compact else 4


def label_bits(config: Config) -> int:
    """Width of a class."""
    return bits_for(config.spec.classes - 1)


class CoreSignature(wiring.Signature):
    """Written from the core's side.

    Members
    -------
    settings : In(settings_layout(config))
        Stable while ``busy``.
    start : In(1)
        One cycle. Of a sample only while ``ready``, of a COMMIT only while not ``busy``.
    operation : In(Operation)
        Sampled with ``start``.
    label : In(label_bits(config))
        Class of the sample; sampled with ``start``.
    ready : Out(1)
        A sample may be started beside those in flight, of which there are at most
        `samples_in_flight`. May fall in the cycle after ``start`` only.
    holding : Out(1)
        High from the cycle after a sample's ``start`` until the core needs its image no longer.
    done : Out(1)
        One cycle for each sample, in the order of their starts, never while ``holding`` for it.
    prediction : Out(label_bits(config))
        Of the sample that is done, in the cycle of ``done``.
    busy : Out(1)
        High from the cycle after a ``start`` until no sample is in flight and each trained one's
        update has begun; of COMMIT until all memories hold the result, but engines may still
        prepare for it. Updates may go on afterwards; only a COMMIT waits for their end.
    phase : Out(len(PHASES))
        Which counter of ``phase_cycles`` counts this cycle; one hot, or 0. Of two samples in
        flight the older one's counts.
    pixel_address : Out
        Address in the image of the sample started last, in raster order, channel after channel.
    pixel : In(8)
        The pixel at the address of the cycle before.
    bundle : In
        0-based bundle of the access to the masters, which is possible only while not busy and goes
        a lane at a time: whole words of all memories would need wide buses to one place.
    address : In
        Word of the master memory.
    lane : In
        Lane of the word.
    write : In(1)
        Keeps ``write_data`` for that lane. The word is stored, at most a cycle later, when its last
        lane is written; the others must have been written since the last store, and ``address``
        matters with the last one only.
    write_data : In(MASTER_BITS)
        A lane.
    read_data : Out(MASTER_BITS)
        A lane, right `READ_LATENCY` cycles after ``bundle`` and ``address``, and `LANE_LATENCY`
        after ``lane``.
    clear : In(1)
        Zeroes spike and cycle counters.
    spikes : Out(32) x layers 1..N
        Spikes of each layer, mod 2^32.
    phase_cycles : Out(32) x PHASES
        Cycles of each phase, mod 2^32.
    """

    def __init__(self, config: Config):
        bundles = config.spec.bundles
        depth = max(layout.image_words(config, b) for b in bundles)
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "start": In(1),
                "operation": In(Operation),
                "label": In(label_bits(config)),
                "ready": Out(1),
                "holding": Out(1),
                "done": Out(1),
                "busy": Out(1),
                "phase": Out(len(protocol.PHASES)),
                "prediction": Out(label_bits(config)),
                "pixel_address": Out(bits_for(config.spec.input.pixels - 1)),
                "pixel": In(config.spec.formats.pixel_bits),
                "bundle": In(bits_for(len(bundles) - 1)),
                "address": In(bits_for(depth - 1)),
                "write": In(1),
                "lane": In(range(max(config.lanes[1:]))),
                "write_data": In(protocol.MASTER_BITS),
                "read_data": Out(protocol.MASTER_BITS),
                "clear": In(1),
                "spikes": Out(32).array(len(bundles)),
                "phase_cycles": Out(32).array(len(protocol.PHASES)),
            }
        )
