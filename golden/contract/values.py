"""Checks of values from outside: each becomes its field's plain Python type, or is refused by its name."""

import numbers
import operator
import os
import reprlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args

#: Largest integer that a weight file holds.
MAX_WHOLE = (1 << 63) - 1

#: Text of an error for each type that a value must have.
WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def plain(kind: Any, value: object, what: str, error: Callable[[str], Exception]) -> Any:
    """Return the value as a `kind`, which is a type or a union of one with None.

    Otherwise raise `error`, with a text that begins with `what`. Numpy's numbers are accepted as numbers, but
    a bool isn't a number, nor is 1.0 an integer. A path is accepted as text.
    """
    kinds = get_args(kind) or (kind,)
    if value is None and NoneType in kinds:
        return None
    (kind,) = (each for each in kinds if each is not NoneType)
    try:
        return _plain(kind, value)
    except (TypeError, OverflowError):
        allowed = WORDS.get(kind, f"a {kind.__name__}")
        raise error(f"{what} must be {allowed}, not {' '.join(said(value).split())}") from None


def said(value: object) -> str:
    """Return a short text of any value, for an error message."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an int with too many digits
        return "a number of more digits than Python prints"


def _plain(kind: type, value: Any) -> Any:
    if isinstance(value, bool) and kind is not bool:  # in Python, bool is a subclass of int
        raise TypeError
    if kind is int and isinstance(value, numbers.Integral):
        return operator.index(value)
    if kind is float and isinstance(value, numbers.Real):
        return float(value)
    if kind in (str, Path) and isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if isinstance(text, str) and (kind is str or "\0" not in text):
            return kind(text)
    if kind not in (int, float, str, Path) and isinstance(value, kind):
        return value
    raise TypeError


def normalise(record: Any, error: Callable[[str], Exception]) -> None:
    """Convert each field of a frozen dataclass to its plain type; errors name it as a command-line option."""
    for entry in fields(record):
        what = f"--{entry.name.replace('_', '-')}"
        object.__setattr__(record, entry.name, plain(entry.type, getattr(record, entry.name), what, error))
