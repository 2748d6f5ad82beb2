"""Spiking convolutional networks, trained on an FPGA by equilibrium propagation: all public names::

    import nudge

    net = nudge.Network.preset("tiny")
    result = net.fit("embedded", epochs=4, board="golden", seed=1)
    result.error_percent  # of the test digits
    net.trace(nudge.data("embedded").test_images[0]).plot()

`Network.fit` trains as `nudge train` does, to the same weights, bit for bit; this package only calls golden,
host and paper. `nudge.paper` has the paper's systems in floating point. Every error is a `NudgeError` with a
one-line message.
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
