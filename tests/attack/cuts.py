"""Power cuts: `nudge resume` must continue from each state of a disk after any prefix of a run's writes.

The model is a filesystem's promise: a file's content is on the disk after its fsync, names after their
folder's. Anything else may be on the disk, or not, or in part. For each prefix: names that aren't synced are
all lost, all there, or there up to one of them; contents that aren't synced are lost, cut in the middle,
zeros, or whole. The order of names is kept, as by ext4, xfs and btrfs.
"""

import hashlib
import os
import shutil
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nudge.golden.training import checkpoint
from nudge.plumbing.errors import ExitCode

from .cell import Fault, cell
from .scenarios import OPTIONS, RESUME, SCENARIOS, bits, same_bits


def kept(synced: bytes, written: bytes) -> int:
    """Return the number of bytes that survive for sure: the synced ones if data was only appended, else 0."""
    return len(synced) if written.startswith(synced) else 0


#: Possible contents on the disk of a file that isn't synced, from its synced and its written bytes.
CONTENTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "lost": lambda synced, written: synced,
    "cut": lambda synced, written: written[: (kept(synced, written) + len(written)) // 2],
    "zeros": lambda synced, written: written[: kept(synced, written)].ljust(len(written), b"\0"),
    "whole": lambda synced, written: written,
}


@dataclass
class File:
    """A file's content, as written and as synced."""

    written: bytes = b""
    synced: bytes = b""


@dataclass(frozen=True)
class Call:
    """A recorded call."""

    what: str
    descriptor: int
    number: int
    data: bytes


def calls(trace: Path) -> Iterator[Call]:
    """Yield the calls in a trace of the shim."""
    content, at = trace.read_bytes(), 0
    while at < len(content):
        what, descriptor, number, size = struct.unpack_from("=cqqQ", content, at)
        at += struct.calcsize("=cqqQ")
        yield Call(what.decode(), descriptor, number, content[at : at + size])
        at += size


@dataclass
class Disk:
    """Files and names as a process sees them, and as they are on the disk for sure."""

    names: dict[str, File] = field(default_factory=dict)
    synced: dict[str, File] = field(default_factory=dict)
    #: Changes of names since the last sync of a folder: each a list of names, with their file or None.
    changes: list[list[tuple[str, File | None]]] = field(default_factory=list)
    opened: dict[int, File | str] = field(default_factory=dict)

    def follow(self, call: Call) -> bool:
        """Apply a call; return whether it may have changed the disk."""
        path = call.data.decode(errors="replace")
        match call.what:
            case "O":
                if call.number & os.O_DIRECTORY:  # a folder
                    self.opened[call.descriptor] = path
                    return False
                new = path not in self.names
                if new and not call.number & os.O_CREAT:
                    self.opened[call.descriptor] = path  # a folder opened to be synced
                    return False
                file = self.names.setdefault(path, File())
                self.opened[call.descriptor] = file
                if call.number & os.O_TRUNC:
                    file.written = b""
                if new:
                    self.changes.append([(path, file)])
                return new
            case "W" | "T":
                opened = self.opened.get(call.descriptor)
                if not isinstance(opened, File):
                    return False
                text = opened.written
                opened.written = (
                    text[: call.number]
                    if call.what == "T"
                    else text[: call.number].ljust(call.number, b"\0")
                    + call.data
                    + text[call.number + len(call.data) :]
                )
            case "S":
                opened = self.opened.get(call.descriptor)
                if isinstance(opened, File):
                    opened.synced = opened.written
                elif isinstance(opened, str):
                    self.synced, self.changes = dict(self.names), []
            case "R":
                old, new_name = path.split("\0")
                file = self.names.pop(old)
                self.names[new_name] = file
                self.changes.append([(old, None), (new_name, file)])
            case "U":
                gone = path.removesuffix("\0")
                self.names.pop(gone, None)
                self.changes.append([(gone, None)])
        return True

    def after_a_cut(self) -> Iterator[dict[str, bytes]]:
        """Yield every state in which the disk may be, as contents by name."""
        for count in range(len(self.changes) + 1):
            names = dict(self.synced)
            for change in self.changes[:count]:
                for name, file in change:
                    names.pop(name, None)
                    if file is not None:
                        names[name] = file
            for content in CONTENTS.values():
                yield {
                    name: content(f.synced, f.written) if f.synced != f.written else f.written
                    for name, f in names.items()
                }


def cut(every: int) -> tuple[Counter[str], list[str]]:
    """Cut the power after each prefix of a training's calls; count how resuming ends, and list the errors."""
    endings: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        folder, trace = Path(place, "recorded"), Path(place, "trace")
        folder.mkdir()
        ended = SCENARIOS["train"].run(folder, Fault(0, 0, trace=trace, root=Path("run")))
        assert ended.code == ExitCode.OK, ended.err
        disk, tried, durable = Disk(), set(), -1
        for number, call in enumerate(calls(trace), start=1):
            endings["calls"] += 1
            if not disk.follow(call):
                continue
            if call.what == "S":
                durable = max(durable, position(disk.synced, Path(place, "durable")))
            for state in disk.after_a_cut():
                digest = hashlib.sha256(repr(sorted(state.items())).encode()).digest() + bytes([durable + 1])
                if digest in tried:
                    continue
                tried.add(digest)
                endings["states"] += 1
                if len(tried) % every:
                    continue
                ending, why = resumed(state, Path(place, "cell"), durable)
                endings[ending] += 1
                if why:
                    wrong.append(f"power cut after call {number}: {why}")
    return endings, wrong


def position(names: dict[str, File], folder: Path) -> int:
    """Return the samples trained of the weights file whose name is on the disk, or -1 without one."""
    file = names.get(f"run/{checkpoint.WEIGHTS}")
    if file is None:
        return -1
    folder.mkdir(exist_ok=True)
    (folder / checkpoint.WEIGHTS).write_bytes(file.written)
    found = checkpoint.load(folder / checkpoint.WEIGHTS)[2]
    return found.epoch * (OPTIONS.samples or 0) + found.position


def resumed(state: dict[str, bytes], folder: Path, durable: int) -> tuple[str, str]:
    """Resume from a state of the disk; return how it ends, and the errors. durable: least valid position."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "run").mkdir(parents=True)
    for name, content in state.items():
        (folder / name).write_bytes(content)
    files = {name: File(content, content) for name, content in state.items()}
    before = position(files, folder / "before") if readable(folder / "run") else -1
    if before < durable:
        return "lost", f"{durable} samples were saved, {before} are found"
    ended = cell(RESUME, folder)
    why = "; ".join(ended.judge())
    if ended.code == ExitCode.OK:
        return "same bits", "; ".join([*filter(None, [why]), *same_bits(folder, ended)])
    if durable >= 0:
        why = why or f"weights were saved, but resuming ended with {ended.code}: {ended.err.strip()}"
    elif ended.code != ExitCode.WEIGHTS:
        why = why or f"it ended with {ended.code}: {ended.err.strip()}"
    return f"error {ended.code}, nothing had been saved", why


def readable(out: Path) -> bool:
    """Return whether the folder has weights that can be read."""
    return bits(out) is not None
