"""Spiking convolutional networks, trained on an FPGA by equilibrium propagation: one page of names::

    import nudge

    net = nudge.Network.preset("tiny")
    result = net.fit("embedded", epochs=4, board="golden", seed=1)
    result.error_percent  # of the test digits
    net.trace(nudge.data("embedded").test_images[0]).plot()

`Network.fit` is what `nudge train` runs, with the same weights, bit for bit; nothing here computes anything itself.
`nudge.paper` has the paper's systems, in floating point. Each error is a `NudgeError` of one line.
"""

from golden.contract.presets import NAMES as PRESETS
from golden.contract.shapes import Conv, Dense
from golden.training.data import Data
from golden.training.data import load as data
from golden.training.evaluate import Evaluation
from golden.training.predict import Prediction
from plumbing.errors import NudgeError

from . import paper
from .network import Network
from .result import History, Result
from .trace import Trace

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
]
