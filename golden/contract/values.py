"""The gate for values from outside: each becomes a plain Python value of its field's type, or is refused by its name."""

import numbers
import operator
import os
import reprlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args

#: What a weight file can say.
MAX_WHOLE = (1 << 63) - 1

#: What an error says that a value must be.
WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text", Path: "a path"}


def plain(kind: Any, value: object, what: str, error: Callable[[str], Exception]) -> Any:
    """The value as a `kind`, a type or a union of one with None; `error`, which begins with `what`, if it is none.

    A number of numpy is a number, but a bool is none, nor is 1.0 whole. A path may stand where a text is asked for.
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
    """A value in a message: short, whatever it is."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of too many digits
        return "a number of more digits than Python prints"


def _plain(kind: type, value: Any) -> Any:
    if isinstance(value, bool) and kind is not bool:  # which Python counts among the integers
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
    """Give each field of a frozen dataclass its plain value; errors name it as an option of the command line."""
    for entry in fields(record):
        what = f"--{entry.name.replace('_', '-')}"
        object.__setattr__(record, entry.name, plain(entry.type, getattr(record, entry.name), what, error))
