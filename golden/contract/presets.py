"""Presets: named networks for `--preset`, from the folder `golden/networks`, and weights that ship."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from nudge.plumbing.errors import SpecError

from . import network_file
from .spec import Spec

FOLDER = Path(__file__).parents[1] / "networks"

#: Folder of the trained weights that ship with the package; a file's stem is its name.
SHIPPED = Path(__file__).parents[1] / "weights"

#: From the smallest to the largest network of each data set.
NAMES = (
    *("tiny", "small", "medium", "large", "wide", "garments", "paper", "paper-garments"),
    *("cifar", "cifar-wide", "cifar-paper"),
)


class Presets(Mapping[str, Spec]):
    """The networks by name.

    A file is read when its network is first asked for: listing the names reads none.
    """

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def __contains__(self, name: object) -> bool:
        return name in NAMES

    def __getitem__(self, name: str) -> Spec:
        if name not in NAMES:
            raise KeyError(name)
        return _read(name)


@cache
def _read(name: str) -> Spec:
    return network_file.read(FOLDER / f"{name}.toml")


PRESETS = Presets()


def chosen(name: str | None, file: Path | None, default: str = "tiny") -> Spec:
    """Return the network of a command's `--preset` or `--network`, or else the default preset.

    Raises `SpecError` if both are given.
    """
    if file is None:
        return preset(default if name is None else name)
    if name is not None:
        raise SpecError(f"--network {file}: not with --preset {name}, choose one")
    return network_file.read(file)


def preset(name: str) -> Spec:
    """Return the preset of that name; `SpecError` lists the known names."""
    if name not in PRESETS:
        raise SpecError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def packaged() -> dict[str, Path]:
    """Return the files of the weights that ship, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}
