"""`Trace`: all quantities of one image through all phases."""

from typing import TYPE_CHECKING

import numpy as np

from nudge.golden.contract.shapes import CLASS_COUNTS
from nudge.golden.contract.spec import Spec
from nudge.golden.model.recording import Layer, Recording, Update
from nudge.golden.model.settings import Settings
from nudge.golden.training.sets.class_names import Names
from nudge.plumbing.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Most outputs whose classes' names fit beside a raster.
NAMED = 10

#: Names of the phases in a picture.
TITLES = {"free": "free", "plus": "+beta", "minus": "-beta"}


class Phase:
    """One phase: `phase[n]` is layer n, 1 to N, with arrays (sweeps, channels, height, width).

    spikes, xi, membrane, drive, decoder: integers, after each sweep; `phase[n].lsb["xi"]` is the value of
    integer 1. window_sum (channels, height, width): xi summed over the averaging window. In a nudged phase of
    a network with fine spikes these are deviations from the end of the free phase.
    """

    def __init__(self, name: str, layers: tuple[Layer, ...]):
        self.name, self.layers = name, layers

    def __getitem__(self, layer: int) -> Layer:
        if not 1 <= layer <= len(self.layers):
            raise UsageError(
                f"layer must be 1..{len(self.layers)} (layer 0 is the image, {len(self.layers)} the output), "
                f"not {layer}"
            )
        return self.layers[layer - 1]

    def __len__(self) -> int:
        """Return the number of sweeps."""
        return len(self.layers[0].spikes)


class Trace:
    """All quantities of one sample: the phases `free`, `plus` and `minus`, and the `updates`."""

    def __init__(self, recording: Recording, settings: Settings, names: Names):
        self._recording, self._settings, self._names = recording, settings, names
        self._phases = {name: Phase(name, layers) for name, layers in recording.phases.items()}

    @property
    def spec(self) -> Spec:
        """The network."""
        return self._recording.spec

    @property
    def image(self) -> np.ndarray:
        """The image, uint8 (height, width), in colour (3, height, width)."""
        return self._recording.image

    @property
    def label(self) -> int | None:
        """The class towards which the nudge pulls; None if there is only a free phase."""
        return self._recording.label

    @property
    def prediction(self) -> int:
        """The output with the largest window sum at the end of the free phase, the lowest on a tie."""
        return self._recording.prediction

    @property
    def free(self) -> Phase:
        """The phase without a label."""
        return self._phases["free"]

    @property
    def plus(self) -> Phase:
        """The phase with the output pulled towards the label. `UsageError` without a label."""
        return self._nudged("plus")

    @property
    def minus(self) -> Phase:
        """The phase with the output pushed away from the label. `UsageError` without a label."""
        return self._nudged("minus")

    def _nudged(self, name: str) -> Phase:
        if name not in self._phases:
            raise UsageError(f"a trace without a label has no {name} phase: trace(image, label)")
        return self._phases[name]

    @property
    def updates(self) -> tuple[Update, ...]:
        """Changes of the masters, bundles 1..N: `weight` in torch's shape and `bias`, int64, LSB 2^-15."""
        return self._recording.updates

    def levels(self, layer: int) -> dict[str, np.ndarray]:
        """Return a layer's xi by phase: (sweeps, channels, height, width), 0..256, LSB always 2^-8."""
        return self._recording.levels(layer)

    def plot(self, neurons: int = CLASS_COUNTS[-1]) -> "Figure":
        """Draw a raster of the spikes of each layer's first `neurons` neurons, over the sweeps of all phases.

        By default these include all outputs. Up to `NAMED` outputs have the names of their classes.
        """
        from matplotlib.figure import Figure  # imported here, since it takes half a second

        layers = len(self.free.layers)
        figure = Figure(figsize=(8, 1.5 + 1.6 * layers), layout="constrained")
        panels = figure.subplots(layers, 1, sharex=True, squeeze=False)[:, 0]
        edges = np.cumsum([0, *(len(phase) for phase in self._phases.values())])
        for n, axes in enumerate(panels, start=1):
            spikes = np.concatenate([phase[n].spikes for phase in self._phases.values()])
            flat = spikes.reshape(len(spikes), -1)[:, :neurons]
            sweeps, which = flat.nonzero()
            signs = np.where(flat[sweeps, which] > 0, "black", "C3")
            axes.scatter(sweeps, which, s=60 / max(flat.shape[1], 12), marker="|", color=signs)
            for edge in edges[1:-1]:
                axes.axvline(edge - 0.5, color="C1")
            kept = (
                ""
                if flat.shape[1] == spikes[0].size
                else f", the first {flat.shape[1]} of {spikes[0].size} neurons"
            )
            named = n == layers and flat.shape[1] <= NAMED
            if named:
                axes.set_yticks(range(flat.shape[1]), self._names[: flat.shape[1]], fontsize="x-small")
            axes.set(
                ylabel="class" if named else "neuron",
                ylim=(-0.7, flat.shape[1] - 0.3),
                title=f"layer {n}{kept}",
            )
        for start, name in zip(edges, self._phases, strict=False):
            panels[-1].text(start, -0.35, TITLES[name], transform=panels[-1].get_xaxis_transform())
        panels[-1].set(xlabel="sweep", xlim=(-0.5, edges[-1] - 0.5))
        right = "" if self.label is None else f", label {self._names[self.label]}"
        figure.suptitle(
            f"{self.spec.name}: spikes of one image, read as {self._names[self.prediction]}{right}"
        )
        return figure

    def __repr__(self) -> str:
        sweeps = ", ".join(f"{TITLES[name]} {len(phase)}" for name, phase in self._phases.items())
        return f"<Trace {self.spec.name}: {sweeps} sweeps; read as {self._names[self.prediction]}>"
