"""Trained weights that come with the package, by name."""

from pathlib import Path

#: Their folder; a file's stem is its name.
FOLDER = Path(__file__).parents[1] / "weights"


def packaged() -> dict[str, Path]:
    """The files by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
