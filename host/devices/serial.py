"""A board behind a serial link."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from nudge.golden.contract import layout
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    MASTER_BYTES,
    MAX_WINDOW,
    VERSION,
    Access,
    BundleNumber,
    Command,
    Committed,
    Identity,
    Register,
    SampledStored,
    Status,
    WordAddress,
    Words,
    readable_words,
    registers_by_name,
    split_asked,
    writable_words,
)
from nudge.golden.contract.spec import Spec
from nudge.golden.model import weight_image
from nudge.golden.model.batch import checked_images, checked_labels
from nudge.golden.model.parameters import Parameters, check_parameters
from nudge.golden.model.settings import Settings
from nudge.golden.training.batch import Batch
from nudge.golden.training.data import Data
from nudge.host.link.link import Link, RefusedError
from nudge.plumbing.errors import BoardError, ConfigError, IdentityError, ImageError, UsageError
from nudge.plumbing.progress import note

from . import requests, upload
from .held import Held
from .interface import OpenBoard
from .requests import COMMIT, STORED, Request

#: Seconds of work that are sent ahead to a board: several times an adapter's delay. Ctrl-C takes up to that
#: long.
AHEAD_SECONDS = 0.1


class SerialBoard(OpenBoard):
    """A board behind a serial port: a device path or a pyserial URL (`host.link.port.SCHEMES`).

    The constructor raises `IdentityError` if the board was built for another network.

    config: the network and the board's lanes. cycles: clock cycles of the core for each request of the last
    `train`, `infer` or `commit`, as `Sampled` and `Committed` define them; as samples overlap, only their sum
    is a time. trained, worked: number of samples of all `train_batches` so far, and clock cycles of these and
    their commits. held: the samples that `hold` stored in the board's memory, which `train_batches` and
    `infer_batches` then use.
    """

    held: Held | None = None

    def __init__(self, url: str, spec: Spec, *, baud: int | None = None, timeout: float = 10.0):
        self._begin(Link.open(url, baud=baud, timeout=timeout, note=note), spec)

    @classmethod
    def over(cls, link: Link, spec: Spec) -> Self:
        """Return the board behind an open link."""
        board = cls.__new__(cls)
        board._begin(link, spec)
        return board

    def _begin(self, link: Link, spec: Spec) -> None:
        self.link, self.spec, self.name = link, spec, link.name
        self.cycles: list[int] = []
        self.trained = self.worked = 0
        self._ahead = 2  # maximum number of batches in flight
        try:
            self.identity = link.hello()
            self.config = self._checked(self.identity)
        except BaseException:
            link.close()
            raise
        self._map = registers_by_name(spec, self.identity.capacity > 0)

    def _checked(self, identity: Identity) -> Config:
        spec = self.spec
        if identity.spec != spec.identity:
            theirs, ours = (
                f"{identity.preset} (spec {identity.spec:08x})",
                f"{spec.name} (spec {spec.identity:08x})",
            )
            raise IdentityError(
                f"{self.name}: board built for preset {theirs}, not {ours}: rebuild it or change --preset"
            )
        if identity.version != VERSION or not 1 <= identity.window <= MAX_WINDOW:
            theirs, ours = (
                f"version {identity.version}, window {identity.window}",
                f"version {VERSION}, window 1..{MAX_WINDOW}",
            )
            raise IdentityError(f"{self.name}: the board's link has {theirs}; this host needs {ours}")
        try:
            return Config(spec, identity.lanes)
        except ConfigError as error:
            raise IdentityError(f"{self.name}: not a nudge board: {error}") from None

    def close(self) -> None:
        self.link.close()

    def settle(self) -> None:
        """Commit the samples that an earlier host left pending, so that weights may be written again.

        Only a commit ends a batch, so the caller must load weights afterwards. The register `batch` is set to
        its maximum.
        """
        if self.read_register("pending"):
            self.commit()
        self.write_register("batch", self.spec.formats.max_batch)

    @property
    def map(self) -> tuple[Register, ...]:
        """The board's registers, in order of address."""
        return tuple(self._map.values())

    def read_register(self, name: str) -> int:
        """Return the value of one register by name."""
        return _number(self._call(requests.read(self._register(name))))

    def write_register(self, name: str, value: int) -> None:
        """Write one register by name; `BoardError` if it is read-only or `value` is out of its range."""
        if not 0 <= value < 1 << 32:
            raise UsageError(f"register {name} must be 0..{(1 << 32) - 1}, not {value}")
        self._call(requests.write(self._register(name), value))

    def _call(self, request: Request) -> bytes:
        return self.exchange([request])[0]

    def exchange(self, asked: Iterable[Request]) -> list[bytes]:
        """Send requests and return the payloads of their answers. Raises the errors of `stream`."""
        return [answer for _, answer in self.stream(asked)]

    def stream(self, asked: Iterable[Request | None]) -> Iterator[tuple[Request, bytes]]:
        """Send requests as `Link.stream` does, and yield each with the payload of its answer as it arrives.

        Raises `IdentityError` for an answer of an unexpected size, `ImageError` if a stored sample is
        damaged, `BoardError` if a request is refused.
        """
        sent: deque[Request] = deque()

        def noted() -> Iterator[tuple[Command, bytes] | None]:
            for request in asked:
                if request is not None:
                    sent.append(request)
                yield None if request is None else (request.command, request.payload)

        try:
            for answer in self.link.stream(noted()):
                request = sent.popleft()
                self._check_size(request, answer, request.answered)
                yield request, answer
        except RefusedError as error:
            request = sent.popleft()
            if error.status is not Status.BAD_IMAGE or request.command not in STORED.values():
                raise BoardError(str(error)) from None
            asked_for = split_asked(request.payload)
            good = len(error.payload) - SampledStored.size(0)
            if not 0 <= good < len(asked_for):
                self._check_size(request, error.payload, SampledStored.size(len(asked_for) - 1))
            index = asked_for[good].index
            raise ImageError(
                f"{self.name}: sample {index} in its memory is damaged and has to be stored again"
            ) from None

    def _check_size(self, request: Request, answer: bytes, size: int) -> None:
        if len(answer) != size:
            said = f"{len(answer)} bytes, not {size}, answer {request.command.name}"
            raise IdentityError(f"{self.name}: not a nudge board: {said}")

    def _register(self, name: str) -> int:
        if name not in self._map:
            raise UsageError(f"unknown register {name!r}: choose one of {', '.join(self._map)}")
        return self._map[name].address

    def write_settings(self, settings: Settings) -> None:
        settings.check(self.spec)
        values = {name: getattr(settings, name) for name in ("free_steps", "nudged_steps", "beta")}
        for b, weight, bias in zip(
            self.spec.bundles, settings.weight_rates, settings.bias_rates, strict=True
        ):
            values |= {f"weight_rate_{b.index}": weight, f"bias_rate_{b.index}": bias}
        self.exchange(requests.write(self._register(name), value) for name, value in values.items())

    def registers(self) -> dict[str, int]:
        readable = [r for r in self._map.values() if r.access is not Access.ACTION]
        answers = self.exchange(requests.read(r.address) for r in readable)
        return {r.name: _number(answer) for r, answer in zip(readable, answers, strict=True)}

    def clear(self) -> None:
        self.write_register("clear", 1)

    def load(self, parameters: Parameters) -> None:
        check_parameters(self.spec, parameters)

        def asked() -> Iterator[Request]:
            for b, image in zip(
                self.spec.bundles, weight_image.pack_all(self.config, parameters.to("cpu")), strict=True
            ):
                for at, count in self._parts(
                    len(image), writable_words(lanes := self.config.lanes[b.index]), lanes
                ):
                    payload = WordAddress(b.index, at).encode() + image[at : at + count].tobytes()
                    yield Request(Command.WRITE_WEIGHTS, payload)
            yield COMMIT

        self.exchange(asked())

    def _parts(self, words: int, most: int, lanes: int) -> Iterator[tuple[int, int]]:
        """Yield address and number of words of each request for `words` words.

        The number is drawn as the request is sent: as many words as `link.length` bytes hold, from 1 to
        `most`.
        """
        at = 0
        while at < words:
            count = min(most, words - at, max(self.link.length // (MASTER_BYTES * lanes), 1))
            yield at, count
            at += count

    def read(self) -> Parameters:
        images = []
        for b in self.spec.bundles:
            lanes, words = self.config.lanes[b.index], layout.image_words(self.config, b)
            parts = self._parts(words, readable_words(lanes), lanes)
            answers = self.exchange(
                Request(
                    Command.READ_WEIGHTS, Words(b.index, at, count).encode(), MASTER_BYTES * lanes * count
                )
                for at, count in parts
            )
            images.append(np.frombuffer(b"".join(answers), weight_image.MASTER).reshape(words, lanes))
        return weight_image.unpack_all(self.config, images)

    def train(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self._samples(Command.TRAIN, images, labels)

    def infer(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self._samples(Command.INFER, images, labels)

    def _samples(self, command: Command, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        asked = _streamed(self.spec, command, np.asarray(images), np.asarray(labels))
        answers = [requests.told(request, answer) for request, answer in self.stream(asked)]
        self.cycles = [cycles for _, cycles in answers]
        return self._classes([prediction for predictions, _ in answers for prediction in predictions])

    def _classes(self, predictions: list[int]) -> np.ndarray:
        if max(predictions, default=0) >= self.spec.classes:
            known = f"0..{self.spec.classes - 1}"
            raise IdentityError(
                f"{self.name}: not a nudge board: it predicts {max(predictions)}, not {known}"
            )
        return np.array(predictions, np.int64)

    def hold(self, data: Data, train: int, test: bool = False) -> Held | None:
        self.held = upload.hold(self, data, train, test)
        return self.held

    def core_rate(self) -> float | None:
        return (
            self.identity.clock_hz * self.trained / self.worked
            if self.worked and self.identity.clock_hz
            else None
        )

    def train_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        return self._batches(Command.TRAIN, batches)

    def infer_batches(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        return self._batches(Command.INFER, batches)

    def _batches(self, command: Command, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """Stream batches, with enough of them in flight that the board has work for `AHEAD_SECONDS`."""
        source, told = iter(batches), deque[tuple[int, int]]()  # samples, requests of each batch in flight
        since = self.link.now

        def asked() -> Iterator[Request | None]:
            while True:
                while len(told) >= self._ahead:
                    yield None
                if (batch := next(source, None)) is None:
                    return
                made = self._asked(command, batch)
                told.append((len(batch), len(made)))
                yield from made

        predictions: list[int] = []
        answers = 0
        for request, answer in self.stream(asked()):
            found, cycles = requests.told(request, answer)
            predictions, answers = predictions + found, answers + 1
            samples, count = told[0]
            if command is Command.TRAIN:
                self.trained, self.worked = self.trained + len(found), self.worked + cycles
            if request is COMMIT and (done := Committed.decode(answer).samples) != samples:
                raise BoardError(
                    f"{self.name}: {done} samples were committed, not {samples}: does another host use the "
                    "board?"
                )
            if answers == count:
                told.popleft()
                seconds, since = self.link.now - since, self.link.now
                self._ahead = max(
                    2, math.ceil(AHEAD_SECONDS / max(seconds, AHEAD_SECONDS / self.link.window))
                )
                yield self._classes(predictions)
                predictions, answers = [], 0

    def _asked(self, command: Command, batch: Batch) -> list[Request]:
        """Return the requests of a batch, commit included; for stored samples if the board has them all."""
        asked = None if self.held is None else self.held.asked(batch)
        if asked is not None:
            return requests.stored(command, asked)
        made = _streamed(self.spec, command, batch.images, batch.labels)
        return [*made, COMMIT] if command is Command.TRAIN else made

    def commit(self) -> int:
        committed = Committed.decode(self._call(COMMIT))
        self.cycles = [committed.cycles]
        return committed.samples

    def digest(self) -> tuple[int, ...]:
        asked = (Request(Command.DIGEST, BundleNumber(b.index).encode()) for b in self.spec.bundles)
        return tuple(map(_number, self.exchange(asked)))


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _streamed(spec: Spec, command: Command, images: np.ndarray, labels: np.ndarray) -> list[Request]:
    """Return the requests that carry the images; `ModelError` for invalid images or labels."""
    pixels = checked_images(images, spec).numpy()
    classes = checked_labels(labels, len(pixels), spec).tolist()
    return requests.streamed(command, (image.tobytes() for image in pixels), classes)
