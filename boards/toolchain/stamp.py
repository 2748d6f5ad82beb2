"""Stamps: JSON files with the digests of a build stage's inputs and outputs. The outputs are reused only
while they match."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nudge.plumbing import files
from nudge.plumbing.errors import ToolError

#: Maximum size of a stamp in bytes.
MAX_BYTES = 1 << 20

#: Key of a JSON object's own digest.
SEAL = "sha256"


def sealed(values: Mapping[str, Any]) -> str:
    """Return a JSON object with its own digest, which `broken` checks."""
    plain = json.loads(json.dumps(values))
    return json.dumps({**plain, SEAL: _seal(plain)}, indent=1) + "\n"


def broken(found: Mapping[str, Any]) -> bool:
    """Return whether an object doesn't match its digest. Objects of earlier versions have none, and pass."""
    return SEAL in found and found[SEAL] != _seal(
        {name: value for name, value in found.items() if name != SEAL}
    )


def _seal(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def save(stamp: Path, inputs: Mapping[str, Any], made: Iterable[Path], values: Mapping[str, Any]) -> None:
    """Write the stamp of a stage, after its files: its inputs, the digests of its files, and further values.

    made: the stage's files, in the folder of the stamp.
    """
    digests = {path.name: files.digest(path) for path in made}
    files.write(stamp, sealed({"inputs": inputs, "files": digests, "values": values}))


def load(stamp: Path, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a stamp's values if inputs and files are unchanged; None if the stage must run again."""
    try:
        found = files.read_json(stamp, MAX_BYTES, ToolError)
        same = (
            not broken(found) and found["inputs"] == json.loads(json.dumps(inputs)) and bool(found["files"])
        )
        whole = same and all(
            files.digest(stamp.with_name(name)) == expected for name, expected in found["files"].items()
        )
        values = found["values"]
    except (ToolError, OSError, LookupError, TypeError, AttributeError, ValueError):
        return None
    return values if whole and isinstance(values, dict) else None
