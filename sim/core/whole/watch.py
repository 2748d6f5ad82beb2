"""Compare a layer's trace port with `golden.model.batch.trace` in every sweep."""

from cocotb.triggers import RisingEdge

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Layer
from nudge.golden.model.phases import Step
from nudge.hw.core.interface import trace_word
from sim.harness.streams import pack, unpack
from sim.harness.testbench import CLOCK
from sim.harness.words import layer_words


def watch(
    dut, config: Config, layer: Layer, slot: int, steps: list[Step], progress: dict[tuple[int, int], int]
):
    """Return a coroutine that compares a layer's trace in a slot with the golden model, and its word count.

    progress: number of equal words so far, by (layer, slot); the coroutine updates it. A failed assertion
    names the first difference.
    """
    shape, bits, edge = trace_word(config, layer), config.spec.spike_bits, RisingEdge(getattr(dut, CLOCK))
    fields = ("d", "xi", "U", "s")
    expected = []
    for step in steps:
        state = step.layers[layer.index - 1]
        columns = [layer_words(config, layer, getattr(state, field)) for field in fields]
        for address, (d, xi, membrane, s) in enumerate(zip(*columns, strict=True)):
            spikes = pack(s, bits)
            lanes = {"d": d.tolist(), "xi": xi.tolist(), "u": membrane.tolist()}
            value = {"slot": slot, "address": address, "s": spikes, **lanes}
            expected.append(shape.const(value).as_bits())
    words = config.words(layer)
    name = f"trace_{layer.index}"
    valid, payload = getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__payload")

    def explain(count, got):
        step, (address, lanes) = steps[count // words], (count % words, config.lanes[layer.index])
        got, want = shape.from_bits(got), shape.from_bits(expected[count])
        where = f"slot {slot}, phase {step.phase}, sweep {step.t}, layer {layer.index}"
        if got.address != address:
            return f"{where}: word {got.address} came instead of {address}"
        for lane in range(lanes):
            channel, position = address // layer.positions * lanes + lane, address % layer.positions
            neuron = f"neuron ({channel}, {position // layer.width}, {position % layer.width})"
            for field in ("d", "xi", "u"):
                if got[field][lane] != want[field][lane]:
                    return f"{where}, {neuron}: {field} is {got[field][lane]}, golden has {want[field][lane]}"
            found, expected_s = (unpack(word.s, bits, lanes, signed=bits > 1)[lane] for word in (got, want))
            if found != expected_s:
                return f"{where}, {neuron}: s is {found}, golden has {expected_s}"
        return f"{where}: unequal, but no field differs"

    async def compare():
        count = 0
        while count < len(expected):
            if not valid.value:
                await RisingEdge(valid)
            await edge
            if valid.value:
                got = payload.value.to_unsigned()
                if shape.from_bits(got).slot != slot:
                    continue
                assert got == expected[count], explain(count, got)
                count += 1
                progress[layer.index, slot] = count

    return compare(), len(expected)
