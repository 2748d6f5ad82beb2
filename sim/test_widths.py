# amaranth: UnusedElaboratable=no
"""No width is too small: each assigned signal holds its expression's whole range, or a proved bound.

The range of an expression follows from the widths of its signals (`sim.harness.losses`). A smaller target
needs a bound with its proof (`hw.lib.bounds`), or is a counter's step, or is listed here.
"""

from dataclasses import replace

import pytest
from amaranth.hdl import Module, Mux, Signal, signed

from nudge.golden.contract.config import ENGINES, Config, configuration
from nudge.golden.contract.formats import Formats, signed_bits
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.schedule import Schedule
from nudge.golden.contract.shapes import Conv, Dense, Input
from nudge.golden.contract.spec import Learning, Spec
from nudge.hw.compact.compact_core import CompactCore
from nudge.hw.core.core import Core
from nudge.hw.lib.bounds import bounded
from nudge.hw.top import Top
from nudge.plumbing.errors import ConfigError
from sim.core.whole.random_cores import core_case
from sim.harness.losses import Loss, losses

#: Folders whose widths concern bytes, addresses and lengths, not the network's quantities;
#: benches send them requests with any values.
OF_BYTES = ("link/", "memory/")

#: Addresses and counters, by file, whose sums could only overflow beyond the end at which their state machine
#: stops. For names that begin with `$`, Amaranth knows no other name.
PLACES = {
    "compact/boxes.py": {"pixel_address"},
    "compact/compact_core.py": {"trace_2__payload"},
    "compact/loop_counters.py": {"$signal", "row"},
    "compact/datapath.py": {"$signature__addr"},
    "compact/image_program.py": {"channel_weight"},
    "compact/memories.py": {"write_data"},  # memory words; `memory_map.Region` has the widths of the contents
    "compact/step_program.py": {"weight"},
    "compact/update_program.py": {"under_way"},  # a shift register
    "core/mean_pass.py": {"mean_at", "masters__address", "masters__committed__payload"},
    "core/weight_memory.py": {"bias__payload", "write__en"},
    "core/weight_pass.py": {"base", "channel", "slice_base", "slice_of_all"},
    "core/weights.py": {"address"},
    "synapse/conv_engine.py": {"address", "pre_base", "post_base"},
    "synapse/drive_memory.py": {"address"},
    "synapse/event_side.py": {"i__payload"}
    | {"read_bank"}
    | {f"{way}_{x}" for way in ("forward", "backward") for x in ("bank", "base", "line", "need", "of_row")},
    "synapse/folded_kernels.py": {"$signal", "base", "out_channel", "tile_address"},
    "synapse/kernel_loader.py": {"base", "tile_address"},
    "synapse/pixel_engine.py": {"tile_address"},
    "synapse/scatter/engine.py": {"write_bank_1", "write_bank_2", "write_bank_3"},
    "synapse/scatter/queue.py": {"$signature__addr"},
    "synapse/scatter/weights.py": {"$signal", "write__addr"},
    "synapse/spike_buffer.py": {"$signature__addr", "write__addr"},
    "synapse/spike_window.py": {"$signal", "$signature__en", "at_column"},
    "synapse/upsample.py": {"address", "row"},
    "update/conv_update.py": {"$signal", "$signature__addr", "address", "box_write__addr"}
    | {"post_address", "post_base"},
    "fifo.py": {"level"},  # Amaranth's own
}  # fmt: skip


def unproved(design) -> list[Loss]:
    """Return the possible losses that none of these exceptions explains."""
    found = (loss for loss in losses(design) if not loss.step and not loss.file.startswith(OF_BYTES))
    return [loss for loss in found if loss.shape.signed or loss.target not in PLACES.get(loss.file, ())]


def compact(spec: Spec) -> Config:
    return Config(spec, (1,) * len(spec.layers), compact=True)


def board(config: Config) -> Top:
    return Top(config, clock_hz=12_000_000, divisor=12, sdram=True)


@pytest.mark.parametrize("engines", ENGINES)
@pytest.mark.parametrize("name", ["small", "garments"])
def test_a_board_has_room(name, engines):
    assert unproved(board(configuration(PRESETS[name], engines))) == []


def test_the_smallest_board_has_room():
    assert unproved(board(compact(PRESETS["tiny"]))) == []


@pytest.mark.parametrize("slots", [2, 1])
@pytest.mark.parametrize("seed", range(8))
def test_a_random_core_has_room(seed, slots):
    assert unproved(Core(replace(core_case(seed)[0], slots=slots))) == []


#: Extreme number formats of a network file (`golden.contract.network_file`).
FORMATS = [
    Formats.of(weight_bits=2, decoder_bits=16, state_fraction=4),
    Formats.of(weight_bits=8, decoder_bits=13),
]


def extreme(stages, formats: Formats, shown: Input, window_log2: int, **schedule) -> Spec:
    steps = 1 << max(window_log2, 2)
    of = Schedule(steps, steps, window_log2=window_log2, order="odd-even", **schedule)
    return Spec("extreme", stages, of, Learning(rates=(0.1,) * len(stages)), formats, input=shown)


@pytest.mark.parametrize(("window_log2", "engines"), [(0, "line"), (8, "event")])
@pytest.mark.parametrize("formats", FORMATS, ids=lambda formats: str(formats.weight_bits))
def test_an_extreme_core_has_room(formats, window_log2, engines):
    """The smallest and largest formats, windows, images and kernels; coarse spikes, and unequal fine ones."""
    room, large = formats.drive_shift, Input(3, 10, 64, 64)
    for stages, shown in (((Conv(1, 1), Conv(1, 3), Dense(10)), Input()), ((Conv(1, 9), Dense(64)), large)):
        top = min(12, room)
        for fine in ((), (top,) + (0,) * (len(stages) - 1)):
            centred = bool(fine)
            spec = extreme(
                stages,
                formats,
                shown,
                window_log2,
                fine=fine,
                centred=centred,
                decay_shift=13,
                halvings=(1, 2),
            )
            assert unproved(Core(configuration(spec, engines))) == [], spec.schedule


@pytest.mark.parametrize("fine", [(6, 0), (9, 0)])
def test_a_difference_of_spikes_whose_size_falls_by_more_than_a_sum_has_room(fine):
    """The difference, rounded to the spike size of the layer above, is -1, 0 or 1.

    Its width was once 1 bit for a step of 6 binary places, and 0 bits for 9.
    """
    spec = extreme((Conv(1, 3), Dense(10)), FORMATS[0], Input(), 0, fine=fine)
    assert unproved(Core(configuration(spec))) == []


@pytest.mark.parametrize("state_fraction", range(4, 9))
@pytest.mark.parametrize("window_log2", range(4))
def test_the_compact_core_has_room_or_refuses(state_fraction, window_log2):
    """The compact core once accepted window sums whose shift exceeds its multipliers' 16 bits."""
    tiny, formats = PRESETS["tiny"], Formats.of(state_fraction=state_fraction)
    spec = replace(tiny, formats=formats, schedule=replace(tiny.schedule, window_log2=window_log2))
    if state_fraction + window_log2 < 8:
        with pytest.raises(
            ConfigError, match=r"^the compact core has 15 bits for window sums, shifted, not "
        ):
            CompactCore(compact(spec))
    else:
        assert unproved(CompactCore(compact(spec))) == []


def step_of_a_bias(bits: int):
    """Return the bias step of a centred commit, assigned to a signal of `bits` bits."""
    m, f = Module(), Formats()
    difference, corrected = Signal(signed(39)), Signal(signed(bits))
    update, learned = Signal(signed(signed_bits(-f.batch_bound, f.batch_bound))), Signal()
    moved = (difference + (1 << (f.bias_fraction - 1))) >> f.bias_fraction
    m.d.sync += corrected.eq(Mux(learned, update - moved, 0))
    return m


def test_the_width_that_wrapped_is_found():
    """`hw.core.centred_commit` once had two bits more than a master for a bias step, which wrapped."""
    f = Formats()
    (found,) = losses(step_of_a_bias(f.master_bits + 2))
    assert (found.target, found.shape, found.step) == ("corrected", signed(20), False)
    assert list(losses(step_of_a_bias(signed_bits(found.low, found.high)))) == []


def test_a_target_without_room_for_the_bound_is_refused():
    spec = PRESETS["garments"]
    bound = spec.bias_step_bound(spec.bundles[-1])
    with pytest.raises(ValueError, match=rf"^-{bound}\.\.{bound} don't fit signed\(20\) \(why\)$"):
        bounded(Signal(signed(20)), Signal(signed(40)), -bound, bound, "why")


def test_a_slice_by_hand_and_a_wrong_sign_are_found():
    m, a, b = Module(), Signal(8, name="a"), Signal(8, name="b")
    m.d.comb += [Signal(8, name="sum").eq((a + b)[:8]), Signal(9, name="difference").eq(a - b)]
    m.d.comb += Signal(8, name="step").eq(a + 1)
    m.d.comb += [Signal(8, name="clipped").eq(Mux(a + b > 255, 255, a + b)), Signal(9, name="all").eq(a + b)]
    assert [(loss.target, loss.step) for loss in losses(m)] == [
        ("sum", False),
        ("difference", False),
        ("step", True),
    ]
