"""The picture in README: the learning curve of a run, and the spikes of one image.

python -m nudge.pictures runs/demo docs/pictures/demo.png
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nudge.golden.training.data import load
from nudge.golden.training.metrics import sliding_error
from nudge.host.view.folder import read
from nudge.host.view.tiles import tiled
from nudge.plumbing import files
from nudge.plumbing.errors import NudgeError, UsageError

from .network import Network
from .trace import TITLES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Number of sweeps that are shown of each phase.
SHOWN = 5


def drawn(run: Path) -> "Figure":
    """Draw a run's learning curve, and for the first test image the spikes of layer 1 and the outputs' xi."""
    from matplotlib.figure import Figure  # imported here, since it takes half a second

    folder = read(run)
    net = Network.load(run)
    data = load(folder.plan.data, folder.found.data_dir, folder.spec.input)
    image, label = data.test_images[0].numpy(), int(data.test_labels[0])
    trace, test = net.trace(image, label), net.evaluate(data)

    figure = Figure(figsize=(12, 5.4), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.5))[0]
    window, samples, percent = sliding_error(folder.rows)
    axes = left.subplots()
    axes.plot(samples, percent, label=f"training, last {window} images")
    axes.plot(
        samples[-1:],
        [test.error_percent],
        "s",
        label=f"{test.samples} other images: {test.error_percent:.1f} %",
    )
    axes.set(xlabel="training samples", ylabel="misread (%)", title=f"{net.spec.name} learns", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()

    levels = trace.levels(len(net.spec.layers) - 1)
    phases = {"free": trace.free, "plus": trace.plus, "minus": trace.minus}
    grid = right.subplots(len(phases), SHOWN + 2, width_ratios=[1] * (SHOWN + 1) + [1.6])
    for (name, phase), row in zip(phases.items(), grid, strict=True):
        for panel in row[:-1]:
            panel.set(xticks=[], yticks=[])
        # colour takes no map
        row[0].imshow(image if image.ndim == 2 else image.transpose(1, 2, 0), cmap="Greys")
        row[0].set(ylabel=TITLES[name])
        for t, panel in zip(np.linspace(0, len(phase) - 1, SHOWN).astype(int), row[1:-1], strict=True):
            panel.imshow(tiled(abs(phase[1].spikes[t].astype(float)), 0.2), cmap="Greys", vmin=0, vmax=1)
            panel.set(title=f"sweep {t + 1}")
        outputs = levels[name][:, :, 0, 0] / net.spec.formats.one
        for each, line in enumerate(outputs.T):
            row[-1].plot(line, color="C0" if each == label else "0.8", lw=2 if each == label else 1)
        row[-1].set(ylim=(-0.05, 1.05), title="outputs" if name == "free" else "", yticks=[0, 1])
    channels, classes = f"layer 1's {net.spec.layers[1].channels} channels", f"the {net.spec.classes} outputs"
    right.suptitle(f"The spikes of {channels}, and xi of {classes};\nthe label is {net.classes[label]}")
    return figure


def main(arguments: list[str]) -> int:
    """Draw the picture of a run to a file; return the exit code."""
    try:
        if len(arguments) != 2:
            raise UsageError("a run's directory and a PNG file are needed")
        run, picture = map(Path, arguments)
        figure = drawn(run)
        with files.atomic(picture, files.PNG) as temporary:
            figure.savefig(temporary, format="png", dpi=100)
    except NudgeError as error:
        print(f"pictures: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
