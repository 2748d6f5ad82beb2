"""Data sets: the embedded MNIST subset, torchvision's files, or the user's own images.

Nothing is downloaded: `nudge data get` fetches the published files.
"""

import hashlib
import io
import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from nudge.golden.contract import values
from nudge.golden.contract.datasets import EMBEDDED, FOLDERS, NAMES, VARIABLE, folder_of
from nudge.golden.contract.shapes import Input
from nudge.plumbing import files
from nudge.plumbing.errors import DataError, PlanError
from nudge.plumbing.progress import note

from .sets import class_names, idx, own_data, published
from .sets.class_names import Names

#: Kinds of a `Source` besides `NAMES`: a .npz file or a folder; arrays given to `nudge.Network.fit`.
PATH, GIVEN = "path", "given"

#: Pattern of a digest by `digest`.
HEX = re.compile("[0-9a-f]{12}")


class _Parts(NamedTuple):
    """Images and labels."""

    #: uint8 (n, height, width), or in colour (n, 3, height, width).
    train_images: Tensor
    #: Classes, from 0, int64 (n,).
    train_labels: Tensor
    #: As `train_images`.
    test_images: Tensor
    #: As `train_labels`.
    test_labels: Tensor


class Data(_Parts):
    """A data set: four tensors, and the names of its classes."""

    #: Names of classes, from class 0 on; (): unknown.
    classes: Names = ()

    def __new__(
        cls,
        train_images: Tensor,
        train_labels: Tensor,
        test_images: Tensor,
        test_labels: Tensor,
        *,
        classes: Iterable[object] = (),
    ) -> Self:
        """Make a data set; `DataError` for names that no network can have."""
        made = super().__new__(cls, train_images, train_labels, test_images, test_labels)
        made.classes = class_names.of(classes)
        return made


@dataclass(frozen=True)
class Source:
    """The data that a run learns, as its weight file records them."""

    #: One of `NAMES`, `PATH` or `GIVEN`.
    kind: str
    #: Absolute path if the kind is `PATH`.
    path: str = ""
    #: `digest` of the data if the kind is `PATH` or `GIVEN`; "": unknown.
    digest: str = ""

    def __post_init__(self) -> None:
        values.normalise(self, PlanError)
        if self.kind not in (*NAMES, PATH, GIVEN) or bool(self.path) != (self.kind == PATH):
            raise PlanError(
                f"unknown data set {self.kind!r} {self.path!r}: choose one of {', '.join(NAMES)}, or a path"
            )
        if self.digest and (self.kind in NAMES or not HEX.fullmatch(self.digest)):
            raise PlanError(f"data {self.kind}: {self.digest!r} is no digest of it")

    def __str__(self) -> str:
        return {PATH: self.path, GIVEN: "images that were given to fit"}.get(self.kind, self.kind)

    @property
    def digits(self) -> bool:
        """Whether the data are MNIST's."""
        return self.kind in ("embedded", "mnist")

    @classmethod
    def asked(cls, data: str | os.PathLike[str]) -> Self:
        """Return the source for one of `NAMES` or a path.

        A path is a text that ends with .npz, has a / or names a folder. `PlanError` for anything else.
        """
        if isinstance(data, str) and data in NAMES:
            return cls(data)
        place = str(values.plain(Path, data, "--data", PlanError))
        try:
            folder = Path(place).is_dir()
        except OSError as why:  # such as a path that is too long
            raise PlanError(f"--data {values.said(place)}: {why.strerror}") from None
        if not isinstance(data, str) or (data and (place.endswith(".npz") or "/" in data or folder)):
            return cls(PATH, os.path.realpath(place))
        raise PlanError(
            f"unknown data set {data!r}: choose one of {', '.join(NAMES)}, a .npz file, or a folder of "
            "pictures"
        )

    @classmethod
    def recorded(cls, value: Any) -> Self:
        """Return the source in a weight file's metadata; `PlanError` for values that no run writes.

        Older files have a name, PATH#DIGEST, or "own" for arrays, without their digest.
        """
        if isinstance(value, dict) and value.keys() <= cls.__dataclass_fields__.keys() and "kind" in value:
            return cls(**value)
        if isinstance(value, str):
            path, _, digest = value.rpartition("#")
            if path.startswith("/") and HEX.fullmatch(digest):
                return cls(PATH, path, digest)
            if value in NAMES or value == "own":
                return cls(GIVEN if value == "own" else value)
        raise PlanError(f"data can't be {values.said(value)}")

    def at(self, asked: str | None) -> Self:
        """Return the same data at the path asked for, or else at their old place."""
        if asked is None:
            return self
        other = self.asked(asked)
        if other.kind == PATH and self.digest:
            return replace(other, digest=self.digest)
        if other != self:
            raise PlanError(f"--data {asked}: the run learnt {self}; leave it out to resume")
        return self

    def of(self, data: "Data") -> Self:
        """Return the source with the digest of the loaded data, so that no other data are accepted later."""
        return self if self.kind in NAMES else replace(self, digest=digest(data))


def load(
    data: str | os.PathLike[str] | Source,
    root: str | Path | None = None,
    shown: Input = Input(),  # noqa: B008 (frozen)
) -> Data:
    """Load the data set that `Source.asked` finds, or exactly the one that a run learnt.

    root: see `folder_of`; "embedded" and paths need none. shown: the network's images and classes, which the
    data must fit. The embedded digits, which serve to try things out, are made to fit: scaled, the same in
    each channel, and without digits beyond the classes.

    Raises `PlanError` for an unknown name, `DataError` for files that are missing or not the published ones,
    and for data that don't fit.
    """
    source = data if isinstance(data, Source) else Source.asked(data)
    name = source.kind
    if name == "embedded":
        try:
            with np.load(io.BytesIO(files.read(EMBEDDED, idx.MAX_BYTES, DataError))) as file:
                arrays = [torch.from_numpy(file[field]) for field in Data._fields]
        except (DataError, BadZipFile, LookupError, ValueError) as error:
            raise DataError(f"the embedded digits can't be read: {error}; install nudge again") from None
        names = class_names.USUAL[name]
        return _fitted(Data(arrays[0], arrays[1].long(), arrays[2], arrays[3].long(), classes=names), shown)
    if name == GIVEN:
        raise DataError(
            "these weights learnt images that were given to fit, which aren't kept: give them with --data"
        )
    if name == PATH:
        return _own(source, shown)
    command = shlex.join(["nudge", "data", "get", name, *(["--dir", str(root)] if root else [])])
    hint = f"`{command}` fetches it, or set {VARIABLE} or --data-dir to the folder that holds {FOLDERS[name]}"
    folder = folder_of(root, name)
    if folder is None:
        also = "; the digits of --data embedded need neither" if name == "mnist" else ""
        raise DataError(f"{name} isn't here: {hint}{also}")
    try:
        found = published.load(name, folder)
    except (DataError, ValueError) as error:
        raise DataError(f"{error}; {hint}") from None
    return _checked(_tensors(found, class_names.USUAL[name]), name, shown)


def digest(data: Data) -> str:
    """Return twelve hexadecimal digits of the SHA-256 of all images and labels."""
    found = hashlib.sha256()
    for tensor in data:
        found.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.contiguous().numpy().tobytes())
    return found.hexdigest()[:12]


def _own(source: Source, shown: Input) -> Data:
    """Load the user's own data set; with a digest, exactly that one."""
    path = Path(source.path)
    try:
        path.stat()
    except (OSError, ValueError) as why:
        reason = why.strerror if isinstance(why, OSError) else why
        raise DataError(f"--data {path}: {reason}") from None
    found = own_data.of_folder(path, shown) if path.is_dir() else own_data.of_file(path)
    data = _checked(_tensors(*found), str(path), shown)
    if source.digest and digest(data) != source.digest:
        learnt = f"its images and labels aren't those that were learnt: {digest(data)}, not {source.digest}"
        raise DataError(f"--data {path}: {learnt}")
    return data


def _tensors(arrays: own_data.Arrays, names: Names) -> Data:
    images, labels, test_images, test_labels = map(torch.from_numpy, arrays)
    return Data(images, labels.long(), test_images, test_labels.long(), classes=names)


def _checked(data: Data, name: str, shown: Input) -> Data:
    """Return the data, with grey images in three dimensions; `DataError` unless they fit the network.

    Prints a note if some of its classes have no image.
    """
    for images, labels in (data[:2], data[2:]):
        shape = tuple(images.shape[1:]) if images.ndim == 4 else (1, *images.shape[1:])
        if shape != shown.shape:
            found, wanted = ("x".join(map(str, x)) for x in (shape, shown.shape))
            raise DataError(
                f"{name} has images of {found} (channels, height, width); the network takes {wanted}"
            )
        if not len(labels):
            raise DataError(f"{name} has no images to {'train' if images is data.train_images else 'test'}")
        if not 0 <= int(labels.min()) <= int(labels.max()) < shown.classes:
            found = f"{int(labels.min())}..{int(labels.max())}"
            raise DataError(
                f"{name} has labels {found}; the network has {shown.classes} classes, 0..{shown.classes - 1}"
            )
    note_missing(data, name, shown.classes)
    names = data.classes[: shown.classes]
    if shown.channels > 1:
        return Data(*data, classes=names)
    grey = (x.reshape(-1, *shown.shape[1:]) for x in (data.train_images, data.test_images))
    return Data(next(grey), data.train_labels, next(grey), data.test_labels, classes=names)


def note_missing(data: Data, name: str, classes: int) -> None:
    """Print a note if some of a network's classes have no image."""
    there = len(torch.cat([data.train_labels, data.test_labels]).unique())
    if there < classes:
        note(f"{name} has images of {there} classes; the network has outputs for {classes}")


def _fitted(data: Data, shown: Input) -> Data:
    """Fit the embedded digits to any network: nearest pixel, all channels equal, existing classes only."""
    if shown == Input():
        return data
    channels, *size = shown.shape

    def scaled(images: Tensor) -> Tensor:
        rows, columns = (
            torch.arange(new, device="cpu") * old // new
            for new, old in zip(size, images.shape[1:], strict=True)
        )
        small = images[:, rows][:, :, columns]
        return small if channels == 1 else small[:, None].expand(-1, channels, -1, -1).contiguous()

    known = data.train_labels < shown.classes, data.test_labels < shown.classes
    return Data(
        scaled(data.train_images[known[0]]),
        data.train_labels[known[0]],
        scaled(data.test_images[known[1]]),
        data.test_labels[known[1]],
        classes=data.classes[: shown.classes],
    )
