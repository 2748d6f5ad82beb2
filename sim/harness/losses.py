"""Assignments of an elaborated design whose target may hold less than what is assigned, judged by ranges of values."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from amaranth.hdl import Fragment, Shape, Signal, Value, _ast

import hw
from hw.lib import bounds, saturate

ROOT = Path(hw.__file__).parent

#: What is known of values beside their shapes, where an expression has chosen by a comparison.
Known = tuple[tuple[Value, tuple[int, int]], ...]


class Loss(NamedTuple):
    """An assignment that may lose something."""

    #: File in hw/, or elsewhere, and line.
    file: str
    line: int
    #: Name of the signal that is assigned to, as Amaranth knows it.
    target: str
    shape: Shape
    #: What the assigned value may be.
    low: int
    high: int
    #: Whether it is a counter's step: its target is unsigned, and the value something of its width, or 1 more or less.
    step: bool


def whole(shape: Shape) -> tuple[int, int]:
    """All that a shape has."""
    return bounds.signed_range(shape.width) if shape.signed and shape.width else (0, (1 << shape.width) - 1)


def fitting(found: tuple[int, int], shape: Shape) -> tuple[int, int]:
    """The range if a shape has all of it; else nothing is known but the shape."""
    return found if bounds.holds(shape, *found) else whole(shape)


class Ranges:
    """Smallest and largest values of expressions, from the widths of their signals."""

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
                cases = [self.of(each, (*chosen(self, value, patterns, known), *known)) for patterns, each in value.cases]
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
            return {"-": (-high, -low)}.get(name) or (fitting((low, high), shape) if name in "us" else whole(shape))
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


#: The comparison that holds where another one doesn't.
OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">"}


def chosen(ranges: Ranges, switch: Any, patterns: Any, known: Known) -> Known:
    """What a case of a choice says of the first of two values that are compared to choose: so clipping has ranges."""
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
    """Whether two expressions are one, written twice."""
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
    """Whether a value is something unsigned of so many bits, or 1 more or less."""
    match value:
        case _ast.SwitchValue():
            return all(is_step(each, bits) for _, each in value.cases)
        case _ast.Operator(operator="+" | "-", operands=[of, _ast.Const(value=1)]):
            return is_step(of, bits)
    return len(value) <= bits and not value.shape().signed


def parts(value: Value) -> Iterator[Value]:
    """An expression and all in it."""
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
    """All of them, whatever they depend on."""
    for statement in block:
        if isinstance(statement, _ast.Assign):
            yield statement
        elif isinstance(statement, _ast.Switch):
            for case in statement.cases:
                yield from assignments(case[1])


def fragments(fragment: Any) -> Iterator[Any]:
    """A module and all in it."""
    yield fragment
    for each, *_ in fragment.subfragments:
        yield from fragments(each)


def target_of(value: Any) -> str:
    """The signal that is assigned to, in whole or in part."""
    while not isinstance(value, Signal):
        value = value.operands[0] if isinstance(value, _ast.Operator) else getattr(value, "value", None)
        if value is None:
            return "?"
    return value.name


def cut(ranges: Ranges, value: Value) -> tuple[int, int] | None:
    """What a slice may lose, unless saturation or `bounds` has it: the upper bits of a sum, difference or product."""
    for each in parts(value):
        match each:
            case _ast.Slice(start=0, value=_ast.Operator(operator="+" | "-" | "*" | "<<") as of):
                proved = each.src_loc[0] in (saturate.__file__, bounds.__file__)
                if not proved and not bounds.holds(Shape(len(each)), *ranges.of(of)):
                    return ranges.of(of)
    return None


def losses(design: Any) -> Iterator[Loss]:
    """Those that are neither `bounded` nor wrap on purpose."""
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
                    step = not fits and not shape.signed and (not shape.width or is_step(statement.rhs, shape.width))
                    yield Loss(name, line, target_of(statement.lhs), shape, *lost, step)
