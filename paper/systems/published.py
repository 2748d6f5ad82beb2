"""Tables I and II as the paper prints them: hyper-parameters and results."""

from dataclasses import dataclass

#: Row of Table II with the paper's own network.
OWN_ROW = "2C2FC"


@dataclass(frozen=True)
class Published:
    """Figures of Table II; None: not given."""

    #: Test error in percent.
    test: float
    #: Standard deviation of the test error.
    deviation: float | None = None
    #: Training error in percent.
    train: float | None = None
    #: Standard deviation of the training error.
    train_deviation: float | None = None
    #: Memory in MB.
    memory: float | None = None


#: Table II by data set, then name of the configuration.
PUBLISHED = {
    "mnist": {
        "oconnor-1fc": Published(2.37, train=0.15),
        "eqspike-1fc": Published(2.41, train=1.09),
        "oconnor-3fc": Published(2.42, train=0.27),
        "ernoult-2c1fc": Published(1.02, train=0.54),
        "snn-ep": Published(0.97, 0.32, 0.61, 0.28, 321),
        "snn-bptt": Published(0.86, 0.11, memory=2171),
        "crnn-ep": Published(0.94, 0.02, memory=309),
        "crnn-bptt": Published(0.99, 0.36, memory=3018),
    },
    "fashion-mnist": {
        "snn-ep": Published(8.89, 2.45, 2.90, 0.02, 321),
        "snn-bptt": Published(8.71, 1.25, memory=2171),
        "crnn-ep": Published(8.99, 2.89, memory=309),
        "crnn-bptt": Published(8.83, 1.33, memory=3018),
    },
}


@dataclass(frozen=True)
class TableI:
    """Table I's hyper-parameters for one data set; names as in `neuron.Dynamics` and
    `configuration.Configuration`."""

    beta: float
    rate: float
    prediction: float
    free: int
    nudged: int
    rates: tuple[float, ...] = (0.25, 0.15, 0.1, 0.08)
    batch: int = 125
    epochs: int = 250


TABLE_I = {"mnist": TableI(0.1, 0.9, 0.6, 250, 50), "fashion-mnist": TableI(0.2, 1.0, 0.6, 350, 50)}
