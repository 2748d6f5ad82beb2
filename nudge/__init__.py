"""Spiking convolutional networks, trained on an FPGA by equilibrium propagation: all public names::

    import nudge

    net = nudge.Network.preset("tiny")
    result = net.fit("embedded", epochs=4, board="golden", seed=1)
    result.error_percent  # of the test digits
    net.trace(nudge.data("embedded").test_images[0]).plot()

`Network.fit` trains as `nudge train` does, to the same weights, bit for bit; this interface only calls
golden, host and paper. `nudge.paper` has the paper's systems in floating point. Every error is a `NudgeError`
with a one-line message.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import paper
    from .classifier import Classifier as Classifier
    from .golden.contract.presets import NAMES as PRESETS
    from .golden.contract.shapes import Conv, Dense
    from .golden.training.data import Data
    from .golden.training.data import load as data
    from .golden.training.evaluate import Evaluation
    from .golden.training.predict import Prediction
    from .host.sweep.sweep import sweep
    from .network import Network
    from .plumbing.errors import NudgeError
    from .result import History, Result
    from .trace import Trace

# `Classifier` isn't listed: without the package scikit-learn, `import *` would fail.
__all__ = [
    "PRESETS",
    "Conv",
    "Data",
    "Dense",
    "Evaluation",
    "History",
    "Network",
    "NudgeError",
    "Prediction",
    "Result",
    "Trace",
    "data",
    "paper",
    "sweep",
]

#: Module of each public name, then its name in that module if it differs. A name is imported when it is first
#: used: Python runs this file before any submodule, and most submodules need neither torch nor matplotlib.
_HOMES = {
    "PRESETS": "golden.contract.presets NAMES",
    "Classifier": "classifier",
    "Conv": "golden.contract.shapes",
    "Data": "golden.training.data",
    "Dense": "golden.contract.shapes",
    "Evaluation": "golden.training.evaluate",
    "History": "result",
    "Network": "network",
    "NudgeError": "plumbing.errors",
    "Prediction": "golden.training.predict",
    "Result": "result",
    "Trace": "trace",
    "data": "golden.training.data load",
    "sweep": "host.sweep.sweep",
}


def __getattr__(name: str) -> object:
    if name == "paper":
        return import_module(".paper", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _HOMES[name].partition(" ")
    found = getattr(import_module(f".{module}", __name__), there or name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
