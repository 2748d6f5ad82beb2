"""The board behind a serial link."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from golden.contract import layout
from golden.contract.config import Config
from golden.contract.errors import ConfigError, IdentityError, ModelError, UsageError
from golden.contract.protocol import (
    ANSWERED_BYTES,
    LABELS,
    MASTER_BYTES,
    MAX_WINDOW,
    VALUE_BYTES,
    VERSION,
    Access,
    BundleNumber,
    Command,
    Committed,
    Identity,
    RegisterRange,
    RegisterValue,
    Sample,
    Sampled,
    WordAddress,
    Words,
    readable_words,
    registers_by_name,
    writable_words,
)
from golden.contract.spec import Spec
from golden.model import weight_image
from golden.model.batch import checked_images, checked_labels
from golden.model.parameters import Parameters, check_shapes
from golden.model.settings import Settings
from golden.progress import note
from host.link.link import Link

from .interface import OpenBoard


@dataclass(frozen=True)
class Request:
    """What is sent, and what must come back."""

    command: Command
    payload: bytes = b""
    size: int | None = None  #: payload bytes of the answer, where they depend on the request

    @property
    def answered(self) -> int:
        """Payload bytes of the answer."""
        return ANSWERED_BYTES[self.command] if self.size is None else self.size


class SerialBoard(OpenBoard):
    """A board behind a serial port: a device path or any pyserial URL.

    Raises `IdentityError` at once if it was built for another network.

    config: the lanes that the board was built with. cycles: clock cycles that the core took for each request of the last
    `train`, `infer` or `commit`, as `Sampled` and `Committed` define them: of samples that overlap only the sum is a time.
    """

    def __init__(self, url: str, spec: Spec, *, baud: int | None = None, timeout: float = 10.0):
        self._begin(Link.open(url, baud=baud, timeout=timeout, note=note), spec)

    @classmethod
    def over(cls, link: Link, spec: Spec) -> Self:
        """The board behind an open link."""
        board = cls.__new__(cls)
        board._begin(link, spec)
        return board

    def _begin(self, link: Link, spec: Spec) -> None:
        self.link, self.spec, self.name = link, spec, link.name
        self.cycles: list[int] = []
        try:
            self.identity = link.hello()
            self.config = self._checked(self.identity)
        except BaseException:
            link.close()
            raise
        self._map = registers_by_name(spec)

    def _checked(self, identity: Identity) -> Config:
        spec = self.spec
        if identity.spec != spec.identity:
            theirs, ours = f"{identity.preset} (spec {identity.spec:08x})", f"{spec.name} (spec {spec.identity:08x})"
            raise IdentityError(f"{self.name}: board built for preset {theirs}, not {ours}: rebuild it or change --preset")
        if identity.version != VERSION or not 1 <= identity.window <= MAX_WINDOW:
            theirs, ours = f"version {identity.version}, window {identity.window}", f"version {VERSION}, window 1..{MAX_WINDOW}"
            raise IdentityError(f"{self.name}: the board's link has {theirs}; this host needs {ours}")
        try:
            return Config(spec, identity.lanes)
        except ConfigError as error:
            raise IdentityError(f"{self.name}: not a nudge board: {error}") from None

    def close(self) -> None:
        self.link.close()

    def settle(self) -> None:
        """Bring a board that a host left in the middle of a batch to rest: its weights may be written again.

        What was pending is committed, as there is no other way; so load the weights that are wanted.
        """
        if self.read_register("pending"):
            self.commit()
        self.write_register("batch", self.spec.formats.max_batch)

    def read_register(self, name: str) -> int:
        """Value of one register by name."""
        return _number(self._call(_read(self._register(name))))

    def write_register(self, name: str, value: int) -> None:
        """Set one register by name; `BoardError` if it is read-only or `value` is out of its range."""
        if not 0 <= value < 1 << 32:
            raise UsageError(f"register {name} must be 0..{(1 << 32) - 1}, not {value}")
        self._call(_write(self._register(name), value))

    def _call(self, request: Request) -> bytes:
        return self._exchange([request])[0]

    def _exchange(self, requests: Iterable[Request]) -> list[bytes]:
        """The payloads of their answers; `IdentityError` if one has another size than is expected."""
        sent: list[Request] = []

        def noted() -> Iterator[tuple[Command, bytes]]:
            for request in requests:
                sent.append(request)
                yield request.command, request.payload

        answers = self.link.exchange(noted())
        for request, answer in zip(sent, answers, strict=True):
            if len(answer) != request.answered:
                said = f"{len(answer)} bytes, not {request.answered}, answer {request.command.name}"
                raise IdentityError(f"{self.name}: not a nudge board: {said}")
        return answers

    def _register(self, name: str) -> int:
        if name not in self._map:
            raise UsageError(f"unknown register {name!r}: choose one of {', '.join(self._map)}")
        return self._map[name].address

    def write_settings(self, settings: Settings) -> None:
        settings.check(self.spec)
        values = {name: getattr(settings, name) for name in ("free_steps", "nudged_steps", "beta")}
        for b, weight, bias in zip(self.spec.bundles, settings.weight_rates, settings.bias_rates, strict=True):
            values |= {f"weight_rate_{b.index}": weight, f"bias_rate_{b.index}": bias}
        self._exchange(_write(self._register(name), value) for name, value in values.items())

    def registers(self) -> dict[str, int]:
        readable = [r for r in self._map.values() if r.access is not Access.ACTION]
        answers = self._exchange(_read(r.address) for r in readable)
        return {r.name: _number(answer) for r, answer in zip(readable, answers, strict=True)}

    def clear(self) -> None:
        self.write_register("clear", 1)

    def load(self, parameters: Parameters) -> None:
        check_shapes(self.spec, parameters)
        _check_range(self.spec, parameters)
        requests: list[Request] = []
        for b, image in zip(self.spec.bundles, weight_image.pack_all(self.config, parameters.to("cpu")), strict=True):
            most = writable_words(self.config.lanes[b.index])
            for at in range(0, len(image), most):
                payload = WordAddress(b.index, at).encode() + image[at : at + most].tobytes()
                requests.append(Request(Command.WRITE_WEIGHTS, payload))
        self._exchange([*requests, Request(Command.COMMIT)])

    def read(self) -> Parameters:
        images = []
        for b in self.spec.bundles:
            lanes, words = self.config.lanes[b.index], layout.master_words(self.config, b)
            most = readable_words(lanes)
            parts = ((at, min(most, words - at)) for at in range(0, words, most))
            answers = self._exchange(
                Request(Command.READ_WEIGHTS, Words(b.index, at, count).encode(), MASTER_BYTES * lanes * count)
                for at, count in parts
            )
            images.append(np.frombuffer(b"".join(answers), weight_image.MASTER).reshape(words, lanes))
        return weight_image.unpack_all(self.config, images)

    def train(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self._samples(Command.TRAIN, images, labels)

    def infer(self, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        return self._samples(Command.INFER, images, labels)

    def _samples(self, command: Command, images: ArrayLike, labels: ArrayLike) -> np.ndarray:
        pixels = checked_images(np.asarray(images)).numpy()
        classes = checked_labels(np.asarray(labels), len(pixels)).tolist()
        samples = zip(pixels, classes, strict=True)
        answers = self._exchange(Request(command, Sample(label, image.tobytes()).encode()) for image, label in samples)
        sampled = [Sampled.decode(answer) for answer in answers]
        self.cycles = [sample.cycles for sample in sampled]
        predictions = [sample.prediction for sample in sampled]
        if max(predictions, default=0) >= LABELS:
            raise IdentityError(f"{self.name}: not a nudge board: it predicts {max(predictions)}, not 0..{LABELS - 1}")
        return np.array(predictions, np.int64)

    def commit(self) -> int:
        committed = Committed.decode(self._call(Request(Command.COMMIT)))
        self.cycles = [committed.cycles]
        return committed.samples

    def digest(self) -> tuple[int, ...]:
        requests = (Request(Command.DIGEST, BundleNumber(b.index).encode()) for b in self.spec.bundles)
        return tuple(map(_number, self._exchange(requests)))


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _read(address: int) -> Request:
    return Request(Command.READ_REGISTER, RegisterRange(address, 1).encode(), VALUE_BYTES)


def _write(address: int, value: int) -> Request:
    return Request(Command.WRITE_REGISTER, RegisterValue(address, value).encode())


def _check_range(spec: Spec, parameters: Parameters) -> None:
    """`ModelError` unless the link can carry all masters."""
    limits = np.iinfo(weight_image.MASTER)
    for bundle, *tensors in zip(spec.bundles, *parameters, strict=True):
        for tensor in tensors:
            if not limits.min <= int(tensor.min()) <= int(tensor.max()) <= limits.max:
                raise ModelError(f"bundle {bundle.index}: masters must be {limits.min}..{limits.max} (LSB 2^-15)")
