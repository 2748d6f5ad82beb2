# amaranth: UnusedElaboratable=no
"""The event-driven engine against golden: both directions, odd and even maps, groups and lanes; and what spikes cost."""

import cocotb
from cocotb.triggers import gather

from hw.event_conv_engine import EventConvEngine
from hw.step import Step

from . import synapse_bench
from .core_bench import layer_words
from .reference import bundle_of, each, plan, pulse, spikes
from .streams import FlowSource, Port, StreamSink, serve_memory, start
from .synapse_bench import spike_words

UNITS = {
    "event_conv_4x4": EventConvEngine(*bundle_of("conv", (1, 4, 4), 1, kernel=3)),
    "event_conv_6x7": EventConvEngine(*bundle_of("conv", (4, 6, 7), 3, kernel=3, lanes=(2, 1))),
    "event_conv_9x6": EventConvEngine(*bundle_of("conv", (2, 9, 6), 4, kernel=3, lanes=(1, 2))),
    "event_conv_5x9": EventConvEngine(*bundle_of("conv", (3, 5, 9), 2, kernel=3, lanes=(3, 2))),
}

#: Cycles from `start` to the first word of drives: they were summed up during the step before.
FIRST_WORD = 2

#: Cycles at most from then, when the last spike could have been added at the earliest, to the end of `busy`.
OVERHEAD = 6


@cocotb.test()
async def drives_equal_golden(dut):
    await start(dut)
    await each(dut, UNITS, synapse_bench.check, FIRST_WORD, FIRST_WORD)


@cocotb.test()
async def a_step_ends_with_its_last_spike(dut):
    await start(dut)
    await each(dut, UNITS, check_time)


async def check_time(dut, name, unit):
    config, bundle, port = unit.config, unit.bundle, Port(dut, name)
    layers = {"pre": bundle.pre, "post": bundle.post}
    sources = {side: FlowSource(dut, f"{name}__{side}_spikes") for side in layers}
    sinks = {"forward": (StreamSink(dut, f"{name}__forward"), bundle.post)}
    sinks["backward"] = (StreamSink(dut, f"{name}__backward"), bundle.pre)
    serve_memory(dut, f"{name}__tile_address", f"{name}__tile", [])
    for planned in plan(window=1, free=8):
        fired = {side: spikes(layer.shape)[None] for side, layer in layers.items()}
        port.step.value = Step.const(planned.fields).as_bits()
        for sink, layer in sinks.values():
            cocotb.start_soon(sink.get(config.words(layer)))
        await pulse(port.start, port.edge)
        writes = [
            cocotb.start_soon(sources[side].send(spike_words(config, layer, fired[side]))) for side, layer in layers.items()
        ]
        words = {side: layer_words(config, layer, fired[side][0]).sum(axis=1).tolist() for side, layer in layers.items()}
        finish = max(finished(words["pre"], 1), finished(words["post"], 2))
        cycle = last = 0
        while cycle < max(len(words["pre"]), len(words["post"]), last) + 20:
            cycle += 1
            await port.edge
            last = cycle if port.busy.value else last
        await gather(*writes)
        where = f"{name}, spikes {words}"
        least, most = (finish + 1, finish + OVERHEAD) if finish else (0, 0)
        assert least <= last <= most, f"{where}: busy until cycle {last}, expected {least}..{most}"


def finished(words: list[int], cycles: int) -> int:
    """When the last spike has been added, if word n comes in cycle n and each of its spikes takes so many cycles."""
    time = 0
    for n, spikes_of_word in enumerate(words):
        if spikes_of_word:
            time = max(time, n) + cycles * spikes_of_word
    return time
