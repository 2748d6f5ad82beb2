"""`Network`: a network with its weights; training, prediction, traces, and export to other libraries."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from torch import Tensor

from nudge.golden.contract import network_file, values
from nudge.golden.contract.presets import preset
from nudge.golden.contract.shapes import Conv, Dense
from nudge.golden.contract.spec import Spec
from nudge.golden.model.batch import checked_images, checked_labels
from nudge.golden.model.parameters import Parameters, check_parameters, initial, working
from nudge.golden.model.recording import record
from nudge.golden.model.settings import Settings
from nudge.golden.training import checkpoint
from nudge.golden.training import data as datasets
from nudge.golden.training.data import Data, Source
from nudge.golden.training.evaluate import Evaluation, evaluate
from nudge.golden.training.options import TrainingOptions
from nudge.golden.training.plan import first_samples
from nudge.golden.training.predict import Prediction, predict
from nudge.golden.training.run import Run
from nudge.golden.training.sets.class_names import Names, called
from nudge.host.devices.open import open_board
from nudge.host.training.fit import fit
from nudge.paper import floating
from nudge.plumbing.errors import ModelError, PlanError, UsageError

from . import exchange
from .module import Module
from .result import Result
from .trace import Trace

if TYPE_CHECKING:
    import nir

#: Called after each commit with the run (its `epoch`, `position`, `rows` ...); True ends the training.
Callback = Callable[[Run], object]


class Network:
    """A network and its weights.

    stages: from the image to the output, which has a unit for each class: convolutions, then dense ones.
    schedule, learning, formats, input: keys of the tables of a network file (docs/networks.md), with the same
    defaults. seed: of the initial weights. Raises `SpecError` for a network that can't be built.
    """

    #: Stages, schedule, formats and default hyper-parameters, as plain data.
    spec: Spec
    #: Masters, int64, LSB 2^-15, which learning changes.
    parameters: Parameters
    #: Steps, beta and learning rates in the format of the board's registers.
    settings: Settings

    def __init__(
        self,
        stages: Sequence[Conv | Dense],
        *,
        name: str = "mine",
        schedule: Mapping[str, Any] | None = None,
        learning: Mapping[str, Any] | None = None,
        formats: Mapping[str, Any] | None = None,
        input: Mapping[str, Any] | None = None,
        seed: int = 0,
    ):
        tables = {"input": input, "schedule": schedule, "learning": learning, "formats": formats}
        document: dict[str, Any] = {"name": name, "stage": [_table(stage) for stage in stages]}
        document |= {key: dict(values) for key, values in tables.items() if values is not None}
        spec = network_file.network(document, f"network {name}")
        self._set(spec, initial(spec, seed), Settings.of(spec))

    @classmethod
    def _of(cls, spec: Spec, parameters: Parameters, settings: Settings) -> Self:
        network = cls.__new__(cls)
        network._set(spec, parameters, settings)
        return network

    def _set(
        self,
        spec: Spec,
        parameters: Parameters,
        settings: Settings,
        names: Names = (),
        source: Source | None = None,
    ) -> None:
        check_parameters(spec, parameters)
        self.spec, self.parameters, self.settings = spec, parameters, settings
        self._names, self._digits = names, source is not None and source.digits

    @classmethod
    def preset(cls, name: str, *, seed: int = 0) -> Self:
        """Return a preset, one of `nudge.PRESETS`, with initial weights; `SpecError` for an unknown name."""
        spec = preset(name)
        return cls._of(spec, initial(spec, seed), Settings.of(spec))

    @classmethod
    def load(cls, source: str | Path, *, seed: int = 0) -> Self:
        """Load a network: from a TOML file with initial weights, or with trained weights from a weight file,
        a run's directory, or a packaged name such as "small-mnist".

        Raises `SpecError` or `WeightsError` for an invalid file. seed: of the initial weights.
        """
        path = Path(source)
        if path.suffix == ".toml":
            spec = network_file.read(path)
            return cls._of(spec, initial(spec, seed), Settings.of(spec))
        spec, parameters, found = checkpoint.load(checkpoint.find(path))
        network = cls.__new__(cls)
        network._set(spec, parameters, found.typed_settings(), found.names, found.source)
        return network

    def __repr__(self) -> str:
        stages = ", ".join(map(repr, self.spec.stages))
        return f"<Network {self.spec.name}: {stages}; {self.spec.parameters:,} weights and biases>"

    def fit(
        self,
        data: str | os.PathLike[str] | Data = "embedded",
        *,
        epochs: int = 1,
        board: str = "golden",
        seed: int = 0,
        out: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
        twin: bool = False,
        recover: int = 0,
        engines: str | None = None,
        stream: bool = False,
        **options: Any,
    ) -> Result:
        """Train from initial weights, test once at the end, and keep the trained weights in this network.

        Equals `nudge train`, with the same weights. data: a value of --data, or your own images and labels as
        `nudge.Data`; the run keeps only a digest of those, so `nudge resume` needs them as a file, by --data.
        Without test images nothing is tested.
        board: "golden" (the model), "sim" (the RTL, simulated), or a device path or pyserial URL. seed: of
        the initial weights and the order of samples; together with `options` it determines every bit of the
        result, on any board. out: directory of weights, metrics and learning curve; None: a temporary one,
        which is deleted with the result. twin, recover, engines, stream: as in `nudge train`. options: its
        other options by name, such as samples, batch, lr_scale, held_out, shift or force.

        Each callback is called after each commit with the run; if one returns True, or at the first Ctrl-C,
        the run is saved and training ends. Raises the errors of the command: `PlanError`, `DataError`,
        `LinkError`, `BoardError`, `ToolError`.
        """
        known = [
            entry.name for entry in fields(TrainingOptions) if entry.name not in ("preset", "network", "data")
        ]
        if unknown := sorted(options.keys() - known):
            raise UsageError(f"fit has no option {unknown[0]!r}: choose from {', '.join(known)}")
        callbacks = tuple(callbacks)
        for callback in callbacks:
            if not callable(callback):
                raise UsageError(f"a callback must be callable, not {values.said(callback)}")
        asked = TrainingOptions(epochs=epochs, seed=seed, **options)
        source, images = self._data(data, asked.data_dir)
        plan = asked.plan(self.spec, source.of(images), len(images.train_images))
        where = (
            Path(tempfile.mkdtemp(prefix="nudge-"))
            if out is None
            else values.plain(Path, out, "--out", PlanError)
        )
        run = Run.begin(
            plan, self.spec, where, force=asked.force, data_dir=asked.data_dir, classes=images.classes
        )
        run.callbacks, run.picture = callbacks, out is not None
        forget = weakref.finalize(run, shutil.rmtree, where, ignore_errors=True) if out is None else None
        try:
            with run.owned():
                test = len(images.test_images) > 0
                outcome = fit(run, images, board, engines, twin, recover, stream, test)
                run.plot(None if outcome.test is None else outcome.test.error_percent)
        except BaseException:
            if forget is not None:
                forget()
            raise
        settings = plan.settings(self.spec)[min(run.epoch, plan.epochs - 1)]
        self._set(self.spec, run.parameters, settings, run.classes, plan.data)
        return Result(run, outcome)

    def evaluate(
        self,
        data: str | os.PathLike[str] | Data = "embedded",
        *,
        board: str = "golden",
        samples: int | None = None,
    ) -> Evaluation:
        """Return the error on the first `samples` test images (default: all), with labels, predictions and
        confusion matrix.

        The model's predictions equal those of every board, bit for bit; another `board` serves to check this.
        """
        source, images = self._data(data)
        if not len(images.test_images):
            raise ModelError("there must be images to test")
        count = first_samples(samples, len(images.test_images), source)
        with open_board(board, self.spec) as device:
            device.load(self.parameters)
            device.write_settings(self.settings)
            return evaluate(device, images.test_images[:count], images.test_labels[:count], self._names)

    def _data(self, data: str | os.PathLike[str] | Data, folder: Path | None = None) -> tuple[Source, Data]:
        """Return the source of data, and their images and labels, which fit the network."""
        if isinstance(data, str | os.PathLike):
            source = Source.asked(data)
            return source, datasets.load(source, folder, self.spec.input)
        return Source(datasets.GIVEN), _checked(data, self.spec)

    def predict(
        self, images: np.ndarray | Tensor, *, board: str = "golden", arithmetic: str = "fixed"
    ) -> np.ndarray:
        """Return the classes, (n,) int64, of uint8 images (n, height, width) or (n, 3, height, width).

        arithmetic: "fixed" is the board's, bit for bit; "float" is the same dynamics in floating point
        (`paper.floating`), for comparisons with other libraries.
        """
        if arithmetic not in ("fixed", "float"):
            raise UsageError(f"arithmetic must be fixed or float, not {arithmetic!r}")
        pixels = checked_images(images, self.spec)
        if arithmetic == "float":
            return floating.infer(self.spec, working(self.spec, self.parameters), pixels).numpy()
        with open_board(board, self.spec) as device:
            device.load(self.parameters)
            device.write_settings(self.settings)
            return device.infer(pixels.numpy(), np.zeros(len(pixels), np.int64))

    def predict_pictures(self, *paths: str | os.PathLike[str], invert: bool = False) -> list[Prediction]:
        """Classify pictures of any size that Pillow reads: return each one's class, name, and outputs.

        As `nudge predict`: a picture of the network's size is used unchanged, another one is scaled and
        centred on black, or placed like MNIST's digits if the network was trained on those. invert: the
        pictures are dark on bright.
        """
        known = [Path(values.plain(Path, path, "a picture", UsageError)) for path in paths]
        return predict(self.spec, self.settings, self.parameters, known, self._names, self._digits, invert)

    @property
    def classes(self) -> Names:
        """Names of the classes, from the data on which the weights were trained; numbers if unknown."""
        return called(self._names, self.spec.classes)

    def trace(
        self, image: np.ndarray | Tensor, label: int | None = None, *, limit: int | None = None
    ) -> Trace:
        """Return every quantity of every layer and sweep for one uint8 image of the network's size, as
        arrays; with a label also of the nudged phases, and the update.

        The values are the board's, bit for bit. limit: maximum size of the trace in bytes, by default half of
        the free memory; a larger one raises `ModelError` before it is allocated.
        """
        recording = record(self.spec, self.settings, self.parameters, image, label, limit=limit)
        return Trace(recording, self.settings, self.classes)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """Masters by their names in a weight file, int16, LSB 2^-15: `bundle1.weight` (post, pre, k, k) or
        (post, pre) in torch's order, `bundle1.bias` (channels,), and so on. Bundle n drives layer n.
        """
        return {name: x.numpy().astype(np.int16) for name, x in exchange.named(self.spec, self.parameters)}

    def to_torch(self, *, masters: bool = False) -> exchange.TorchWeights:
        """Return the working copies, which the dynamics read, as a state_dict in float32, with the scale of
        each: integer = value / scale.

        So `avg_pool2d(conv2d(pixels / 256, bundle1.weight), 2)`, rounded half up to 1/512, is exactly the
        static drive. masters: return the masters instead, LSB 2^-15.
        """
        return exchange.to_torch(self.spec, self.parameters, masters)

    def to_module(self) -> Module:
        """Return the network as a torch module with the same predictions: see `nudge.module.Module`."""
        return Module(self.spec, self.settings, self.parameters).eval()  # it has no training mode

    def to_nir(self, *, strict: bool = False) -> "nir.NIRGraph":
        """Return the network as a NIR graph: see `nudge.exchange.to_nir`."""
        return exchange.to_nir(self.spec, self.parameters, strict)

    @classmethod
    def from_nir(cls, graph: "nir.NIRGraph", *, name: str = "nir") -> Self:
        """Return the network of a NIR graph; `ExchangeError` names a node that nudge can't represent."""
        spec, parameters = exchange.from_nir(graph, name)
        return cls._of(spec, parameters, Settings.of(spec))


def _table(stage: Conv | Dense) -> dict[str, Any]:
    """Return a stage as an entry of a network file."""
    if isinstance(stage, Conv):
        return {"conv": stage.channels, "kernel": stage.kernel, "padding": stage.padding}
    if isinstance(stage, Dense):
        return {"dense": stage.units}
    raise UsageError(f"a stage must be nudge.Conv or nudge.Dense, not {stage!r}")


def _checked(data: Data, spec: Spec) -> Data:
    """Return the user's images and labels as tensors; `ModelError` if a board wouldn't take them."""
    if not isinstance(data, tuple | list) or len(data) != len(Data._fields):
        raise UsageError(
            f"data must be a name, a path or nudge.Data of {', '.join(Data._fields)}, not "
            f"{type(data).__name__}"
        )
    parts: list[Tensor] = []
    for images, labels in (data[:2], data[2:]):
        pixels = checked_images(images, spec).cpu()
        parts += (
            pixels if spec.input.channels > 1 else pixels[:, 0],
            checked_labels(labels, len(pixels), spec).cpu(),
        )
    found = Data(*parts, classes=getattr(data, "classes", ())[: spec.classes])
    if not len(found.train_images):
        raise ModelError("there must be images to train")
    datasets.note_missing(found, "data", spec.classes)
    return found
