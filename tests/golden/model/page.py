"""docs/arithmetic.md as a program: its constants and functions for a given network."""

import ast
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from nudge.golden.contract.spec import Spec

from .extremes import Extremes, Names

PAGE = Path(__file__).parents[3] / "docs/arithmetic.md"
TEXT = PAGE.read_text()

#: Name, value as an expression of the constants before it, and the value in the default formats.
CONSTANTS = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (-?\d+) \|", TEXT, re.M)
SOURCE = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.S))
FUNCTIONS = compile(SOURCE, str(PAGE), "exec")

_names = Names()
COUNTED = compile(ast.fix_missing_locations(_names.visit(ast.parse(SOURCE))), str(PAGE), "exec")

#: Extremes that its calls may meet, except in `clip`, and in `initial`, which the scalar model doesn't call.
CALLS = [key for key in _names.found if not key[0].startswith(("clip.", "initial."))]

#: Values that the page takes from a network file.
FORMATS = ("weight_bits", "decoder_bits", "state_fraction")
SCHEDULE = ("window", "window_log2", "feedback_shift")


def of(spec: Spec, extremes: Extremes | None = None) -> SimpleNamespace:
    """Return all names of the page, with a network's values. extremes: counts those that its calls meet."""
    names = {"np": np, "math": math}
    names |= {name: getattr(spec.formats, name) for name in FORMATS} | {
        name: getattr(spec.schedule, name) for name in SCHEDULE
    }
    for name, value, _ in CONSTANTS:
        names[name] = eval(value, names)
    exec(FUNCTIONS, names)
    if extremes is not None:
        counting = extremes.counting(SimpleNamespace(**names))
        exec(COUNTED, names)
        names |= counting
    return SimpleNamespace(**names)
