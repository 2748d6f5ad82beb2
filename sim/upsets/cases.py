"""The kinds of memories, and how one case is run."""

import random
import re
from dataclasses import dataclass

import numpy as np

from golden.contract.errors import NudgeError
from golden.contract.spec import Spec
from golden.model.parameters import Parameters, initial
from golden.model.settings import Settings
from golden.training.data import Data
from host.boards.golden import GoldenBoard
from host.boards.interface import OpenBoard
from host.boards.serial import SerialBoard
from host.link.link import Link
from sim.board.virtual import VirtualBoard

#: Kinds of memories, by what the names of their arrays match; the first that does counts.
KINDS = {
    "masters": r"core\.weights_\d+\.master\.",
    "working weights": r"core\.weights_\d+\.working\.",
    "working biases": r"core\.array_\d+\.bias\.",
    "states": r"core\.array_\d+\.state\.",
    "window sums": r"core\.array_\d+\.sums",
    "images": r"core\.images\.",
    "spikes, drives": r"core\.engine_\d+\.",
    "update buffers": r"core\.update_\d+\.",
    "deframer": r"deframer\.",
    "framer": r"framer\.",
    "link's queues": r"decoder\.|sample_control\.",
    "counters": r"registers\.",
}

#: Those that hold weights: here nothing may be wrong without being noticed.
WEIGHTS = ("masters", "working weights", "working biases")

#: Batches of a case, samples of each, samples of the inference at its end.
BATCHES, BATCH, INFERRED = 3, 3, 2

#: Cycles in which the core is busy with a batch of `tiny`, about; an upset that would come later comes in the next batch.
BUSY = 6000 * BATCH

#: Seconds for an answer, and deadlines that may be missed in a row.
PATIENCE, RETRIES = 2.0, 3

#: How a case ends.
PREDICTION, DIGEST, LINK = "a prediction", "the digest", "the link"
NOTHING, SILENT, COUNTED = "nothing", "wrong, unnoticed", "counters"


@dataclass(frozen=True)
class Upset:
    """One flipped bit. after: busy cycles since the second batch began; None: before its commit."""

    kind: str
    memory: str
    word: int
    bit: int
    after: int | None


@dataclass(frozen=True)
class Outcome:
    """What noticed first, and in which batch, from 1; or `NOTHING`, `SILENT`, `COUNTED`.

    resent: whether the link asked again for what had gone wrong.
    """

    ending: str
    batch: int = 0
    resent: bool = False


def kind_of(memory: str) -> str:
    """Of an array, by its name. `KeyError` if it is of none."""
    for kind, pattern in KINDS.items():
        if re.match(pattern, memory):
            return kind
    raise KeyError(memory)


def draw(memories: dict[str, tuple[int, int]], count: int, seed: int) -> list[Upset]:
    """Kinds in turn; within one, any bit of it. Each second upset of a kind is before the commit."""
    by_kind: dict[str, list[tuple[str, int, int]]] = {}
    for name, (words, bits) in sorted(memories.items()):
        by_kind.setdefault(kind_of(name), []).append((name, words, bits))
    rng, kinds, upsets = random.Random(seed), sorted(by_kind), []
    for number in range(count):
        kind, turn = kinds[number % len(kinds)], number // len(kinds)
        arrays = by_kind[kind]
        (chosen,) = rng.choices(arrays, [words * bits for _, words, bits in arrays])
        after = rng.randrange(1, BUSY)
        upsets.append(Upset(kind, chosen[0], rng.randrange(chosen[1]), rng.randrange(chosen[2]), None if turn % 2 else after))
    return upsets


@dataclass(frozen=True)
class Undisturbed:
    """What a board says that nothing happens to."""

    predictions: list[list[int]]
    digests: list[tuple[int, ...]]
    parameters: Parameters
    spikes: list[int]


class Cases:
    """Runs cases on one virtual board, each from power-up."""

    def __init__(self, virtual: VirtualBoard, data: Data):
        self.virtual, self.spec = virtual, virtual.config.spec
        total = BATCHES * BATCH + INFERRED
        self._images, self._labels = data.train_images[:total].numpy(), data.train_labels[:total].numpy()
        golden = GoldenBoard(virtual.config)
        said, digests = zip(*self._train(golden), strict=True)
        predictions, spikes = [each.tolist() for each in said], spikes_of(golden.registers(), self.spec)
        self.undisturbed = Undisturbed(predictions, list(digests), golden.read(), spikes)

    def run(self, upset: Upset | None) -> Outcome:
        """One case; without an upset, the board as it is. `ValueError` if there is no such bit."""
        if upset:
            words, bits = self.virtual.memories[upset.memory]
            if not (upset.word < words and upset.bit < bits):
                raise ValueError(f"{upset.memory} has {words} words of {bits} bits")
        self.virtual.reset()
        batch, resent = 0, False
        try:
            with SerialBoard.over(Link.open(self.virtual.url, timeout=PATIENCE, retries=RETRIES), self.spec) as board:
                for batch, (said, digest) in enumerate(self._train(board, upset), 1):
                    if said.tolist() != self.undisturbed.predictions[batch - 1]:
                        return Outcome(PREDICTION, batch)
                    if digest != self.undisturbed.digests[batch - 1]:
                        return Outcome(DIGEST, batch)
                registers = board.registers()
                if not same(board.read(), self.undisturbed.parameters):
                    return Outcome(SILENT)
                resent = any(registers[name] for name in ("bad_crc", "duplicates") if name in registers)
                wrong = spikes_of(registers, self.spec) != self.undisturbed.spikes
                return Outcome(COUNTED if wrong else NOTHING, resent=resent)
        except (NudgeError, ValueError):
            return Outcome(LINK, batch + 1)

    def _train(self, board: OpenBoard, upset: Upset | None = None):
        """Predictions and digest of each batch, then the predictions of the inference, with no digest."""
        board.load(initial(self.spec, 1))
        board.write_settings(Settings.of(self.spec))
        for number in range(BATCHES):
            part = slice(number * BATCH, (number + 1) * BATCH)
            now = upset if number == 1 else None
            if now and now.after is not None:
                self.virtual.flip(now.memory, now.word, now.bit, now.after)
            said = board.train(self._images[part], self._labels[part])
            if now and now.after is None:
                self.virtual.flip(now.memory, now.word, now.bit)
            board.commit()
            yield said, board.digest()
        yield board.infer(self._images[-INFERRED:], self._labels[-INFERRED:]), ()


def spikes_of(registers: dict[str, int], spec: Spec) -> list[int]:
    """The counters of spikes, layer by layer."""
    return [registers[f"spikes_{layer.index}"] for layer in spec.layers[1:]]


def same(one: Parameters, other: Parameters) -> bool:
    """Whether all weights and biases are equal."""
    pairs = zip((*one.weights, *one.biases), (*other.weights, *other.biases), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)
