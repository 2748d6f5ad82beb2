"""Trained weights that ship with the package, by name."""

from pathlib import Path

#: Folder of the weights; a file's stem is its name.
FOLDER = Path(__file__).parents[1] / "weights"


def packaged() -> dict[str, Path]:
    """Return the weight files by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
