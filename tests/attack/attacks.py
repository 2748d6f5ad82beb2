"""The list of attacks: values that nobody means, damaged files, odd environments, other owners, signals at any moment.

Each is one command in a cell. It must end as `Ended.judge` says, and where it succeeds, its result must be the undisturbed one.
"""

import functools
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import typer

from golden import files
from golden.contract.errors import ExitCode, UsageError
from golden.training import checkpoint

from .cell import Ended, cell
from .scenarios import RESUME, TRAIN, bits, half_done, reference, small_study, train_mend


@dataclass(frozen=True)
class Attack:
    """One command under one attack."""

    family: str
    name: str
    arguments: list[str]
    #: What the folder holds.
    prepare: Callable[[Path], None] = lambda folder: None
    #: What is wrong with how it ended, beside what `judge` says.
    check: Callable[[Path, Ended], list[str]] = lambda folder, ended: []
    environment: tuple[tuple[str, str | None], ...] = ()
    before: Callable[[], None] = lambda: None


# -- values

#: For each command: arguments with which it does little, or ends before it does much.
BASE = {
    "train": TRAIN[:5] + TRAIN[5:],
    "eval": ["--weights", "tiny-mnist", "--samples", "2", "--data", "embedded"],
    "compare": ["--board", "golden", "--samples", "4", "--batch", "4"],
    "bench": ["--golden", "--preset", "tiny", "--batch", "0"],
    "repro": ["count", "--out", "results"],
    "build": ["icebreaker", "--tools", "native"],
    "flash": ["icebreaker", "--tools", "native"],
    "report": ["icebreaker", "--preset", "tiny"],
    "verilog": ["--out", "none/x.v"],
    "estimate": ["--board", "none"],
    "network show": ["tiny", "--samples", "1"],
    "board info": ["--board", "/none"],
    "board status": ["--board", "/none"],
    "board serve": ["--port", "-1"],
    "board soak": ["--board", "golden", "--samples", "4", "--faults", "0", "--preset", "none"],
    "board sweep": ["--fault", "none", "--preset", "none"],
    "board throughput": ["--samples", "0"],
}

INTEGERS = [
    "-1",
    "0",
    "1.5",
    "x",
    "",
    " 1",
    "0x10",
    "1_0",
    "nan",
    str(1 << 31),
    str(1 << 63),
    "9" * 40,
    "-" + "9" * 5000,
    "\u0663",
]
FLOATS = ["nan", "inf", "-inf", "1e308", "-1", "0", "-0.0", "1e-320", "1e999", "x", "", "\u0663"]
PATHS = [
    *["", ".", "/", "..", "/dev/null", "/dev/zero", "/dev/full", "/proc/self/mem", "/proc/self/fd/0", "/nowhere/x"],
    *["a" * 300, "\udcff", "x\x1b[31m", "a\nb", "pipe", "loop", "folder", "text"],
]
TEXTS = [
    "",
    "x" * 10_000,
    "\x1b[2J",
    "\udcff",
    "../..",
    "-",
    "--",
    "; echo",
    "%s%n",
    "\u20ac",
    "a\nb",
    "none",
    "0:0:0",
    "\u202e",
]
PORTS = [
    "spy:///x?file=y",
    "hwgrep://(",
    "loop://?foo",
    "alt://x",
    "socket://",
    "socket://x:99999",
    "rfc2217://",
    "/dev/null",
    "/",
    ".",
]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command by its words."""
    from host.cli.main import app

    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", of) for inner, of in command.commands.items())
        else:
            yield name, command


def values(parameter: Any) -> list[str]:
    """What nobody means for an option."""
    kind = str(parameter.type_descriptor.annotation)
    if "int" in kind:
        return INTEGERS
    if "float" in kind:
        return FLOATS
    if "path" in kind or parameter.name in ("network", "weights", "out"):
        return PATHS
    return TEXTS + PORTS * (parameter.name == "board")


def options() -> Iterator[Attack]:
    """Each option of each command with each value that nobody means for its kind."""
    for name, command in commands():
        if name not in BASE:
            continue
        for parameter in command.params:
            flag = next((word for word in getattr(parameter, "opts", []) if word.startswith("--")), None)
            if flag is None or getattr(parameter, "is_flag", False) or flag == "--help":
                continue
            for value in values(parameter):
                yield Attack("options", f"{name} {flag} {value[:20]!r}", [*name.split(), *BASE[name], flag, value], odd_files,
                    before=small_study, environment=(("PATH", "/nowhere"),))  # fmt: skip


def odd_files(folder: Path) -> None:
    """What paths may lead to."""
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    (folder / "folder").mkdir()
    (folder / "text").write_text("text\x1b[2J\n")


# -- files


def damages(random_: random.Random) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Ways to damage a file."""

    def content(name: str, change: Callable[[bytes], bytes]) -> tuple[str, Callable[[Path], None]]:
        def damage(path: Path) -> None:
            path.write_bytes(change(path.read_bytes()))

        return name, damage

    def flip(at: float, bit: int) -> Callable[[bytes], bytes]:
        def change(data: bytes) -> bytes:
            out = bytearray(data)
            out[int(at * len(out))] ^= 1 << bit
            return bytes(out)

        return change

    def instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
        def damage(path: Path) -> None:
            path.unlink()
            make(path)

        return damage

    for _ in range(24):
        at, bit = random_.random(), random_.randrange(8)
        yield content(f"bit {bit} at {at:.4f} flipped", flip(at, bit))
    for _ in range(8):
        share = random_.random()
        yield content(f"cut at {share:.4f}", functools.partial(_cut, share))
    for _ in range(4):
        at = random_.random()
        noise = random_.randbytes(40)
        yield content(f"noise at {at:.4f}", functools.partial(_overwritten, at, noise))
    yield content("empty", lambda data: b"")
    yield content("zeros", lambda data: bytes(len(data)))
    yield content("ones", lambda data: b"\xff" * len(data))
    yield content("twice", lambda data: data * 2)
    yield content("a byte more", lambda data: data + b"\0")
    yield content("a line more", lambda data: data + b"\n")
    yield content("noise", lambda data: random_.randbytes(len(data)))
    yield content("escape sequences", lambda data: b"\x1b]0;x\x07\x1b[2J" + data)
    yield content("nan", lambda data: data.replace(b"0.", b"nan"))
    yield content("minus", lambda data: data.replace(b" ", b" -"))
    yield "a pipe", instead(os.mkfifo)
    yield "a folder", instead(lambda path: path.mkdir())
    yield "a loop", instead(lambda path: path.symlink_to(path.name))
    yield "zeros without end", instead(lambda path: path.symlink_to("/dev/zero"))
    yield "nothing", instead(lambda path: path.symlink_to("/dev/null"))
    yield "a sparse terabyte", lambda path: os.truncate(path, 1 << 40)
    yield "gone", lambda path: path.unlink()


def _cut(share: float, data: bytes) -> bytes:
    return data[: int(share * len(data))]


def _overwritten(share: float, noise: bytes, data: bytes) -> bytes:
    at = int(share * len(data))
    return data[:at] + noise + data[at + len(noise) :]


def anything(folder: Path, ended: Ended) -> list[str]:
    """`judge` says all."""
    return []


def same_bits(folder: Path, ended: Ended) -> list[str]:
    """Success means the undisturbed weights."""
    return ["other weights"] if ended.code == ExitCode.OK and bits(folder / "run") != reference()[0] else []


def same_output(expected: str, folder: Path, ended: Ended) -> list[str]:
    """Success means the undisturbed output."""
    return ["another result"] if ended.code == ExitCode.OK and ended.out != expected else []


NETWORK = 'name = "mine"\nstage = [{conv = 4, kernel = 3}, {dense = 10}]\n[schedule]\nfree = 8\nnudged = 4\nwindow = 4\n'
BOARD = "from dataclasses import replace\nfrom boards.icebreaker import ICEBREAKER\nMINE = replace(ICEBREAKER, name='mine')\n"
EVAL = ["eval", "--weights", "run", "--samples", "4", "--json"]
SHOW = ["network", "show", "mine.toml", "--samples", "1", "--json"]
REPORTED = ["report", "icebreaker", "--preset", "tiny", "--json"]


def whole_run(folder: Path) -> None:
    """A finished run."""
    shutil.copytree(Path(os.environ["NUDGE_BUILD"]) / "whole", folder / "run")


def committed(folder: Path) -> None:
    """Committed reports, copied here."""
    from boards.toolchain import report

    (folder / "baselines").mkdir()
    shutil.copy(report.baseline_file("icebreaker", "tiny", "yowasp"), folder / "baselines")


def baselines_here() -> None:
    """They are read from the folder."""
    from boards.toolchain import report

    report.BASELINES = Path("baselines")


def measured(folder: Path) -> None:
    """A study's table."""
    cell(["repro", "count", "--out", "results"], folder, None, {}, small_study)


def network(folder: Path) -> None:
    """A network's file."""
    (folder / "mine.toml").write_text(NETWORK)


def text_of(arguments: list[str], prepare: Callable[[Path], None], before: Callable[[], None]) -> str:
    """The undisturbed output of a command."""
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        folder = Path(place, "cell")
        folder.mkdir()
        prepare(folder)
        ended = cell(arguments, folder, None, {}, before)
        assert ended.code == ExitCode.OK, ended.err
        return ended.out


def damaged_files(seed: int) -> Iterator[Attack]:
    """Each file that a command reads, damaged in each way."""
    weights = f"run/{checkpoint.WEIGHTS}"
    repro, quiet = ["repro", "count", "--out", "results"], lambda: None
    kinds: list[tuple[str, list[str], Callable[[Path], None], Callable[..., Any], bool]] = [
        (weights, EVAL, whole_run, quiet, True),
        (weights, RESUME, half_done, quiet, False),
        ("run/metrics.csv", RESUME, half_done, quiet, False),
        ("run/epoch-2.safetensors", RESUME, whole_run, quiet, False),
        ("mine.toml", SHOW, network, quiet, False),
        ("baselines/icebreaker-tiny-yowasp.json", REPORTED, committed, baselines_here, False),
        ("results/count-quick.csv", repro, measured, small_study, True),
    ]
    for name, arguments, prepare, before, output in kinds:
        check: Callable[[Path, Ended], list[str]] = anything
        if output:
            check = functools.partial(same_output, text_of(arguments, prepare, before))
        elif arguments is RESUME:
            check = same_bits
        if name.endswith(".csv") and output:
            # its figures have no digest: they may be edited, labels and fingerprints may not
            check = anything
        for what, damage in damages(random.Random(f"{seed} {name}")):

            def make(folder: Path, name: str = name, prepare: Any = prepare, damage: Any = damage) -> None:
                prepare(folder)
                damage(folder / name)

            yield Attack("files", f"{' '.join(arguments[:2])}: {name}: {what}", arguments, make, check, before=before)


# -- environment, owners, signals

VARIABLES = ["NUDGE_BUILD", "NUDGE_DATA", "CXX", "TMPDIR", "HOME", "PATH", "RANK", "COLUMNS", "TERM", "MPLBACKEND", "NO_COLOR"]


def environments() -> Iterator[Attack]:
    """Variables with values that nobody means."""
    ranks = (("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1"))
    for variable in VARIABLES:
        for value in ["", "x", "/nowhere", "/dev/null", "a\nb", "-1", "9" * 40, "\x1b[2J", "\udcff", "a" * 5000]:
            given = ((variable, value), *(ranks if variable == "RANK" else ()))
            yield Attack("environment", f"train {variable}={value[:9]!r}", TRAIN, check=same_bits, environment=given)
            arguments = ["eval", "--weights", "tiny-mnist", "--samples", "2", "--json"]
            yield Attack("environment", f"eval {variable}={value[:9]!r}", arguments, environment=given)


def owners() -> Iterator[Attack]:
    """Another process is at work in the folder."""
    for name, lock, arguments, before in (
        ("train", "run/.lock", TRAIN, lambda: None),
        ("resume", "run/.lock", RESUME, lambda: None),
        ("repro", "results/.count-quick.lock", ["repro", "count", "--out", "results"], small_study),
    ):
        for _ in range(2):
            yield Attack("owners", name, arguments, functools.partial(_locked, lock), _refused, before=before)


def _locked(lock: str, folder: Path) -> None:
    """A child holds the lock for longer than the command takes."""
    half_done(folder)
    (folder / lock).parent.mkdir(exist_ok=True)
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        return
    with files.owned(folder / lock, UsageError):
        os.write(writer, b"x")
        while folder.exists() and not (folder / "done").exists():
            time.sleep(0.02)
    os._exit(0)


def _refused(folder: Path, ended: Ended) -> list[str]:
    (folder / "done").touch()
    os.wait()
    wrong = [] if ended.code == ExitCode.USAGE and "is in use by process" in ended.err else ["another owner wasn't seen"]
    return wrong + ([] if bits(folder / "run") == reference()[1] else ["the other's weights were changed"])


def signals(seed: int, count: int) -> Iterator[Attack]:
    """A signal at a random moment of a training, and a second one soon after; then it goes on to the same bits."""
    chooser = random.Random(seed)
    for number in range(count):
        what = chooser.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
        times = (chooser.uniform(0, 0.25), chooser.uniform(0, 0.05) if number % 3 == 0 else None)
        arguments, prepare = (TRAIN, lambda folder: None) if number % 2 else (RESUME, half_done)
        check = functools.partial(_interrupted, what == signal.SIGKILL)
        before = functools.partial(_signalled, what, times)
        yield Attack(
            "signals", f"{what.name} after {times[0]:.3f} s of {arguments[3]}", arguments, prepare, check, before=before
        )


def _signalled(number: signal.Signals, times: tuple[float, float | None]) -> None:
    """Have this process sent signals later: by a child, for its own threads may be busy."""
    victim = os.getpid()
    if os.fork():
        return
    time.sleep(times[0])
    for later in (0.0, times[1]):
        if later is not None and os.getppid() == victim:
            time.sleep(later)
            os.kill(victim, number)
    os._exit(0)


def _interrupted(killed: bool, folder: Path, ended: Ended) -> list[str]:
    wrong = []
    if killed and ended.code == -signal.SIGKILL:
        ended.code = ExitCode.INTERRUPTED
        ended.err = "nudge: killed"
    if ended.code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        wrong.append(f"exit code {ended.code}")
    return wrong + train_mend(folder)


def attacks(seed: int = 1) -> list[Attack]:
    """All, in the order of their families."""
    return [*options(), *damaged_files(seed), *environments(), *owners(), *signals(seed, 400)]


def attack(chosen: list[Attack]) -> tuple[Counter[str], list[str], float]:
    """Carry them out: how many of each family, what was wrong, and the seconds of the slowest."""
    assert threading.active_count() == 1
    counts: Counter[str] = Counter()
    wrong, slowest = [], 0.0
    with tempfile.TemporaryDirectory(prefix="nudge-attack-") as place:
        folder = Path(place, "cell")
        for each in chosen:
            folder.mkdir()
            each.prepare(folder)
            start = time.monotonic()
            ended = cell(each.arguments, folder, None, dict(each.environment), each.before)
            slowest = max(slowest, time.monotonic() - start)
            counts[each.family] += 1
            # first, as it may know that the end was meant
            found = each.check(folder, ended)
            found += ended.judge("--json" in each.arguments)
            wrong += [f"{each.family}: {each.name}: {why}: {ended.err[-300:]!r}" for why in found]
            shutil.rmtree(folder)
    return counts, wrong, slowest
