# amaranth: UnusedElaboratable=no
"""Tests the harness with an average pool, a queue and an adder of memory words; an example of a bench."""

import random
import re

import cocotb
import pytest
import torch
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from nudge.boards.virtual import verilator
from nudge.golden.model import ops
from nudge.hw.synapse.average_pool import AveragePool
from nudge.plumbing import cache
from nudge.plumbing.cache import cached
from nudge.plumbing.errors import ToolError

from . import testbench
from .streams import (
    FlowSource,
    Monitor,
    Port,
    StreamSink,
    StreamSource,
    pack,
    serve_memory,
    start,
    unpack,
    wait_for,
)
from .waves import ports

LANES, BITS = 3, 5


class Queue(wiring.Component):
    """A FIFO of packed signed lanes."""

    i: In(stream.Signature(data.ArrayLayout(signed(BITS), LANES)))
    o: Out(stream.Signature(data.ArrayLayout(signed(BITS), LANES)))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=LANES * BITS, depth=4)
        m.d.comb += [fifo.w_data.eq(self.i.payload), fifo.w_en.eq(self.i.valid), self.i.ready.eq(fifo.w_rdy)]
        m.d.comb += [self.o.payload.eq(fifo.r_data), self.o.valid.eq(fifo.r_rdy), fifo.r_en.eq(self.o.ready)]
        return m


class Sum(wiring.Component):
    """Adds the four words of a memory with synchronous read."""

    start: In(1)
    busy: Out(1)
    address: Out(2)
    data: In(8)
    total: Out(10)

    def elaborate(self, platform):
        m = Module()
        arrives = Signal()
        m.d.sync += arrives.eq(self.busy)
        with m.If(arrives):
            m.d.sync += self.total.eq(self.total + self.data)
        with m.If(self.busy):
            m.d.sync += [self.address.eq(self.address + 1), self.busy.eq(self.address != 3)]
        with m.Elif(self.start):
            m.d.sync += [self.busy.eq(1), self.address.eq(0), self.total.eq(0)]
        return m


UNITS = {
    "pool": AveragePool(lanes=LANES, bits=BITS, height=5, width=7),
    "queue": Queue(),
    "sum": Sum(),
}


def random_lanes() -> list[int]:
    """Random signed lanes with frequent extremes."""
    low, high = -(1 << (BITS - 1)), (1 << (BITS - 1)) - 1
    return [random.choice((low, high, random.randint(low, high))) for _ in range(LANES)]


@cocotb.test()
@cocotb.parametrize(gap=[0.0, 0.3])
async def average_pool_equals_golden(dut, gap):
    unit, maps = UNITS["pool"], 4
    await start(dut)
    source, monitor = FlowSource(dut, "pool__i"), Monitor(dut, "pool__o")
    pixels = [random_lanes() for _ in range(maps * unit.height * unit.width)]
    await source.send((pack(lanes, BITS) for lanes in pixels), gap=gap)
    # (maps, height, width, lanes) on the wires, (maps, lanes, height, width) in the model
    image = torch.tensor(pixels).reshape(maps, unit.height, unit.width, LANES).permute(0, 3, 1, 2)
    expected = ops.average_pool(image).permute(0, 2, 3, 1).reshape(-1, LANES).tolist()
    words = await monitor.wait(len(expected))
    assert [unpack(word, BITS + 2, LANES, signed=True) for word in words] == expected


@cocotb.test()
async def monitor_counts_latency(dut):
    unit = UNITS["pool"]
    await start(dut)
    source, monitor = FlowSource(dut, "pool__i"), Monitor(dut, "pool__o")
    await source.send([0] * (unit.width + 2))
    await monitor.wait(1)
    # the first square is complete in cycle width + 1, counted from the first word
    assert monitor.cycles == [unit.width + 1 + unit.latency]


@cocotb.test()
@cocotb.parametrize(stalls=[(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.3)])
async def stream_keeps_order(dut, stalls):
    await start(dut)
    source, sink = StreamSource(dut, "queue__i"), StreamSink(dut, "queue__o")
    words = [pack(random_lanes(), BITS) for _ in range(200)]
    writer = cocotb.start_soon(source.put(words, stall=stalls[0]))
    assert await sink.get(len(words), stall=stalls[1]) == words
    await writer


@cocotb.test()
async def memory_port_has_one_cycle_of_latency(dut):
    await start(dut)
    words = [random.getrandbits(8) for _ in range(4)]
    serve_memory(dut, "sum__address", "sum__data", words)
    port = Port(dut, "sum")
    port.start.value = 1
    await port.edge
    port.start.value = 0
    assert await wait_for(dut, "sum__busy") == 1
    assert await wait_for(dut, "sum__busy", 0) == 4
    await port.edge
    assert port.total.value == sum(words)


def test_lanes_round_trip():
    assert pack([-1, 2, -16], BITS) == 0b10000_00010_11111
    assert unpack(0b10000_00010_11111, BITS, LANES, signed=True) == [-1, 2, -16]
    assert unpack(0b10000_00010_11111, BITS, LANES, signed=False) == [31, 2, 16]
    with pytest.raises(ValueError, match=r"lane 1: 32 doesn't fit in 5 bits"):
        pack([0, 32], BITS)


def test_wave_file_is_named_after_the_test(tmp_path, monkeypatch):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    monkeypatch.setenv("WAVES", "1")
    units = {"pool": AveragePool(lanes=LANES, bits=BITS, height=5, width=7)}
    compiled = testbench.compile_bench(testbench.Testbench(units), "units")
    testbench.run_test(compiled, __name__, "monitor_counts_latency")
    waves = tmp_path / "waves" / f"{__name__}.monitor_counts_latency.vcd"
    assert "pool__o__valid" in waves.read_text()
    # the viewer's setup shows each port of the bench, by its name in the wave file
    setup = waves.with_suffix(".gtkw").read_text()
    names = ports(waves)
    assert set(names) == {
        "clk",
        "rst",
        "pool__i__valid",
        "pool__i__payload",
        "pool__o__valid",
        "pool__o__payload",
    }
    traces = [line.split("} ")[-1] for line in setup.splitlines() if line.startswith(("units.", "+{"))]
    assert sorted(traces) == sorted(names.values())
    assert traces[:3] == ["units.clk", "units.rst", "units.pool__i__valid"]
    assert re.findall(r"^-(\S+)$", setup, re.M) == ["pool.i", "pool.i", "pool.o", "pool.o"]
    assert f'[dumpfile] "{waves}"' in setup


def test_a_build_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    made = []

    def make(folder, log):
        made.append(folder)
        (folder / "result").write_text("done")

    first = cached("x", ["a", "bc"], make)
    assert (first / "result").read_text() == "done"
    assert cached("x", ["a", "bc"], make) == first
    assert cached("x", ["ab", "c"], make) != first
    assert len(made) == 2


@pytest.mark.parametrize("damage", ["bit", "cut", "missing", "manifest", "no manifest"])
def test_a_damaged_build_is_made_again(tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))
    made = []

    def make(folder, log):
        made.append(folder)
        (folder / "inner").mkdir()
        (folder / "inner" / "result").write_bytes(b"done")

    result = cached("x", ["a"], make) / "inner" / "result"
    cache._whole.clear()
    assert cached("x", ["a"], make) == result.parents[1]
    assert len(made) == 1
    manifest = result.parents[1] / cache.MANIFEST
    if damage in ("missing", "no manifest"):
        (result if damage == "missing" else manifest).unlink()
    else:
        file, content = {"bit": (result, b"donf"), "cut": (result, b""), "manifest": (manifest, b"[1]")}[
            damage
        ]
        file.write_bytes(content)
    cache._whole.clear()
    capsys.readouterr()
    assert cached("x", ["a"], make) == result.parents[1]
    assert len(made) == 2
    assert result.read_bytes() == b"done"
    assert capsys.readouterr().err == f"{result.parents[1]} is damaged: it is made again\n"


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NUDGE_BUILD", str(tmp_path))

    def make(folder, log):
        (folder / "half").write_text("")
        verilator.run(["sh", "-c", "echo 'x.v:3: error: no such thing'; exit 2"], log)

    with pytest.raises(ToolError, match=r"^sh failed: x.v:3: error: no such thing; see .*\.log$"):
        cached("x", ["a"], make)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_missing_tools_are_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError, match=r"^g\+\+, make, perl not found: apt-get install g\+\+ make perl$"):
        verilator.environment()
