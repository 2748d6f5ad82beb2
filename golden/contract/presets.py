"""Networks with a name, which `--preset` takes."""

from .errors import SpecError
from .shapes import Conv, Dense
from .spec import Learning, Schedule, Spec

#: Learning rates of two convolutions and two dense layers.
RATES = (0.5, 0.3, 0.2, 0.16)

#: Half of the steps that layers need which all step at once (docs/log/2026-11-26-order.md).
SWEEPS = Schedule(16, 8, window_log2=2, order="odd-even")

PRESETS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec("tiny", (Conv(4), Dense(10)), SWEEPS, Learning((0.35, 0.1), batch=10, gain=0.5, decay=0.8)),
        Spec("small", (Conv(8), Conv(16), Dense(32), Dense(10)), SWEEPS, Learning(RATES)),
        Spec("medium", (Conv(8), Conv(20), Dense(48), Dense(10)), SWEEPS, Learning(RATES)),
        Spec("large", (Conv(32), Conv(64), Dense(256), Dense(10)), Schedule(32, 16), Learning(RATES)),
        Spec("wide", (Conv(32, 5), Dense(256), Dense(10)), Schedule(32, 16), Learning(rates=(0.5, 0.2, 0.16))),
        Spec("paper", (Conv(128), Conv(256), Dense(512), Dense(10)), SWEEPS, Learning((0.25, 0.15, 0.1, 0.08))),
    )
}


def preset(name: str) -> Spec:
    """The preset of that name; `SpecError` lists the names there are."""
    if name not in PRESETS:
        raise SpecError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
