"""Weight files: safetensors with the masters in torch's shapes and, as metadata, all that made them."""

import importlib.metadata
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from .fixed import Parameters, Settings
from .spec import PRESETS, Bundle, Spec

FORMAT = "nudge-weights-1"
PACKAGES = ("torch", "numpy", "safetensors")


class WeightsError(Exception):
    """A weight file that can't be read, or is of another network; the message names the file and what differs."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved there at the end: readers see the old file or the whole new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what `atomic` left half-written where its process was killed."""
    for kind in ("safetensors", "csv", "png"):
        for path in folder.glob(f".*.{kind}.*"):
            process = path.name.rpartition(".")[2]
            if process.isdigit() and not Path("/proc", process).exists():
                path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Of Python and the packages that touch a number."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def command() -> str:
    """The command line of this process, as one would type it."""
    module = sys.modules["__main__"].__spec__
    return shlex.join([*(["nudge"] if module is None else ["python", "-m", module.name]), *sys.argv[1:]])


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run after a commit.

    plan: what fixes the run's result (see `golden.plan.Plan`). settings: the registers that it last had. epoch, position:
    the next sample to train is number `position` of epoch `epoch`. epoch_errors: wrong predictions of that epoch so far.
    seconds: of training so far. command: that began the run.
    """

    preset: str
    spec: int
    plan: dict[str, Any]
    settings: dict[str, Any]
    epoch: int
    position: int
    epoch_errors: int
    seconds: float
    command: str = field(default_factory=command)
    packages: dict[str, str] = field(default_factory=versions)

    def registers(self) -> Settings:
        """`settings` as the board takes them."""
        tuples: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in self.settings.items()}
        return Settings(**tuples)


def names(bundle: Bundle) -> tuple[str, str]:
    """Names of a bundle's tensors in the file."""
    return f"bundle{bundle.index}.weight", f"bundle{bundle.index}.bias"


def save(path: Path, spec: Spec, parameters: Parameters, checkpoint: Checkpoint) -> None:
    """Write masters as int16 (LSB 2^-15, as of a commit) and the checkpoint, atomically."""
    tensors: dict[str, Tensor] = {}
    for bundle, weight, bias in zip(spec.bundles, *parameters, strict=True):
        for name, values in zip(names(bundle), (weight, bias), strict=True):
            narrow = values.cpu().to(torch.int16).contiguous()
            if not torch.equal(narrow.long(), values.cpu().long()):
                raise WeightsError(f"{path}: {name} has values outside [-1, 1): commit before saving")
            tensors[name] = narrow
    metadata = {"format": FORMAT} | {name: json.dumps(value) for name, value in asdict(checkpoint).items()}
    with atomic(path) as temporary:
        temporary.write_bytes(to_bytes(tensors, metadata))


def load(path: Path, spec: Spec | None = None) -> tuple[Spec, Parameters, Checkpoint]:
    """The network, masters (int64) and checkpoint of a file; with `spec`, the file must be of that network.

    Raises `WeightsError` for no such file, another format, network or shape.
    """
    if not path.is_file():
        raise WeightsError(f"no weights at {path}: `nudge train --out {path.parent}` writes them")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from None
    if metadata.get("format") != FORMAT:
        raise WeightsError(f"{path} is of format {metadata.get('format')!r}, not {FORMAT!r}: not written by `nudge train`")
    try:
        found = Checkpoint(**{name: json.loads(metadata[name]) for name in Checkpoint.__dataclass_fields__})
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{path}: damaged metadata ({error})") from None
    if spec is None:
        if found.preset not in PRESETS:
            raise WeightsError(f"{path} is of preset {found.preset!r}: this version has {', '.join(PRESETS)}")
        spec = PRESETS[found.preset]
    if (found.preset, found.spec) != (spec.name, spec.identity):
        raise WeightsError(
            f"{path} is of preset {found.preset} (spec {found.spec:08x}), not {spec.name} (spec {spec.identity:08x})"
        )
    return spec, _parameters(path, spec, tensors), found


def _parameters(path: Path, spec: Spec, tensors: dict[str, Tensor]) -> Parameters:
    expected: dict[str, tuple[int, ...]] = {}
    for bundle in spec.bundles:
        weight, bias = names(bundle)
        expected |= {weight: bundle.weight_shape, bias: (bundle.post.channels,)}
    for name in sorted(expected.keys() | tensors.keys()):
        shape = tuple(tensors[name].shape) if name in tensors else "missing"
        if shape != expected.get(name, "unexpected"):
            raise WeightsError(f"{path}: {name} is {shape}, {spec.name} needs {expected.get(name, 'no such tensor')}")
        if tensors[name].dtype != torch.int16:
            raise WeightsError(f"{path}: {name} is {tensors[name].dtype}, not int16 masters")
    weights, biases = zip(*(names(b) for b in spec.bundles), strict=True)
    return Parameters(tuple(tensors[n].long() for n in weights), tuple(tensors[n].long() for n in biases))
