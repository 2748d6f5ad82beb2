"""Weight files: safetensors with the masters in torch's shapes and, as metadata, all that produced them."""

import hashlib
import importlib.metadata
import json
import platform
import reprlib
import shlex
import sys
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as of_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from nudge.golden.contract import network_file, values
from nudge.golden.contract.presets import PRESETS, packaged
from nudge.golden.contract.shapes import Bundle
from nudge.golden.contract.spec import Spec
from nudge.golden.model.parameters import Parameters, check_parameters, shapes
from nudge.golden.model.settings import Settings
from nudge.plumbing import files
from nudge.plumbing.errors import ModelError, PlanError, SpecError, WeightsError

from .data import Source
from .sets import class_names
from .sets.class_names import Names

#: Format with the whole network and a digest over tensors and metadata.
FORMAT = "nudge-weights-2"

#: Earlier format without either; still read for the presets as they are today.
OLD_FORMAT = "nudge-weights-1"

#: Largest size of a weight file in bytes, of which a weight takes two: a larger one is not read into memory.
MAX_BYTES = 8 * network_file.MAX_PARAMETERS

#: Name of a run's weight file in its folder.
WEIGHTS = "weights.safetensors"

D = TypeVar("D")

#: Fields that files of earlier versions lack.
LATER = ("network", "metrics", "board", "data_dir", "classes")

PACKAGES = ("torch", "numpy", "safetensors")

#: Types of the tensors of `all_names`.
KINDS = (torch.int16, torch.int16, torch.int32)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that compute results."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in PACKAGES
    }


def command() -> str:
    """Return the command line of this process, as one would type it."""
    module = sys.modules["__main__"].__spec__
    program = ["nudge"] if module is None else ["python", "-m", module.name.removesuffix(".__main__")]
    return shlex.join([*program, *sys.argv[1:]])


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training run after a commit."""

    preset: str
    #: `Spec.identity`.
    spec: int
    #: All that determines the run's result: fields of a `golden.training.plan.Plan`.
    plan: dict[str, Any]
    #: Register values at the checkpoint: fields of a `Settings`.
    settings: dict[str, Any]
    #: Epoch of the next sample, from 0.
    epoch: int
    #: Position of the next sample within the epoch.
    position: int
    #: Wrong predictions in that epoch so far.
    epoch_errors: int
    #: Seconds of training.
    seconds: float
    #: Command line that began the run.
    command: str = field(default_factory=command)
    #: `versions()` when the checkpoint was written.
    packages: dict[str, str] = field(default_factory=versions)
    #: The whole network, as `network_file.document` returns it; empty in files from when only presets
    #: existed.
    network: dict[str, Any] = field(default_factory=dict)
    #: `metrics.digest` of the rows so far; "" in older files.
    metrics: str = ""
    #: Board that trained last, as `--board` names it: `nudge resume` continues there. "" in older files.
    board: str = ""
    #: Absolute folder of `--data-dir`; "": not given.
    data_dir: str = ""
    #: Names of the data's classes, from class 0 on; () in older files.
    classes: Names = ()

    @property
    def source(self) -> Source | None:
        """The data that the weights learnt; None if unknown."""
        try:
            return Source.recorded(self.plan.get("data"))
        except PlanError:
            return None

    @property
    def names(self) -> Names:
        """Names of classes: those in the file, else the usual ones of the data set."""
        return self.classes or class_names.USUAL.get("" if self.source is None else self.source.kind, ())

    def typed_settings(self) -> Settings:
        """Return `settings` as `Settings`."""
        return typed(Settings, {n: tuple(v) if isinstance(v, list) else v for n, v in self.settings.items()})


def names(bundle: Bundle) -> tuple[str, str]:
    """Return the names of a bundle's masters in the file."""
    return f"bundle{bundle.index}.weight", f"bundle{bundle.index}.bias"


def all_names(bundle: Bundle) -> tuple[str, str, str]:
    """Return the names of a bundle's masters and of its running means, which exist if commits are centred."""
    return *names(bundle), f"bundle{bundle.index}.mean"


def save(path: Path, spec: Spec, parameters: Parameters, checkpoint: Checkpoint) -> None:
    """Write masters as int16 (LSB 2^-15), running means as int32, and the checkpoint, atomically.

    `WeightsError` for values that don't fit, as before a commit.
    """
    tensors: dict[str, Tensor] = {}
    for n, bundle in enumerate(spec.bundles):
        for name, group, kind in zip(all_names(bundle), parameters, KINDS, strict=True):
            if not group:
                continue
            wide = group[n]
            narrow = wide.cpu().to(kind).contiguous()
            if not torch.equal(narrow.long(), wide.cpu().long()):
                raise WeightsError(
                    f"{path}: {name} has values outside what a commit leaves: commit before saving"
                )
            tensors[name] = narrow
    metadata = {"format": FORMAT} | {name: json.dumps(value) for name, value in asdict(checkpoint).items()}
    files.write(path, to_bytes(tensors, metadata | {"digest": digest(tensors, metadata)}))


def digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """Return the SHA-256 of a file's tensors and metadata except the digest; any changed bit changes it."""
    found = hashlib.sha256()

    def add(part: bytes) -> None:
        found.update(len(part).to_bytes(8, "little") + part)

    for name, value in sorted(metadata.items()):
        if name != "digest":
            add(name.encode())
            add(value.encode())
    for name, tensor in sorted(tensors.items()):
        add(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        add(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def find(named: Path) -> Path:
    """Return the weight file for its path, for a run's folder, or for a packaged name.

    Raises `WeightsError` if it is none of these.
    """
    if named.is_dir():
        return named / WEIGHTS
    if named.exists():
        return named
    known = packaged()
    if str(named) in known:
        return known[str(named)]
    raise WeightsError(f"no weights at {named}: give a file, a run's folder, or one of {', '.join(known)}")


def load(path: Path, spec: Spec | None = None) -> tuple[Spec, Parameters, Checkpoint]:
    """Return the network, masters (int64) and checkpoint of a file.

    With `spec`, the file must be of that network. Raises `WeightsError` for a missing file, another format,
    network or shape, metadata that no run writes, and more than `MAX_BYTES`. Nothing in a file is executed.
    """
    if not path.is_file():
        raise WeightsError(f"no weights at {path}: `nudge train --out {path.parent}` writes them")
    tensors, metadata = content(path, MAX_BYTES)
    if metadata.get("format") not in (FORMAT, OLD_FORMAT):
        raise WeightsError(
            f"{path} is of format {metadata.get('format')!r}, not {FORMAT!r}: not written by `nudge train`"
        )
    if (metadata["format"] == FORMAT or "digest" in metadata) and metadata.get("digest") != digest(
        tensors, metadata
    ):
        raise WeightsError(f"{path} is damaged: its content isn't that of its digest; take an earlier copy")
    found = _checkpoint(path, metadata)
    own = _network(path, found)
    if spec is None:
        spec = own
    check(path, own, spec)
    parameters = _parameters(path, spec, tensors)
    values.plain(Path, found.data_dir, f"{path}: damaged metadata (data_dir)", WeightsError)
    try:
        found.typed_settings().check(spec)
    except (TypeError, ModelError) as error:
        raise WeightsError(f"{path}: damaged metadata (settings: {error})") from None
    return spec, parameters, found


def content(path: Path, most: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors and metadata of a safetensors file, which is read once.

    `WeightsError` if it is invalid or has more than `most` bytes.
    """
    data = files.read(path, most, WeightsError)
    try:
        tensors = of_bytes(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError, LookupError, RuntimeError) as error:
        raise WeightsError(f"{path} is no safetensors file: {error}") from None
    return tensors, header.get("__metadata__", {})


def check(path: Path, own: Spec, spec: Spec) -> None:
    """Raise `WeightsError` if `own`, the network of `path`, differs from `spec` beyond name and lanes."""
    if own.identity != spec.identity:
        ours, theirs = (f"{one.name} (spec {one.identity:08x})" for one in (spec, own))
        raise WeightsError(f"{path} is of {theirs}, not {ours}")


def _network(path: Path, found: Checkpoint) -> Spec:
    """Return the network of a file's metadata, or of its preset if the file has none."""
    if found.network:
        try:
            spec = network_file.network(found.network, f"{path}: damaged metadata (network)")
        except SpecError as error:
            raise WeightsError(str(error)) from None
    elif found.preset in PRESETS:
        spec = PRESETS[found.preset]
    else:
        raise WeightsError(f"{path} is of preset {found.preset!r}: this version has {', '.join(PRESETS)}")
    if (found.preset, found.spec) != (spec.name, spec.identity):
        theirs, ours = f"{found.preset} (spec {found.spec:08x})", f"{spec.name} (spec {spec.identity:08x})"
        raise WeightsError(f"{path} is of {theirs}, not {ours}: this version computes otherwise")
    return spec


def _checkpoint(path: Path, metadata: dict[str, str]) -> Checkpoint:
    """Return the metadata as a checkpoint; the contents of `plan` and `settings` are not checked."""
    decoded: dict[str, Any] = {}
    for name in Checkpoint.__dataclass_fields__:
        if name in LATER and name not in metadata:
            continue
        try:
            decoded[name] = json.loads(metadata[name])
        except (KeyError, ValueError, RecursionError) as error:
            raise WeightsError(f"{path}: damaged metadata ({name}: {type(error).__name__})") from None
    try:
        return typed(Checkpoint, decoded)
    except TypeError as error:
        raise WeightsError(f"{path}: damaged metadata ({error})") from None


def typed(kind: type[D], decoded: dict[str, Any]) -> D:
    """Return a dataclass made of decoded JSON; `TypeError` names the field with an invalid value."""
    found = dict(decoded)
    for entry in fields(kind):  # type: ignore[arg-type]
        if entry.name not in decoded and entry.default_factory is not MISSING:
            continue
        value = decoded.get(entry.name, entry.default)
        if entry.type in (int, float, str, bool):
            found[entry.name] = values.plain(entry.type, value, entry.name, TypeError)
            fits = not isinstance(value, int | float) or 0 <= value <= values.MAX_WHOLE
        elif entry.type == Names:
            found[entry.name], fits = class_names.recorded(value), True
        else:
            fits = isinstance(value, dict) or (
                isinstance(value, tuple) and all(type(item) is int for item in value)
            )
        if not fits:
            raise TypeError(f"{entry.name} can't be {reprlib.repr(value)}")
    return kind(**found)


def _parameters(path: Path, spec: Spec, tensors: dict[str, Tensor]) -> Parameters:
    groups = list(zip(zip(*map(all_names, spec.bundles), strict=True), shapes(spec), KINDS, strict=True))
    expected = {
        name: (shape, kind) for each, group, kind in groups for name, shape in zip(each, group, strict=False)
    }
    for name in sorted(expected.keys() | tensors.keys()):
        shape = tuple(tensors[name].shape) if name in tensors else "missing"
        if name not in expected or shape != expected[name][0]:
            needed = expected[name][0] if name in expected else "no such tensor"
            raise WeightsError(f"{path}: {name} is {shape}, {spec.name} needs {needed}")
        if tensors[name].dtype != expected[name][1]:
            needed = "int32 means" if expected[name][1] is torch.int32 else "int16 masters"
            raise WeightsError(f"{path}: {name} is {tensors[name].dtype}, not {needed}")
    parameters = (
        tuple(tensors[name].long() for name, _ in zip(each, group, strict=False)) for each, group, _ in groups
    )
    try:
        return check_parameters(spec, Parameters(*parameters))
    except ModelError as error:
        raise WeightsError(f"{path}: {error}") from None
