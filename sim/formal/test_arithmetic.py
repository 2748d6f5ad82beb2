# amaranth: UnusedElaboratable=no
"""Proofs about the arithmetic, for all inputs and all time: no sum wraps, and rounding is exact."""

from dataclasses import replace

import pytest
from amaranth.hdl import Assert, Assume, Cat, Const, Module, Mux, ResetSignal, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import connect

from nudge.golden.contract.config import Config
from nudge.golden.contract.presets import preset
from nudge.hw.core.commit import Commit
from nudge.hw.core.deviation_array import DeviationArray
from nudge.hw.core.neuron_array import NeuronArray
from nudge.hw.core.weight_memory import WeightMemory
from nudge.hw.lib.adder_tree import adder_tree, carry_tree, plus, tree_latency
from nudge.hw.lib.saturate import saturated
from nudge.hw.update.correlator import Correlator

from .prover import Opened, past, prove, started

TINY = preset("tiny")
#: One lane for each layer; all lanes are alike, so a proof for one holds for all.
LANE = Config(TINY, (1, 1, 1))
#: `LANE` with lambda falling from 1 to 1/8.
ANNEALED = Config(
    replace(TINY, schedule=replace(TINY.schedule, decay_shift=0, halvings=(1, 4, 12))), (1, 1, 1)
)
#: `LANE` with feedback weighted by a quarter.
WEAK = Config(replace(TINY, schedule=replace(TINY.schedule, feedback_shift=2)), (1, 1, 1))


def taken(m, dut, opened):
    """Return the registers of an array's drives, one for each side. Assert that each has its side's last
    drive.
    """
    registers = [opened[f"side1_{n}"].as_signed() for n in range(len(dut.sides))]
    for register, side in zip(registers, dut.sides, strict=True):
        m.d.comb += Assert(~started(m) | (register == past(m, side.payload[0])))
    return registers


@pytest.mark.parametrize("config", [LANE, ANNEALED, WEAK], ids=["constant", "annealed", "weak feedback"])
@pytest.mark.parametrize("number", [1, 2])
def test_neuron_array(number, config):
    """No sum wraps, and d, xi and U stay in their ranges, for any contents of memories."""
    spec, f = config.spec, config.spec.formats
    m = Module()
    layer = spec.layers[number]
    opened = Opened(m, dut := NeuronArray(config, layer))
    k, falls = Const(spec.schedule.decay_shift), Const(0)
    if spec.schedule.halvings:
        # constant, and never beyond the last halving
        told = dut.annealing
        m.d.comb += Assume(~started(m) | (told.as_value() == past(m, told.as_value())))
        m.d.comb += Assume(told.halved + told.falls <= len(spec.schedule.halvings))
        k, falls = told.halved + spec.schedule.decay_shift, told.falls

    def lowest(k):
        """Return the lower bound of U before a step with this k: threshold - (one << k)."""
        return f.threshold - (Const(f.one) << k)

    fields = {"d": signed(f.decoder_bits), "u": signed(spec.membrane_bits)} | (
        {"xi": spec.state_bits} if dut.output else {}
    )
    old = data.View(data.StructLayout(fields), opened["old2"])
    m.d.comb += Assume((old.u >= lowest(k)) & (old.u <= spec.membrane_high))
    if dut.output:
        m.d.comb += Assume(old.xi <= f.one)
    now = dut.trace.payload
    m.d.comb += Assert(
        ~dut.trace.valid | ((now.u[0] >= lowest(k + falls)) & (now.u[0] <= spec.membrane_high))
    )
    m.d.comb += Assert(lowest(k + falls) >= spec.membrane_low)
    m.d.comb += Assert(~dut.trace.valid | (now.xi[0] <= f.one))
    phi = data.View(dut.both, opened["phi2"])[0]
    both, *above = taken(m, dut, opened)
    if above:
        both = (both << spec.schedule.feedback_shift) + above[0]
    # phi is as wide as the bound of both drives' sum, which arbitrary drives exceed: compare its bits
    m.d.comb += Assert(~started(m) | (opened["phi2"] == past(m, both)[: dut.both.size]))
    exact, total, rounded = (opened[f"{name}_0"] for name in ("exact", "total", "rounded"))
    m.d.comb += Assert(exact == old.d + (((phi << dut.rest) - old.d) >> k))
    pull, bias = opened["pull3_0"] if dut.output else 0, opened["bias3"].as_signed()
    m.d.comb += Assert(total == opened["d3_0"] + bias + pull + (1 << (f.round_shift - 1)))
    m.d.comb += Assert(rounded == total >> f.round_shift)
    d3, xi4, u4 = opened["d3_0"], opened["xi4_0"], opened["u4_0"]
    before = past(m, exact)
    high, low = before > f.decoder_high, before < f.decoder_low
    m.d.comb += Assert(~started(m) | (d3 == Mux(high, f.decoder_high, Mux(low, f.decoder_low, before))))
    scaled = xi4 << k
    m.d.comb += Assert(~dut.trace.valid | (now.s[0] == (u4 + scaled > f.threshold)))
    m.d.comb += Assert(
        ~dut.trace.valid | (now.u[0] == u4 + scaled - (xi4 << (k + falls)) + xi4 - Mux(now.s[0], f.one, 0))
    )
    prove(m, opened.inputs, depth=8, free=("dut.state", "dut.bias", "dut.window.growing"))


@pytest.mark.parametrize(("number", "linear"), [(1, False), (2, False), (2, True)])
def test_deviation_array(number, linear):
    """With deviations, no sum wraps and U stays in its range, for any contents of memories."""
    schedule = replace(TINY.schedule, feedback_shift=1, fine=(4, 2), linear_output=linear)
    config = Config(replace(TINY, schedule=schedule), (1, 1, 1))
    spec, f, k = config.spec, config.spec.formats, config.spec.schedule.decay_shift
    m, layer, point = Module(), spec.layers[number], spec.schedule.fine[number - 1]
    opened = Opened(m, dut := DeviationArray(config, layer))
    step, nudge, top = dut.step.as_value(), dut.step.nudge, (f.one << k) - f.threshold
    m.d.comb += Assume(~started(m) | (step == past(m, step)))

    def held(u):
        """Return whether U is in the range of the present phase."""
        return Mux(nudge, (u >= -top) & (u <= top), (u >= f.threshold - (f.one << k)) & (u <= f.threshold))

    old = data.View(dut.state, opened["old2"])[0]
    m.d.comb += Assume(held(old.u))
    if dut.output:
        m.d.comb += Assume((old.xi >= -f.one) & (old.xi <= f.one))
    now, written = dut.trace.payload, data.View(dut.state, opened["written"])[0]
    m.d.comb += Assert(~dut.trace.valid | held(now.u[0]))
    m.d.comb += Assert(~dut.trace.valid | ((now.xi[0] <= f.one) & (now.xi[0] >= Mux(nudge, -f.one, 0))))
    ends = opened["ends"]
    m.d.comb += Assert(ends == (dut.step.sum & dut.step.sum_last & ~nudge))
    m.d.comb += Assert(~ends | ((written.u >= -f.threshold) & (written.u <= f.threshold)))
    phi = data.View(dut.both, opened["phi2"])[0]
    below, *aboves = taken(m, dut, opened)
    (free_below, free_above), (there, back) = dut.shifts
    terms = [Mux(nudge, 0 if number == 1 else below << there, below << free_below)]
    terms.extend(Mux(nudge, above << back, above << free_above) for above in aboves)
    # phi is as wide as the bound of both drives' sum, which arbitrary drives exceed: compare its bits
    m.d.comb += Assert(~started(m) | (opened["phi2"] == past(m, sum(terms[1:], terms[0]))[: dut.both.size]))
    names = ("exact", "v", "total", "rounded", "before3", "start3", "weighed", "left")
    exact, v, total, rounded, before, begin, weighed, left = (opened[f"{name}_0"] for name in names)
    m.d.comb += Assert(exact == old.d + ((phi - old.d) >> k))
    base = opened["base2_0"] + data.View(dut.biases, opened["bias2"])[0]
    m.d.comb += Assert(v == (0 if linear else base << point))
    pull = opened["pull3_0"] << point if dut.output else 0
    m.d.comb += Assert(total == opened["d3_0"] + begin + pull + (1 << (f.round_shift - 1)))
    m.d.comb += Assert(rounded == total >> f.round_shift)
    one = Mux(nudge, f.one << point, f.one)
    clipped = Mux(rounded < 0, 0, Mux(rounded > one, one, rounded))
    if linear:
        near = Mux(rounded > f.one, f.one, Mux(rounded < -f.one, -f.one, rounded))
        m.d.comb += Assert(~started(m) | (opened["xi4_0"] == past(m, Mux(nudge, near, clipped))))
    else:
        m.d.comb += Assert(opened["moved_0"] == clipped - before)
    scaled = opened["xi4_0"] << k
    m.d.comb += Assert(weighed == opened["u4_0"] + scaled)
    over, under = weighed > f.threshold, nudge & (weighed < -f.threshold)
    m.d.comb += Assert(~dut.trace.valid | (now.s == Cat(over | under, under)))
    less = Mux(over, f.one, Mux(under, -f.one, 0))
    m.d.comb += Assert(left == weighed - less)
    m.d.comb += Assert(~dut.trace.valid | (now.u[0] == opened["u4_0"] + opened["xi4_0"] - less))
    memories = (
        "free",
        "deviations",
        "bias",
        *(f"window.{name}" for name in ("growing", "free_parts", "plus_parts")),
    )
    prove(m, opened.inputs, depth=8, free=tuple(f"dut.{name}" for name in memories))


@pytest.mark.parametrize("number", [0, 1])
def test_weight_memory(number):
    """A commit clips and rounds without wrapping; a committed master plus a batch's updates doesn't wrap."""
    f, bundle = TINY.formats, TINY.bundles[number]
    m = Module()
    opened = Opened(m, memory := WeightMemory(LANE, bundle))
    commit = Opened(m, Commit(LANE, bundle), "commit")
    connect(m, commit.dut.masters, memory.masters)
    clipped, rounded, weight = (
        memory.masters.committed.payload.masters[0],
        opened["rounded_0"],
        opened["weight_0"],
    )
    m.d.comb += Assert((clipped >= f.master_low) & (clipped <= f.master_high))
    shifts = [f.master_fraction - fraction for fraction in (f.weight_fraction, f.bias_fraction)]
    halves = [rounded == clipped + (1 << (shift - 1)) for shift in shifts]
    m.d.comb += Assert(halves[0] | halves[1])
    # a cycle later
    exact, most = past(m, rounded >> shifts[0]), (1 << (f.weight_bits - 1)) - 1
    m.d.comb += Assert(~started(m) | ((weight <= most) & ((weight == exact) | (exact > most))))
    prove(m, [*opened.inputs, *commit.inputs], depth=3, free=("dut.master", "dut.working"))
    most = f.max_batch * f.update_bound
    assert -(1 << (f.master_bits - 1)) <= f.master_low - most
    assert f.master_high + most < 1 << (f.master_bits - 1)


def test_correlator():
    """The scaled sum and its rounding never wrap, and an update stays within its bound."""
    f, bundle = TINY.formats, TINY.bundles[1]
    m = Module()
    opened = Opened(m, dut := Correlator(LANE, bundle))
    scaled, rounded = opened["scaled_0"], opened["rounded_0"]
    shifts = TINY.weight_shift(bundle), TINY.bias_shift
    exact = [(scaled + (1 << (shift - 1))) >> shift for shift in shifts]
    # a cycle later
    m.d.comb += Assert(~started(m) | (rounded == past(m, exact[0])) | (rounded == past(m, exact[1])))
    update = dut.o.payload.update[0]
    m.d.comb += Assert(~dut.o.valid | ((update <= f.update_bound) & (update >= -f.update_bound)))
    prove(m, opened.inputs, depth=8)


@pytest.mark.parametrize("terms", [3, 5, 9])
def test_adder_tree(terms):
    """The adder tree returns the exact sum of any terms."""
    m = Module()
    inputs = [Signal(signed(8), name=f"term_{n}") for n in range(terms)]
    m.d.comb += Assume(~ResetSignal("sync"))
    total = adder_tree(m, inputs)
    exact = sum(inputs, Const(0, 1))
    filled = Signal(4)
    m.d.sync += filled.eq(Cat(1, filled))
    for _ in range(tree_latency(terms)):
        exact = past(m, exact)
    m.d.comb += Assert(~filled[tree_latency(terms) - 1] | (total == exact))
    prove(m, inputs, depth=4)


@pytest.mark.parametrize("terms", [1, 3, 5, 8])
def test_carry_tree(terms):
    """The total plus the remaining carry is the exact sum of any terms and carries."""
    m = Module()
    inputs = [Signal(signed(8), name=f"term_{n}") for n in range(terms)]
    carries = [Signal(name=f"carry_{n}") for n in range(terms)]
    m.d.comb += Assume(~ResetSignal("sync"))
    total, left = carry_tree(m, list(zip(inputs, carries, strict=True)))
    exact = sum([*inputs, *carries], Const(0, 1))
    filled = Signal(4)
    m.d.sync += filled.eq(Cat(1, filled))
    for _ in range(tree_latency(terms)):
        exact = past(m, exact)
    m.d.comb += Assert(~filled[tree_latency(terms) - 1] | (plus(total, Const(0, signed(1)), left) == exact))
    prove(m, [*inputs, *carries], depth=4)


@pytest.mark.parametrize(("wide", "narrow"), [(18, 16), (21, 16), (9, 8), (14, 13)])
def test_saturated(wide, narrow):
    """Saturation returns the nearest value that the narrower number can hold."""
    m = Module()
    value = Signal(signed(wide))
    m.d.comb += Assume(~ResetSignal("sync"))
    high, low = (1 << narrow - 1) - 1, -(1 << narrow - 1)
    m.d.comb += Assert(saturated(value, narrow) == Mux(value > high, high, Mux(value < low, low, value)))
    clock = Signal()
    m.d.sync += clock.eq(~clock)
    prove(m, [value], depth=2)
