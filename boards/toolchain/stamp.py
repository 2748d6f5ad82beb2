"""Stamps: what a stage of a build has made, with digests. It is believed only as long as all is as it was made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from plumbing import files
from plumbing.errors import ToolError

#: Bytes of a stamp at most.
MAX_BYTES = 1 << 20

#: The name of its own digest in an object of JSON.
SEAL = "sha256"


def sealed(values: Mapping[str, Any]) -> str:
    """An object of JSON with its own digest, for `broken`."""
    plain = json.loads(json.dumps(values))
    return json.dumps({**plain, SEAL: _seal(plain)}, indent=1) + "\n"


def broken(found: Mapping[str, Any]) -> bool:
    """Whether an object isn't that of its digest; those of earlier versions have none."""
    return SEAL in found and found[SEAL] != _seal({name: value for name, value in found.items() if name != SEAL})


def _seal(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def save(stamp: Path, inputs: Mapping[str, Any], made: Iterable[Path], values: Mapping[str, Any]) -> None:
    """Written last: what the stage was made from, its files, which are beside the stamp, and what else is to be known."""
    digests = {path.name: files.digest(path) for path in made}
    files.write(stamp, sealed({"inputs": inputs, "files": digests, "values": values}))


def load(stamp: Path, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was known, if the stage was made from these inputs and its files are as they were; None: make it again."""
    try:
        found = files.read_json(stamp, MAX_BYTES, ToolError)
        same = not broken(found) and found["inputs"] == json.loads(json.dumps(inputs)) and bool(found["files"])
        whole = same and all(files.digest(stamp.with_name(name)) == expected for name, expected in found["files"].items())
        values = found["values"]
    except (ToolError, OSError, LookupError, TypeError, AttributeError, ValueError):
        return None
    return values if whole and isinstance(values, dict) else None
