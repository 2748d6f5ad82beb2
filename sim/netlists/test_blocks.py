# amaranth: UnusedElaboratable=no
"""The models of an ECP5's multiplier and block RAM behave like the RTL, and like Python."""

import itertools
import random
import re

import cocotb
import pytest
from amaranth.hdl import Module, Shape
from amaranth.lib import wiring
from amaranth.lib.memory import ReadPort, WritePort
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.boards.family import Family
from nudge.boards.icebreaker import ICEBREAKER
from nudge.boards.ulx3s import ULX3S
from nudge.hw.lib.block_memory import BlockMemory
from nudge.hw.lib.multiplier import Multiplier
from nudge.plumbing.errors import ToolError
from sim.harness.streams import Port, start
from sim.harness.units import each
from sim.lib import test_multiplier

from .cells import check_mode
from .unit import Cells

#: Bits of a factor of MULT18X18D, signed or unsigned.
FACTOR = 18


class Products(wiring.Component):
    """Products of two words, each taken as signed or as unsigned."""

    SIGNS = tuple(itertools.product((False, True), repeat=2))

    def __init__(self):
        shape = [
            tuple(Shape(FACTOR - (signs[0] != signs[1]) * (not side), side) for side in signs)
            for signs in self.SIGNS
        ]
        self.shapes = dict(zip(self.SIGNS, shape, strict=True))
        super().__init__(
            {"a": In(FACTOR), "b": In(FACTOR)} | {self.name(signs): Out(2 * FACTOR) for signs in self.SIGNS}
        )

    @staticmethod
    def name(signs):
        return "product_" + "".join("us"[sign] for sign in signs)

    def elaborate(self, platform):
        m = Module()
        for signs, (a, b) in self.shapes.items():
            words = (self.a[: a.width], self.b[: b.width])
            a, b = (word.as_signed() if sign else word for word, sign in zip(words, signs, strict=True))
            m.d.comb += getattr(self, self.name(signs)).eq(a * b)
        return m


class Words(wiring.Component):
    """A block memory with a read port and a write port. granularity: bits per write enable."""

    def __init__(self, width, depth, granularity=None):
        self.width, self.depth, self.granularity = width, depth, granularity
        address = (depth - 1).bit_length()
        read = ReadPort.Signature(addr_width=address, shape=width).flip()
        write = WritePort.Signature(addr_width=address, shape=width, granularity=granularity).flip()
        super().__init__({"read": Out(read).flip(), "write": Out(write).flip()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = BlockMemory(shape=self.width, depth=self.depth, zeros=True)
        connect(m, flipped(self.read), memory.read_port())
        connect(m, flipped(self.write), memory.write_port(granularity=self.granularity))
        return m


#: A memory for each width of a DP16KD that the netlists use, and two with a write enable per 9 bits.
WORDS = {str(width): Words(width, (1 << 14) // (width - width // 9)) for width in (1, 2, 4, 9, 18, 36)}
WORDS |= {"parts_18": Words(18, 1 << 10, 9), "parts_36": Words(36, 1 << 9, 9)}
MEMORIES = {f"words_{name}": unit for name, unit in WORDS.items()}
FACTORS = {"products": Products(), "multiplier": Multiplier()}

CELLS = {name: Cells(unit, name, ULX3S) for name, unit in (MEMORIES | FACTORS).items()}
#: The multiplier on an iCE40, of whose SB_MAC16 Yosys has a model.
OTHER = "ice40_multiplier"
UNITS = CELLS | {f"rtl_{name}": unit for name, unit in (MEMORIES | FACTORS).items()}
UNITS |= {OTHER: Cells(FACTORS["multiplier"], OTHER, ICEBREAKER)}


@cocotb.test()
async def memories_keep_words(dut):
    await start(dut, before=0)
    await each(dut, MEMORIES | {f"rtl_{name}": unit for name, unit in MEMORIES.items()}, check_words)


async def check_words(dut, name, unit):
    """Random reads and writes, most of them at few addresses, return the written words; a read of a word that
    is being written returns the old one inverted, in the RTL as in the model."""
    port, width, depth = Port(dut, name), unit.width, unit.depth
    granularity = unit.granularity or width
    parts, ones = width // granularity, (1 << width) - 1
    words: dict[int, int] = {}
    few = [
        0,
        depth - 1,
        *(random.randrange(depth) for _ in range(4)),
        *(1 << bit for bit in range((depth - 1).bit_length())),
    ]
    expected = None
    for _ in range(3000):
        at, value, enable = random.choice(few), random.getrandbits(width), random.getrandbits(parts)
        port.write__addr.value, port.write__data.value, port.write__en.value = at, value, enable
        address, enabled = random.choice([*few, random.randrange(depth)]), random.random() < 0.7
        port.read__addr.value, port.read__en.value = address, int(enabled)
        await port.edge
        found = int(port.read__data.value)
        assert expected is None or found == expected, f"{name}: {found:x}, expected {expected:x}"
        if enabled:
            expected = words.get(address, 0) ^ (ones if enable and address == at else 0)
        mask = sum(
            (1 << granularity) - 1 << granularity * part for part in range(parts) if enable >> part & 1
        )
        words[at] = words.get(at, 0) & ~mask | value & mask


@cocotb.test()
async def products_of_all_signs(dut):
    await check_products(dut, ("products", "rtl_products"))


async def check_products(dut, names):
    """Products of extreme and random words, by these units, equal Python's."""
    await start(dut)
    unit, extremes = FACTORS["products"], (0, 1, (1 << FACTOR - 1) - 1, 1 << FACTOR - 1, (1 << FACTOR) - 1)
    chance = [[random.getrandbits(FACTOR) for _ in range(2)] for _ in range(1000)]
    ports = [Port(dut, name) for name in names]
    for words in [*itertools.product(extremes, repeat=2), *chance]:
        for port in ports:
            port.a.value, port.b.value = words
        await ports[0].edge
        await ports[0].edge
        for signs, shapes in unit.shapes.items():
            a, b = (as_integer(word, shape) for word, shape in zip(words, shapes, strict=True))
            for port in ports:
                found = int(getattr(port, unit.name(signs)).value)
                assert found == a * b % (1 << 2 * FACTOR), f"{port.name}, {signs}: {found:x} of {a} and {b}"


def as_integer(word, shape):
    """Return the word's low bits as a number of this shape."""
    word &= (1 << shape.width) - 1
    return word - (shape.signed and word >> shape.width - 1) * (1 << shape.width)


@cocotb.test()
async def the_multiplier_by_its_own_bench(dut):
    await test_multiplier.products_are_exact.func(dut)


@cocotb.test()
async def an_ice40_multiplies_alike(dut):
    await start(dut)
    ports, product = [Port(dut, name) for name in ("multiplier", "rtl_multiplier", OTHER)], None
    for a, b in [
        *test_multiplier.EXTREMES,
        *((random.randrange(-(1 << 15), 1 << 15), random.getrandbits(16)) for _ in range(300)),
    ]:
        for port in ports:
            port.a.value, port.b.value = a, b
        await ports[0].edge
        for port in ports:
            assert product is None or port.product.value.to_signed() == product, (
                f"{port.name}: {a} and {b} follow"
            )
        product = a * b


def test_each_width_is_a_block_of_its_own():
    for width, unit in WORDS.items():
        found = re.findall(r"DATA_WIDTH_([AB])\(32'd(\d+)\)", CELLS[f"words_{width}"].netlist)
        assert found == [("A", str(unit.width)), ("B", str(unit.width))], width


def test_products_are_multipliers():
    assert CELLS["products"].netlist.count("MULT18X18D") == 4
    assert CELLS["multiplier"].netlist.count("MULT18X18D") == 1
    assert "*" in UNITS[OTHER].netlist, "Yosys' model of SB_MAC16, and not a product of lookup tables"


@pytest.mark.parametrize(
    ("cell", "wrong"),
    [
        ('DP16KD #(.REGMODE_B("OUTREG"))', "REGMODE_B_isnt_modelled"),
        ("DP16KD #(.DATA_WIDTH_A(3), .DATA_WIDTH_B(3))", "DATA_WIDTH_A_isnt_modelled"),
        ("DP16KD #(.DATA_WIDTH_A(9))", "DATA_WIDTH_B_isnt_modelled"),
        ("DP16KD #(.INITVAL_05(7))", "INITVAL_isnt_modelled"),
        ("DP16KD #(.WID(1))", "Parameter not found: 'WID'"),
        ('MULT18X18D #(.REG_OUTPUT_CLK("CLK0"))', "REG_OUTPUT_CLK_isnt_modelled"),
        ('MULT18X18D #(.SOURCEB_MODE("C"))', "SOURCEB_MODE_isnt_modelled"),
    ],
)
def test_a_mode_without_a_model_is_refused_by_name(tmp_path, cell, wrong):
    check_mode(Family.ECP5, cell.partition(" ")[0], tmp_path)
    with pytest.raises(ToolError, match=wrong):
        check_mode(Family.ECP5, cell, tmp_path)
