"""A board with one flipped bit, which shows that a comparison with the golden model can fail."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nudge.golden.contract.spec import Spec
from nudge.host.devices.interface import OpenBoard
from nudge.host.devices.open import open_board
from nudge.plumbing.errors import UsageError


@dataclass(frozen=True)
class Fault:
    """One bit of a master. bundle: from 1. index: in the weights in torch's flat order, then the biases."""

    bundle: int
    index: int
    bit: int

    @classmethod
    def parse(cls, text: str, spec: Spec) -> "Fault":
        """Parse BUNDLE:INDEX:BIT; `UsageError` if the network has no such bit."""
        bits, sizes = spec.formats.committed_bits, [b.weights + b.post.channels for b in spec.bundles]
        if re.fullmatch(r"\d+:\d+:\d+", text):
            fault = cls(*map(int, text.split(":")))
            if 1 <= fault.bundle <= len(sizes) and fault.index < sizes[fault.bundle - 1] and fault.bit < bits:
                return fault
        several = ", ".join(f"{n}:0:0..{n}:{size - 1}:{bits - 1}" for n, size in enumerate(sizes, 1))
        raise UsageError(f"a bit of {spec.name} is BUNDLE:INDEX:BIT, within {several}, not {text!r}")

    def inject(self, board: OpenBoard) -> None:
        """Read the board's masters, flip the bit, write them back and commit."""
        read = board.read()
        found = read._replace(
            weights=tuple(w.clone() for w in read.weights), biases=tuple(b.clone() for b in read.biases)
        )
        index, masters = self.index, found.weights[self.bundle - 1].view(-1)
        if index >= masters.numel():
            index, masters = index - masters.numel(), found.biases[self.bundle - 1].view(-1)
        # adding `top` makes it unsigned and only inverts the highest bit, so one bit can be flipped by xor
        top = 1 << board.spec.formats.committed_bits - 1
        masters[index] = (int(masters[index]) + top ^ 1 << self.bit) - top
        board.load(found)


class Struck:
    """A board that injects a fault just before the digest of commit number `commit` (from 0) is read."""

    def __init__(self, board: OpenBoard, fault: Fault, commit: int):
        self._board, self._fault, self._left = board, fault, commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._board, name)

    def digest(self) -> tuple[int, ...]:
        """Return the board's digest, after injecting the fault if it is due."""
        if self._left == 0:
            self._fault.inject(self._board)
        self._left -= 1
        return self._board.digest()


@contextmanager
def struck(name: str, spec: Spec, fault: Fault, commit: int, **options: Any) -> Iterator[Any]:
    """Open a board by `host.devices.open.open_board`, as a `Struck`. options: of `open_board`."""
    with open_board(name, spec, **options) as board:
        yield Struck(board, fault, commit)
