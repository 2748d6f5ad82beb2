"""The core's interface to the link (settings, operations, masters), and the words exchanged inside a core."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from nudge.golden.contract import layout, protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.schedule import MAX_STEPS
from nudge.golden.contract.shapes import Layer


class Operation(enum.Enum, shape=2):
    """The operation that `start` begins."""

    #: Run the free phase and predict.
    INFER = 0
    #: Run the free phase, predict, run both nudged phases and update the masters.
    TRAIN = 1
    #: Clip the masters and derive the working copies from them.
    COMMIT = 2


def settings_layout(config: Config) -> data.StructLayout:
    """Layout of the registers that the core reads; they must not change while it is busy."""
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
    """Layout of a sample's position in a schedule in which lambda is halved (`Schedule.halvings`)."""
    return data.StructLayout(
        {
            #: Halvings so far: lambda = 2^-k with k = `Schedule.decay_shift` + halved.
            "halved": range(len(config.spec.schedule.halvings) + 1),
            #: High if lambda is halved before the next step.
            "falls": unsigned(1),
        }
    )


#: Cycles from `address` to `read_data`: address register, memory, memory's output register, lane, bundle.
READ_LATENCY = 5

#: Cycles from `lane` to `read_data`.
LANE_LATENCY = 2


def bias_word(config: Config, layer: Layer):
    """Layout of the working biases of one channel group, LSB 2^-12, and the group's number."""
    lanes = data.ArrayLayout(signed(config.spec.formats.bias_bits), config.lanes[layer.index])
    address = unsigned(bits_for(config.groups(layer) - 1))
    return data.StructLayout({"address": address, "bias": lanes})


def xi_shape(config: Config):
    """Shape of a neuron's xi: 0..256, LSB 2^-8. With fine spikes signed: deviations are within +-256, in
    units of 1/256 of a fine spike."""
    bits = config.spec.state_bits
    return signed(bits + 1) if config.spec.schedule.fine else unsigned(bits)


def trace_word(config: Config, layer: Layer):
    """Layout of a trace word, for benches: all quantities of a word's neurons after one of their steps."""
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
    """Return the largest number of samples that a core holds at once: those that it steps, and as many whose
    images it takes, whose static drives it computes, or whose updates it makes. The compact core holds one.
    """
    return 1 if config.compact else 2 * config.slots


def label_bits(config: Config) -> int:
    """Width of a class label, in bits."""
    return bits_for(config.spec.classes - 1)


class CoreSignature(wiring.Signature):
    """Interface of a core; directions are those of the core's side.

    Members
    -------
    settings : In(settings_layout(config))
        Registers of the host; stable while ``busy``.
    start : In(1)
        One-cycle pulse: begins INFER or TRAIN, only while ``ready``, or COMMIT, only while not ``busy``.
    operation : In(Operation)
        Sampled with ``start``.
    label : In(label_bits(config))
        Class of the sample; sampled with ``start``.
    ready : Out(1)
        High while another sample may be started; at most `samples_in_flight` are in flight. It may fall only
        in the cycle after ``start``.
    holding : Out(1)
        High from the cycle after a sample's ``start`` until the core no longer needs its image.
    done : Out(1)
        One-cycle pulse for each sample, in the order of their starts, never while ``holding`` is high for it.
    prediction : Out(label_bits(config))
        Predicted class of the sample that is done; valid in the cycle of ``done``.
    busy : Out(1)
        After the start of a sample, high from the next cycle until no sample is in flight and the update of
        each trained one has begun. Updates may continue afterwards; only a COMMIT waits for their end. After
        a COMMIT, high from the next cycle until all memories hold the result; engines may still be preparing.
    phase : Out(len(PHASES))
        One-hot index of the ``phase_cycles`` counter that counts this cycle, or 0. With two samples in flight
        the phase of the older one counts.
    pixel_address : Out
        Address in the image of the sample started last, in raster order, one channel after another.
    pixel : In(8)
        The pixel at the address of the previous cycle.
    bundle : In
        0-based bundle of an access to the masters. Access is possible only while not ``busy``, one lane at a
        time: whole words of all memories would need wide buses to one place.
    address : In
        Word address in the master memory.
    lane : In
        Lane of the word.
    write : In(1)
        Keeps ``write_data`` for that lane. Writing the last lane stores the word, at most one cycle later, at
        the ``address`` given with it; the other lanes must have been written since the last store.
    write_data : In(MASTER_BITS)
        Value of one lane.
    read_data : Out(MASTER_BITS)
        Value of one lane, valid `READ_LATENCY` cycles after ``bundle`` and ``address``, and `LANE_LATENCY`
        cycles after ``lane``.
    clear : In(1)
        Zeroes the spike and cycle counters.
    spikes : Out(32) x layers 1..N
        Number of spikes of each layer, mod 2^32.
    phase_cycles : Out(32) x PHASES
        Number of cycles of each phase, mod 2^32.
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
