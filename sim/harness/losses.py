"""Lists assignments of an elaborated design that may lose bits, by the ranges of the assigned values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from amaranth.hdl import Fragment, Shape, Signal, Value, _ast

from nudge import hw
from nudge.hw.lib import bounds, saturate

ROOT = Path(hw.__file__).parent

#: Ranges of values, narrower than their shapes, in one case of a choice by a comparison.
Known = tuple[tuple[Value, tuple[int, int]], ...]


class Loss(NamedTuple):
    """An assignment that may lose bits."""

    #: File, relative to hw/ if it is in there, and line.
    file: str
    line: int
    #: Amaranth's name of the signal that is assigned.
    target: str
    shape: Shape
    #: Range of the assigned value.
    low: int
    high: int
    #: A counter's step: the target is unsigned, and the value is one of its width, or 1 more or less.
    step: bool


def whole(shape: Shape) -> tuple[int, int]:
    """The range of a shape."""
    return bounds.signed_range(shape.width) if shape.signed and shape.width else (0, (1 << shape.width) - 1)


def fitting(found: tuple[int, int], shape: Shape) -> tuple[int, int]:
    """The range ``found`` if it fits the shape, else the whole range of the shape."""
    return found if bounds.holds(shape, *found) else whole(shape)


class Ranges:
    """Computes the ranges of expressions from the widths of their signals."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Value, tuple[int, int]]] = {}

    def of(self, value: Value, known: Known = ()) -> tuple[int, int]:
        for each, found in known:
            if same(value, each):
                return found
        if known:
            return self._of(value, known)
        if id(value) not in self._found:
            self._found[id(value)] = value, self._of(value, known)
        return self._found[id(value)][1]

    def _of(self, value: Value, known: Known) -> tuple[int, int]:
        shape = value.shape()
        match value:
            case _ast.Const():
                return value.value, value.value
            case _ast.Operator():
                return self._operator(value, [self.of(each, known) for each in value.operands])
            case _ast.Slice():
                low, high = self.of(value.value, known)
                return fitting((low >> value.start, high >> value.start), shape)
            case _ast.Concat():
                at = low = high = 0
                for part in value.parts:
                    found = fitting(self.of(part, known), Shape(len(part)))
                    low, high, at = low + (found[0] << at), high + (found[1] << at), at + len(part)
                return low, high
            case _ast.SwitchValue():
                cases = [
                    self.of(each, (*chosen(self, value, patterns, known), *known))
                    for patterns, each in value.cases
                ]
                possible = [found for found in cases if found[0] <= found[1]]
                if all(patterns is not None for patterns, _ in value.cases):
                    possible.append((0, 0))
                return min(low for low, _ in possible), max(high for _, high in possible)
            case _ast.ArrayProxy():
                cases = [self.of(Value.cast(each), known) for each in value._iter_as_values()]
                return min(low for low, _ in cases), max(high for _, high in cases)
        return whole(shape)

    def _operator(self, value: Any, found: list[tuple[int, int]]) -> tuple[int, int]:
        shape, name = value.shape(), value.operator
        if len(found) == 1:
            low, high = found[0]
            return {"-": (-high, -low)}.get(name) or (
                fitting((low, high), shape) if name in "us" else whole(shape)
            )
        if len(found) != 2:
            return whole(shape)
        a, b = found
        match name:
            case "+":
                return a[0] + b[0], a[1] + b[1]
            case "-":
                return a[0] - b[1], a[1] - b[0]
            case "*":
                ends = [x * y for x in a for y in b]
            case "<<":
                ends = [x << y for x in a for y in b]
            case ">>":
                ends = [x >> y for x in a for y in b]
            case _:
                return whole(shape)
        return min(ends), max(ends)


#: Negation of each comparison.
OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">"}


def chosen(ranges: Ranges, switch: Any, patterns: Any, known: Known) -> Known:
    """Range of a comparison's first operand in one case of the choice that it makes; for clipping."""
    test = switch.test
    if not isinstance(test, _ast.Operator) or test.operator not in OPPOSITE:
        return ()
    holds = patterns is None or patterns != ("0",)
    value, other = test.operands
    (low, high), (least, most) = ranges.of(value, known), ranges.of(other, known)
    match test.operator if holds else OPPOSITE[test.operator]:
        case ">":
            low = max(low, least + 1)
        case ">=":
            low = max(low, least)
        case "<":
            high = min(high, most - 1)
        case "<=":
            high = min(high, most)
    return ((value, (low, high)),)


def same(a: Value, b: Value) -> bool:
    """Whether two expressions are structurally equal."""
    if a is b or type(a) is not type(b):
        return a is b
    match a, b:
        case _ast.Slice(), _ast.Slice():
            return (a.start, a.stop) == (b.start, b.stop) and same(a.value, b.value)
        case _ast.Operator(), _ast.Operator():
            return a.operator == b.operator and all(map(same, a.operands, b.operands))
        case _ast.Const(), _ast.Const():
            return (a.value, a.shape()) == (b.value, b.shape())
    return False


def is_step(value: Value, bits: int) -> bool:
    """Whether an expression is an unsigned value of at most ``bits`` bits, or 1 more or less than one."""
    match value:
        case _ast.SwitchValue():
            return all(is_step(each, bits) for _, each in value.cases)
        case _ast.Operator(operator="+" | "-", operands=[of, _ast.Const(value=1)]):
            return is_step(of, bits)
    return len(value) <= bits and not value.shape().signed


def parts(value: Value) -> Iterator[Value]:
    """An expression and all its subexpressions."""
    yield value
    match value:
        case _ast.Operator():
            inner = value.operands
        case _ast.Slice():
            inner = [value.value]
        case _ast.Concat():
            inner = value.parts
        case _ast.SwitchValue():
            inner = [each for _, each in value.cases]
        case _:
            inner = []
    for each in inner:
        yield from parts(each)


def assignments(block: Any) -> Iterator[Any]:
    """All assignments of a block, under any condition."""
    for statement in block:
        if isinstance(statement, _ast.Assign):
            yield statement
        elif isinstance(statement, _ast.Switch):
            for case in statement.cases:
                yield from assignments(case[1])


def fragments(fragment: Any) -> Iterator[Any]:
    """A module and all its submodules."""
    yield fragment
    for each, *_ in fragment.subfragments:
        yield from fragments(each)


def target_of(value: Any) -> str:
    """Name of the signal that is assigned, in whole or in part."""
    while not isinstance(value, Signal):
        value = value.operands[0] if isinstance(value, _ast.Operator) else getattr(value, "value", None)
        if value is None:
            return "?"
    return value.name


def cut(ranges: Ranges, value: Value) -> tuple[int, int] | None:
    """Range of a sum, difference, product or shift from which a slice may cut upper bits off, or None.

    Slices of `hw.lib.saturate` and `hw.lib.bounds` don't count.
    """
    for each in parts(value):
        match each:
            case _ast.Slice(start=0, value=_ast.Operator(operator="+" | "-" | "*" | "<<") as of):
                proved = each.src_loc[0] in (saturate.__file__, bounds.__file__)
                if not proved and not bounds.holds(Shape(len(each)), *ranges.of(of)):
                    return ranges.of(of)
    return None


def losses(design: Any) -> Iterator[Loss]:
    """Assignments of a design that may lose bits, except those by the functions of `hw.lib.bounds`."""
    for fragment in fragments(Fragment.get(design, None)):
        ranges = Ranges()
        for block in fragment.statements.values():
            for statement in assignments(block):
                path, line = statement.src_loc
                if path == bounds.__file__:
                    continue
                shape, found = statement.lhs.shape(), ranges.of(statement.rhs)
                fits = bounds.holds(shape, *found)
                lost = cut(ranges, statement.rhs) if fits else found
                if lost is not None:
                    file = Path(path)
                    name = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name
                    step = (
                        not fits
                        and not shape.signed
                        and (not shape.width or is_step(statement.rhs, shape.width))
                    )
                    yield Loss(name, line, target_of(statement.lhs), shape, *lost, step)
