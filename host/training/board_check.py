"""Checks a board line by line: identity, link, memory, comparisons with the model, cycles, rate, errors.

`nudge board check` makes a `host.training.record.Record` of the result.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nudge.golden.contract.config import Config
from nudge.golden.contract.messages import PIXELS
from nudge.golden.contract.protocol import COUNTED, COUNTED_STORED, PHASES
from nudge.golden.contract.stored import LOG_AT, MAX_RECORD_WORDS, WORD_BYTES, record
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model import weight_image
from nudge.golden.model.difference import master_parts
from nudge.golden.model.parameters import Parameters, initial
from nudge.golden.model.settings import Settings
from nudge.golden.training.data import Data
from nudge.golden.training.loop import train
from nudge.golden.training.plan import Plan
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices import upload
from nudge.host.devices.serial import SerialBoard
from nudge.plumbing.errors import BoardError, ComparisonError, IdentityError, LinkError, NudgeError, ToolError
from nudge.plumbing.progress import note

from .compare import check, compare
from .record import CORE, END_TO_END, FAILED, HELD, NOT_APPLICABLE, NOT_RUN, Figures, Line

#: Board counters of errors, and those of the host's link.
BOARD_ERRORS = ("overruns", "framing", "duplicates", *(s.name.lower() for s in (*COUNTED, *COUNTED_STORED)))
HOST_ERRORS = ("resent", "timeouts", "refused", "unexpected")

#: Single samples of which the cycles are compared.
CYCLE_SAMPLES = 4

#: On a board: smallest share of the rate that core and line allow. A run from the memory is modelled to reach
#: 98 % (docs/link.md), so a clock that is a fifth slower than the board says fails.
LEAST_SHARE = 0.85

#: Cycles of each phase: "training static" and so on.
Cycles = dict[str, int]


@dataclass(frozen=True)
class Extent:
    """How much a check does. A simulated board gets less of everything.

    link_bytes: bytes of weights, at least, each way. patterns: records in the memory; None: all that fit.
    samples: compared samples. rate_seconds: aimed at for the training whose rate is measured.
    """

    link_bytes: int = 1 << 20
    patterns: int | None = None
    samples: int = 512
    rate_seconds: float = 10.0


SHORT = Extent(link_bytes=1 << 15, patterns=32, samples=32, rate_seconds=0.0)


@dataclass(frozen=True)
class Subject:
    """A board, and what it should be.

    config: its network, lanes and engines. clock: (clock_hz, uart_divisor) of its design; None: any. memory:
    whether it has one for samples. built: facts of the newest bitstream here
    (`boards.toolchain.build.Build`); None: there is none. simulated: no hardware. line_rate: samples/s that
    its line carries. simulate: returns `phases` of the simulated RTL, `ToolError` if nothing here can
    simulate it.
    """

    board: SerialBoard
    config: Config
    data: Data
    simulated: bool
    memory: bool
    line_rate: float
    simulate: Callable[[], Cycles]
    clock: tuple[int, int] | None = None
    built: Mapping[str, Any] | None = None
    extent: Extent = SHORT
    seed: int = 0

    def plan(self, samples: int, **options: Any) -> Plan:
        """Return a plan of the first embedded digits; rates are scaled down with a smaller batch."""
        spec = self.board.spec
        batch = min(options.pop("batch", None) or spec.learning.batch, samples)
        scale = batch / spec.learning.batch
        return Plan.of(spec, "embedded", samples, seed=self.seed, batch=batch, lr_scale=scale, **options)


class NotApplicableError(Exception):
    """A check that this board has no use for, with the reason."""


Found = tuple[str, Figures]


def errors(board: SerialBoard) -> dict[str, int]:
    """Return the counters of errors of a board and of the link to it, by kind."""
    registers, host = board.registers(), asdict(board.link.counters)
    found = {name: registers[name] for name in BOARD_ERRORS if name in registers}
    return found | {f"host_{name}": host[name] for name in HOST_ERRORS} | {"host_damaged": board.link.damaged}


def no_new(board: SerialBoard, before: Mapping[str, int]) -> dict[str, int]:
    """Return the errors counted since `before`, all 0; `BoardError` names those that aren't."""
    new = {name: (count - before[name]) % 2**32 for name, count in errors(board).items()}
    if any(new.values()):
        raise BoardError(", ".join(f"{name} {count}" for name, count in new.items() if count))
    return new


def check_identity(subject: Subject) -> Found:
    """Compare lanes, clock and build with the design's and with the newest bitstream's."""
    identity, built, board = subject.board.identity, subject.built, subject.board
    theirs: Any = (identity.lanes, (identity.clock_hz, identity.uart_divisor))
    ours: Any = (subject.config.lanes, subject.clock or theirs[1])
    if theirs != ours:
        raise IdentityError(f"lanes, and clock and divisor, are {theirs}, of the design {ours}")
    if subject.simulated:
        raise NotApplicableError(
            "a virtual board has no bitstream; network, lanes and link version are those asked for"
        )
    if built is None:
        raise NotApplicableError(
            "no bitstream of this board here; network, lanes, clock and link version are the design's"
        )
    runs = board.read_register("build"), board.read_register("build_seed")
    if runs != (built["build"], built["seed"]):
        texts = [f"build {build:08x} seed {seed}" for build, seed in (runs, (built["build"], built["seed"]))]
        raise IdentityError(f"the board runs {texts[0]}, the newest bitstream here is {texts[1]}")
    return f"runs the bitstream built here, build {runs[0]:08x}, seed {runs[1]}", {}


def drawn(config: Config, seed: int, extremes: bool = False) -> Parameters:
    """Draw masters, and means, from all allowed values. extremes: the lowest and the highest alone."""
    spec, chance = config.spec, np.random.default_rng(seed)

    def like(values: torch.Tensor, low: int, high: int) -> torch.Tensor:
        found = chance.integers(low, high, values.shape, np.int64, endpoint=True)
        return torch.from_numpy(
            np.where(chance.random(values.shape) < 0.5, low, high) if extremes else found
        ).to(values.dtype)

    masters = spec.formats.master_low, spec.formats.master_high
    limits = (masters, masters, (spec.mean_range[0], spec.mean_range[-1]))
    shapes = initial(spec, seed)
    return Parameters(
        *(tuple(like(x, *limit) for x in group) for group, limit in zip(shapes, limits, strict=True))
    )


def check_link(subject: Subject) -> Found:
    """Send all byte values to `scratch` and to the weights, and read them back; no error may be counted."""
    board, before = subject.board, errors(subject.board)
    for low in range(256):
        value = int.from_bytes(bytes((low + step) % 256 for step in (0, 85, 170, 255)), "little")
        board.write_register("scratch", value)
        check([("register scratch", board.read_register("scratch"), value)])
    sent, seen, number = 0, np.zeros(256, bool), subject.seed
    while sent < subject.extent.link_bytes or not seen.all():
        masters = drawn(subject.config, number)
        board.load(masters)
        check(master_parts(board.read(), masters))
        image = b"".join(part.tobytes() for part in weight_image.pack_all(board.config, masters))
        seen[np.frombuffer(image, np.uint8)] = True
        sent, number = sent + len(image), number + 1
    no_new(board, before)
    figures = {"weight_bytes_each_way": sent, "byte_values": int(seen.sum())}
    return "what was written reads back; no error counted", figures


def check_memory(subject: Subject) -> Found:
    """Fill the memory with records of noise, and compare the digests that the board computes over them."""
    board, capacity = subject.board, subject.board.identity.capacity
    if not (subject.memory or capacity):
        raise NotApplicableError("the board has no memory for samples")
    if not capacity:
        raise BoardError("the board says that it has no memory: its self test failed at start")
    fit = (capacity // WORD_BYTES - LOG_AT) // MAX_RECORD_WORDS
    count = fit if subject.extent.patterns is None else min(fit, subject.extent.patterns)
    chance = np.random.default_rng(subject.seed)
    records = []
    for index in range(count):
        image = chance.integers(0, 256, PIXELS, np.uint8).tobytes()
        records.append(record(index, index % board.spec.classes, image, stuff(image)))
    board.write_register("forget", 1)
    stored = upload.bring(board, records)
    if stored != count:
        raise BoardError(f"{stored - count} of {count} records had to be stored again")
    covered = sum(map(len, records)) + 4 * count  # with the entries of the table
    says = f"self test passed; {count} records of noise, {covered / capacity:.1%} of the memory, read back"
    return says, {"records": count, "bytes_covered": covered, "bytes": capacity}


def check_batches(subject: Subject) -> Found:
    """Train whole batches, then short ones, streamed."""
    plans = subject.plan(subject.extent.samples), subject.plan(8, batch=3)
    parts = [compare(subject.board, plan, subject.data) for plan in plans]
    return _equal(sum(p.predictions for p in parts), parts[0].weights)


def check_stored(subject: Subject) -> Found:
    """Train moved and mirrored samples from the board's memory and streamed."""
    if not subject.board.identity.capacity:
        raise NotApplicableError("the board has no memory for samples")
    plan = subject.plan(subject.extent.samples, shift=1, flip=True)
    found = compare(subject.board, plan, subject.data, stored=True)
    return _equal(found.predictions, found.weights)


def check_extremes(subject: Subject) -> Found:
    """Train images of lowest, highest and alternating pixels from weights at both limits."""
    images = subject.data.train_images[:8].clone()
    images[0::3], images[1::3], images[2::3] = 0, 255, 0
    images[2::3, ..., ::2] = 255
    data = subject.data._replace(train_images=images, train_labels=subject.data.train_labels[:8])
    found = compare(
        subject.board, subject.plan(8, batch=4), data, parameters=drawn(subject.config, subject.seed, True)
    )
    return _equal(found.predictions, found.weights)


def _equal(predictions: int, weights: int) -> Found:
    return "board == golden", {"predictions": predictions, "weights": weights}


def phases(board: SerialBoard, data: Data, seed: int) -> Cycles:
    """Return the cycles of each phase for `CYCLE_SAMPLES` samples that are sent singly, to an idle core.

    Only these are the same at every line: where samples overlap, the phases depend on the time at which each
    arrives, and samples from the memory wait for its refresh.
    """
    board.load(initial(board.spec, seed))
    board.write_settings(Settings.of(board.spec))

    def counted(what: str, work: Callable[[Any, Any], object]) -> Cycles:
        before = board.registers()
        for n in range(CYCLE_SAMPLES):
            work(data.train_images[n : n + 1], data.train_labels[n : n + 1])
            board.read_register("scratch")  # is answered when the core is idle: the update has ended
        after = board.registers()
        return {f"{what} {p}": (after[f"cycles_{p}"] - before[f"cycles_{p}"]) % 2**32 for p in PHASES}

    found = counted("training", board.train)
    before = board.read_register("cycles_commit")
    board.commit()
    found["training commit"] += (board.read_register("cycles_commit") - before) % 2**32
    return found | counted("inference", board.infer)


def check_cycles(subject: Subject) -> Found:
    """Compare the cycles of single samples with those of the simulated RTL."""
    found = phases(subject.board, subject.data, subject.seed)
    try:
        simulated = subject.simulate()
    except ToolError as error:
        raise NotApplicableError(f"nothing to compare with: {error}") from None
    differ = [name for name, count in simulated.items() if found[name] != count]
    if differ:
        raise ComparisonError(
            "; ".join(f"{name}: {found[name]} cycles, simulated {simulated[name]}" for name in differ)
        )
    says = f"equal to the simulated RTL in each phase, for {CYCLE_SAMPLES} samples sent one at a time"
    return says, {name.replace(" ", "_"): count for name, count in found.items() if count}


def check_rate(subject: Subject) -> Found:
    """Train, and compare the rate on a board with the one that core and line allow."""
    board, extent, data = subject.board, subject.extent, subject.data
    samples = min(len(data.train_labels), 1000) if extent.rate_seconds else extent.samples
    board.load(initial(board.spec, subject.seed))
    board.train(data.train_images[:1], data.train_labels[:1])
    one = sum(board.cycles) / (board.identity.clock_hz or math.inf)
    board.commit()
    epochs = min(max(round(extent.rate_seconds / max(one * samples, 1e-3)), 1), 50)
    plan = subject.plan(samples, epochs=epochs)
    held = board.hold(data, samples)
    board.trained = board.worked = 0
    with tempfile.TemporaryDirectory(prefix="nudge-check-") as folder:
        run = Run.begin(plan, board.spec, Path(folder) / "run")
        run.clock, run.picture = (lambda: board.link.now), False
        rate = train(run, board, data, Stop())
    core = board.core_rate()
    most = min(core or math.inf, math.inf if held else subject.line_rate)
    figures: dict[str, int | float | str] = {END_TO_END: rate, "samples": samples * epochs}
    figures |= {} if core is None else {CORE: core}
    how = "from the board's memory" if held else "streamed"
    if subject.simulated:
        return f"{how}; wall-clock rate of the simulation, which no clock limits", figures
    if rate < LEAST_SHARE * most:
        raise BoardError(
            f"{rate:.1f} samples/s, {rate / most:.1%} of the {most:.1f} that core and line allow"
        )
    return f"{how}; {rate / most:.1%} of what core and line allow", figures | {"share": rate / most}


#: The lines of a record, in order, before the last, `errors`.
CHECKS: dict[str, Callable[[Subject], Found]] = {
    "identity": check_identity,
    "link": check_link,
    "memory": check_memory,
    "compare batches": check_batches,
    "compare stored": check_stored,
    "compare extremes": check_extremes,
    "cycles": check_cycles,
    "rate": check_rate,
}


def run_checks(subject: Subject) -> Iterator[Line]:
    """Yield each line as its check ends. After a lost connection the remaining ones aren't run."""
    board, lost = subject.board, False
    before = errors(board)
    every = CHECKS | {"errors": lambda subject: ("none counted in the whole check", no_new(board, before))}
    for name, work in every.items():
        note(f"check: {name}")
        start, figures = time.monotonic(), {}
        try:
            if lost:
                outcome, says = NOT_RUN, "the connection was lost before"
            else:
                outcome, (says, figures) = HELD, work(subject)
        except NotApplicableError as reason:
            outcome, says = NOT_APPLICABLE, str(reason)
        except NudgeError as error:
            outcome, says, lost = FAILED, str(error), isinstance(error, LinkError)
            if not lost:
                lost = not _settled(board)
        yield Line(name, outcome, says, round(time.monotonic() - start, 3), figures)


def _settled(board: SerialBoard) -> bool:
    """Commit samples that a failed check left pending, so that weights may be written; return success."""
    try:
        board.settle()
    except NudgeError:
        return False
    return True
