"""Kinds of memories and flip-flops, random upsets, and the run of one case."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from nudge.boards.virtual.board import VirtualBoard
from nudge.golden.model.parameters import initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import Data
from nudge.host.devices.golden import GoldenBoard
from nudge.host.devices.interface import OpenBoard
from nudge.host.devices.serial import SerialBoard
from nudge.host.link.link import Link
from nudge.plumbing.errors import NudgeError

#: Kinds of memories with a pattern of their arrays' names; the first that matches counts.
KINDS = {
    "masters": r"core\.weights_\d+\.memory\.master\.",
    "working weights": r"core\.weights_\d+\.memory\.working\.",
    "working biases": r"core\.array_\d+\.bias\.",
    "states": r"core\.array_\d+\.state\.",
    "window sums": r"core\.array_\d+\.window\.",
    "images": r"core\.images\.",
    "spikes, drives": r"core\.engine_\d+\.",
    "update buffers": r"core\.update_\d+\.",
    "deframer": r"deframer\.",
    "framer": r"framer\.",
    "link's queues": r"decoder\.|issuer\.",
    "counters": r"registers\.",
}

#: Kinds of flip-flops with a pattern of their registers' names; the first that matches counts.
FLIP_FLOPS = {
    "registers, rates": r"registers\.(?!counters)|core\.rates",
    "counters": r"registers\.counters|core\.(phase|array_\d+\.(new|spike_count))",
    "neuron arrays": r"core\.array_",
    "synapse engines": r"core\.engine_",
    "update engines": r"core\.update_\d",
    "weight memories": r"core\.weights_",
    "sequencer, images, prediction": r"core\.",
    "link": r"",
}

#: Kinds of memories with weights, in which no upset may cause an unnoticed error.
WEIGHTS = ("masters", "working weights", "working biases")

#: Number of batches of a case, of samples in each, and of inferred samples at its end.
BATCHES, BATCH, INFERRED = 3, 3, 2

#: Approximate busy cycles of the core for a batch of `tiny`; a later upset falls into the next batch.
BUSY = 6000 * BATCH

#: Timeout of an answer in seconds, and the number of successive timeouts allowed.
PATIENCE, RETRIES = 2.0, 3

#: Endings of a case.
PREDICTION, DIGEST, LINK = "a prediction", "the digest", "the link"
NOTHING, SILENT, COUNTED = "nothing", "wrong, unnoticed", "counters"


@dataclass(frozen=True)
class Upset:
    """One flipped bit of a memory, or of a register (a memory with word 0 only).

    after: busy cycles from the beginning of the second batch; None: just before its commit.
    """

    kind: str
    memory: str
    word: int
    bit: int
    after: int | None


@dataclass(frozen=True)
class Outcome:
    """Ending of a case.

    ending: the check that noticed the upset first, or `NOTHING`, `SILENT` or `COUNTED`. batch: batch in which
    it was noticed, from 1. samples: number of that batch's predictions known by then. cured: whether the
    board then trains correctly, after all weights and settings were written again, but without a reset.
    """

    ending: str
    batch: int = 0
    samples: int = 0
    cured: bool = False

    def waited(self, upset: Upset) -> float:
        """Return the number of samples (fractional) from the upset, in the second batch, to its detection."""
        drawn = BATCH if upset.after is None else upset.after / BUSY * BATCH
        return (self.batch - 2) * BATCH + self.samples - drawn


def kind_of(name: str, kinds: dict[str, str] = KINDS) -> str:
    """Return the kind of a memory, or of a register with `FLIP_FLOPS`. `KeyError` if no pattern matches."""
    for kind, pattern in kinds.items():
        if re.match(pattern, name):
            return kind
    raise KeyError(name)


def draw(memories: dict[str, tuple[int, int]], count: int, seed: int) -> list[Upset]:
    """Draw upsets of memories: kinds in turn, uniform over a kind's bits, every second before the commit."""
    by_kind: dict[str, list[tuple[str, int, int]]] = {}
    for name, (words, bits) in sorted(memories.items()):
        by_kind.setdefault(kind_of(name), []).append((name, words, bits))
    rng, kinds, upsets = random.Random(seed), sorted(by_kind), []
    for number in range(count):
        kind, turn = kinds[number % len(kinds)], number // len(kinds)
        arrays = by_kind[kind]
        (chosen,) = rng.choices(arrays, [words * bits for _, words, bits in arrays])
        after = rng.randrange(1, BUSY)
        upsets.append(
            Upset(
                kind,
                chosen[0],
                rng.randrange(chosen[1]),
                rng.randrange(chosen[2]),
                None if turn % 2 else after,
            )
        )
    return upsets


def draw_flip_flops(registers: dict[str, int], count: int, seed: int) -> list[Upset]:
    """Draw upsets of flip-flops while the core is busy, uniform over all flip-flops."""
    rng, names = random.Random(seed), sorted(registers)
    chosen = rng.choices(names, [registers[name] for name in names], k=count)
    return [
        Upset(kind_of(name, FLIP_FLOPS), name, 0, rng.randrange(registers[name]), rng.randrange(1, BUSY))
        for name in chosen
    ]


class Cases:
    """Run cases on one virtual board, each from a reset."""

    def __init__(self, virtual: VirtualBoard, data: Data):
        self.virtual, self.spec = virtual, virtual.config.spec
        #: Words and bits of each memory and register.
        self.places = virtual.memories | {name: (1, bits) for name, bits in virtual.registers.items()}
        total = BATCHES * BATCH + INFERRED
        self._images, self._labels = data.train_images[:total].numpy(), data.train_labels[:total].numpy()
        #: Values of an undisturbed run, by the golden model.
        self.expected = list(self._shown(GoldenBoard(virtual.config)))

    def run(self, upset: Upset | None) -> Outcome:
        """Run one case, or an undisturbed run if `upset` is None. `ValueError` if there is no such bit."""
        if upset:
            words, bits = self.places[upset.memory]
            if not (upset.word < words and upset.bit < bits):
                raise ValueError(f"{upset.memory} has {words} words of {bits} bits")
        self.virtual.reset()
        outcome = self._outcome(upset)
        if upset is None or outcome.ending not in (PREDICTION, DIGEST, LINK):
            return outcome
        return replace(outcome, cured=self._outcome(None).ending == NOTHING)

    def _outcome(self, upset: Upset | None) -> Outcome:
        """Run on the board in its present state, and compare with the expected values."""
        batch = 0
        try:
            with SerialBoard.over(
                Link.open(self.virtual.url, timeout=PATIENCE, retries=RETRIES), self.spec
            ) as board:
                board.clear()
                for (ending, batch, shown), (*_, right) in zip(
                    self._shown(board, upset), self.expected, strict=True
                ):
                    if shown != right:
                        first = next(
                            n
                            for n, pair in enumerate(zip(shown, right, strict=True), 1)
                            if pair[0] != pair[1]
                        )
                        return Outcome(ending, batch, {PREDICTION: first, DIGEST: BATCH}.get(ending, 0))
                return Outcome(NOTHING)
        except (NudgeError, ValueError):
            return Outcome(LINK, batch + 1)

    def _shown(self, board: OpenBoard, upset: Upset | None = None) -> Iterator[tuple[str, int, list[Any]]]:
        """Yield a run's values in order: ending in case of a difference, batch (from 1), values.

        They are predictions and digest of each batch, predictions of the inference, then all weights and
        the spike counters.
        """
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
            digest = board.digest()
            yield PREDICTION, number + 1, said.tolist()
            yield DIGEST, number + 1, list(digest)
        yield (
            PREDICTION,
            BATCHES + 1,
            board.infer(self._images[-INFERRED:], self._labels[-INFERRED:]).tolist(),
        )
        values, masters = board.registers(), board.read()
        yield SILENT, 0, [tensor.tolist() for part in masters for tensor in part]
        yield COUNTED, 0, [values[f"spikes_{layer.index}"] for layer in self.spec.layers[1:]]
