"""Stamps: what a stage of a build has made, with digests. It is believed only as long as all is as it was made."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from golden import files
from golden.contract.errors import ToolError

#: Bytes of a stamp at most.
MAX_BYTES = 1 << 20


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def save(stamp: Path, inputs: Mapping[str, Any], made: Iterable[Path], values: Mapping[str, Any]) -> None:
    """Written last: what the stage was made from, its files, which are beside the stamp, and what else is to be known."""
    digests = {path.name: digest(path) for path in made}
    files.write(stamp, json.dumps({"inputs": inputs, "files": digests, "values": values}, indent=1) + "\n")


def load(stamp: Path, inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was known, if the stage was made from these inputs and its files are as they were; None: make it again."""
    try:
        found = files.read_json(stamp, MAX_BYTES, ToolError)
        same = found["inputs"] == json.loads(json.dumps(inputs)) and bool(found["files"])
        whole = same and all(digest(stamp.with_name(name)) == expected for name, expected in found["files"].items())
        values = found["values"]
    except (ToolError, OSError, LookupError, TypeError, AttributeError, ValueError):
        return None
    return values if whole and isinstance(values, dict) else None
