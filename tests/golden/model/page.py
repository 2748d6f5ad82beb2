"""docs/arithmetic.md as a program: its constants and functions, for a network."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from golden.contract.spec import Spec

PAGE = Path(__file__).parents[3] / "docs/arithmetic.md"
TEXT = PAGE.read_text()

#: Name, value as an expression of the ones before, and the value that is said to be usual.
CONSTANTS = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (-?\d+) \|", TEXT, re.M)
FUNCTIONS = compile("\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.S)), str(PAGE), "exec")

#: What the page takes from a network's file.
FORMATS = ("weight_bits", "decoder_bits", "state_fraction")
SCHEDULE = ("window", "window_log2", "feedback_shift")


def of(spec: Spec) -> SimpleNamespace:
    """All names of the page."""
    names = {"np": np, "math": math}
    names |= {name: getattr(spec.formats, name) for name in FORMATS} | {name: getattr(spec.schedule, name) for name in SCHEDULE}
    for name, value, _ in CONSTANTS:
        names[name] = eval(value, names)
    exec(FUNCTIONS, names)
    return SimpleNamespace(**names)
