# amaranth: UnusedElaboratable=no
"""Every input and output of every unit in a board is driven: no counter, setting or stream is unconnected."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from amaranth.hdl import Fragment, Module, Signal, Value, _ast
from amaranth.lib import data, wiring

from nudge.golden.contract.config import Config, configuration
from nudge.golden.contract.presets import PRESETS
from nudge.golden.contract.protocol import Access, Identity, Register, registers
from nudge.hw.link import registers as register_file
from nudge.hw.link.counters import Counters
from nudge.hw.system import System
from sim.harness.losses import assignments

#: Ports that keep their initial value on purpose, as `Class.member`.
CONSTANT = {
    # static drives are never silent, and no update engine reads the output array's sums as pre sums
    "DriveMemory.silent",
    "NeuronArray.pre_address",
    "DeviationArray.pre_address",
    # these engines have no work after a half or a commit
    "ConvEngine.busy",
    "ConvEngine.preparing",
    "DenseEngine.busy",
    "DenseEngine.preparing",
    # bits of a 16-bit word that its region doesn't use
    "SinglePortMemory.write_data",
    # the compact core has one sample in flight
    "CompactCore.trace_1.payload.slot",
    "CompactCore.trace_2.payload.slot",
}

#: Bits of signals, as (`id` of the signal, index).
Bits = set[tuple[int, int]]


def bits(target: Value) -> Bits:
    """Return the bits that an assignment to `target` drives; for a dynamic index, all that it may select."""
    match target:
        case Signal():
            return {(id(target), bit) for bit in range(len(target))}
        case _ast.Slice(value=Signal() as signal):
            return {(id(signal), bit) for bit in range(target.start, target.stop)}
        case _ast.Concat():
            parts = target.parts
        case _ast.Operator():
            parts = target.operands
        case _ast.SwitchValue():
            parts = [each for _, each in target.cases]
        case _ast.ArrayProxy():
            parts = [Value.cast(each) for each in target._iter_as_values()]
        case _ast.Slice() | _ast.Part():
            parts = [target.value]
        case _:
            raise TypeError(f"assignment to {target!r}")
    return set().union(*map(bits, parts))


def driven(fragment: Fragment) -> Bits:
    """Return the bits that a module's own statements assign to."""
    blocks: Iterable[list] = fragment.statements.values()
    return set().union(*(bits(each.lhs) for block in blocks for each in assignments(block)))


def leaves(member: Any) -> Iterator[tuple[list[str], Value]]:
    """Yield the fields of a structure with their names, or any other value as a whole."""
    if isinstance(member, data.View) and isinstance(member.shape(), data.StructLayout):
        for name, _ in member.shape():
            yield [name], Value.cast(member[name])
    else:
        yield [], Value.cast(member)


def undriven(design) -> Iterator[str]:
    """Yield `Class.member` for each port, or field of a port, with a bit that isn't driven."""
    fragment = Fragment.get(design, None)
    outside = driven(fragment)
    for inner, *_ in fragment.subfragments:
        inside = driven(inner)
        for unit in inner.origins or ():
            for path, member, leaf in (
                unit.signature.flatten(unit) if isinstance(unit, wiring.Component) else ()
            ):
                for field, value in leaves(leaf):
                    if bits(value) - (outside if member.flow is wiring.In else inside):
                        yield ".".join([type(unit).__name__, *map(str, path), *field])
        yield from undriven(inner)


def board(config: Config, capacity: int = 0) -> System:
    spec = config.spec
    return System(config, Identity(spec.name, spec.identity, 0, 1, config.lanes, capacity=capacity))


TINY = PRESETS["tiny"]
BOARDS = {
    "memory": lambda: board(configuration(TINY), 1 << 25),
    "compact": lambda: board(Config(TINY, (1, 1, 1), compact=True)),
    "line": lambda: board(configuration(TINY, "line")),
    "fine and centred": lambda: board(configuration(PRESETS["garments"])),
}


@pytest.mark.parametrize("name", BOARDS)
def test_every_leaf_is_driven(name):
    """Every port is driven; a counter never incremented by `System` is `RegisterFile.increment.NAME` here."""
    assert set(undriven(BOARDS[name]())) - CONSTANT == set()


def test_a_counter_that_nobody_increments_is_named():
    m, counters = Module(), Counters(3)
    m.submodules += counters
    m.d.comb += [counters.increment[:2].eq(3), counters.clear.eq(0), counters.address.eq(0)]
    assert list(undriven(m)) == ["Counters.increment"]


def test_a_register_without_a_value_is_named(monkeypatch):
    more = (*registers(TINY), Register("novelty", 0x7F, Access.READ, ""))
    monkeypatch.setattr(register_file.protocol, "registers", lambda *_: more)
    with pytest.raises(
        ValueError, match=r"^register novelty: RegisterFile has neither a value nor a counter for it$"
    ):
        Fragment.get(register_file.RegisterFile(configuration(TINY)), None)
