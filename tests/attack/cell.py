"""Cells: each runs a `nudge` command in its own folder, in a fork of a process that has imported everything.

Used by `python -m tests.attack ...`, never inside a test runner's process, which has threads.
"""

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nudge.plumbing.errors import ExitCode

#: Kinds of calls that can fail, with their bits, which are those of shim.cpp.
KINDS = {
    "open": 1,
    "read": 2,
    "write": 4,
    "sync": 8,
    "rename": 16,
    "names": 32,
    "start": 64,
    "memory": 128,
    "lock": 256,
}

#: Most characters that a command may print.
MOST_SAID = 1 << 16

#: Seconds after which a command counts as hung; each takes less than one here.
PATIENCE = 60.0


@dataclass(frozen=True)
class Fault:
    """The call of a command that fails."""

    number: int  #: index of the failing call, from 1; 0: no call fails
    kinds: int  #: bits of the kinds of calls that are counted, and may fail
    half: bool = False  #: a failing write writes half of its data
    stays: bool = False  #: later writes fail too, as on a full disk
    trace: Path | None = None  #: file that records the changes to the files of `root`
    root: Path = Path("/")


@dataclass
class Ended:
    """How a command ended."""

    code: int | None  #: exit code, or minus a signal's number; None if it hung
    out: str
    err: str
    calls: int = 0
    #: Kind of the call that failed, 0 for none.
    failed: int = 0
    complaints: list[str] = field(default_factory=list)

    def judge(self, as_json: bool = False, memory: bool = False) -> list[str]:
        """Return the broken rules, of those that hold for every command whatever is done to it."""
        wrong = list(self.complaints)
        if self.code is None:
            wrong.append("it hangs")
        elif self.code < 0:
            wrong.append(f"it ended by signal {-self.code}")
        elif self.code not in list(ExitCode) or (self.code == ExitCode.FAULT and not memory):
            wrong.append(f"exit code {self.code}")
        if "Traceback" in self.err or "Exception ignored" in self.err:
            wrong.append("a traceback")
        last = self.err.splitlines()[-1] if self.err.strip() else ""
        if self.code and self.code > 0 and not last.startswith("nudge: ") and not self.out:
            wrong.append(f"exit code {self.code}, no line says why: {last!r}")
        if any(not c.isprintable() and c != "\n" for c in self.out + self.err):
            wrong.append("control characters")
        if len(self.out + self.err) > MOST_SAID:
            wrong.append(f"{len(self.out + self.err)} characters of output")
        if as_json and self.out and (self.out.count("\n") != 1 or not self.out.startswith("{")):
            wrong.append("no JSON object on standard output")
        return wrong


def shim() -> ctypes.CDLL | None:
    """Return the library that intercepts system calls, or None if it isn't loaded."""
    library = ctypes.CDLL(None)
    return library if "LD_PRELOAD" in os.environ and hasattr(library, "attack_arm") else None


def cell(
    arguments: list[str],
    folder: Path,
    fault: Fault | None = None,
    environment: Mapping[str, str | None] = {},
    before: Callable[[], None] = lambda: None,
    patience: float = PATIENCE,
) -> Ended:
    """Run a command in a folder, in a fork of this process.

    environment: variables to set, or None to unset; {folder} in a value is the folder. before: called in the
    fork just before the command.
    """
    from nudge.host.cli import main as cli
    from nudge.host.cli import start
    from nudge.plumbing.signals import ENDING

    texts = [folder.parent / f"{folder.name}.{name}" for name in ("out", "err", "count")]
    number = os.fork()
    if not number:
        code = 99
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            for descriptor, path in enumerate([Path(os.devnull), *texts[:2]]):
                opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
                os.dup2(opened, descriptor)
                os.close(opened)
            os.chdir(folder)
            for name, value in environment.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value.replace("{folder}", str(folder))
            for interrupt in ENDING:
                signal.signal(interrupt, start.at_once)
            before()
            library = shim()
            if fault is not None:
                assert library is not None
                trace = -1 if fault.trace is None else os.open(fault.trace, os.O_WRONLY | os.O_CREAT)
                library.attack_arm(
                    ctypes.c_long(fault.number),
                    fault.kinds,
                    fault.half,
                    fault.stays,
                    os.fsencode(fault.root),
                    trace,
                )
            code = cli.main(arguments)
            for interrupt in ENDING:
                signal.signal(interrupt, signal.SIG_IGN)
            sys.stdout.flush()
            sys.stderr.flush()
            if library is not None:
                library.attack_disarm()
                texts[2].write_text(f"{library.attack_count()} {library.attack_failed()}")
        except BaseException:
            library = shim()
            if library is not None:
                library.attack_disarm()
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    status = _waited(number, patience)
    out, err = (path.read_text(errors="surrogateescape") if path.exists() else "" for path in texts[:2])
    ended = Ended(status, out, err)
    if texts[2].exists():
        ended.calls, ended.failed = map(int, texts[2].read_text().split())
    for path in texts:
        path.unlink(missing_ok=True)
    return ended


def _waited(number: int, patience: float) -> int | None:
    """Return a child's exit code, or minus its signal, or None if it hung and was killed."""
    deadline = time.monotonic() + patience
    while True:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            return None
        time.sleep(0.001)


def warm(pictures: bool) -> None:
    """Do the one-time work of a command here, so that each fork inherits it.

    pictures: whether commands draw pictures, which takes most of their time here and 10,000 calls that read
    fonts; if not, `Figure.savefig` writes one picture that is drawn here.
    """
    import torch
    from matplotlib.figure import Figure

    from nudge.golden.model import native_check
    from nudge.golden.training import data, loop
    from nudge.golden.training.curve import plot_curve
    from nudge.golden.training.metrics import Row
    from nudge.host.cli import main

    assert main.app is not None
    torch.set_num_threads(1)
    loop.CHECKPOINT_SHARE = float("inf")  # save at the end of each epoch, however short
    loop.WATCH_SECONDS = -1.0  # show each commit, however soon after the last one
    native_check.usable()
    data.load("embedded")
    scratch = Path(os.environ["NUDGE_BUILD"])
    scratch.mkdir(parents=True, exist_ok=True)
    plot_curve(scratch / "warm.png", [Row(0, 1, 1, 1, 100.0, 1.0)], [], "warm", 1.0)
    if not pictures:
        drawn = (scratch / "warm.png").read_bytes()

        def write(self: Figure, path: Path, **options: object) -> None:
            path.write_bytes(drawn)

        Figure.savefig = write  # type: ignore[method-assign, assignment]


def compiled_shim() -> Path:
    """Return the path of the shim, which is compiled if the build cache lacks it."""
    from nudge.plumbing.cache import cached
    from nudge.plumbing.children import run
    from nudge.plumbing.compiler import compiler

    source = Path(__file__).with_name("shim.cpp")

    def make(folder: Path, log: Path) -> None:
        words = [
            str(compiler()),
            "-std=c++17",
            "-O1",
            "-shared",
            "-fPIC",
            "-o",
            str(folder / "shim.so"),
            str(source),
            "-ldl",
        ]
        assert run(words, 300).returncode == 0

    return cached("attack", [source.read_text()], make) / "shim.so"


def restart_with_shim() -> None:
    """Restart this process with the shim loaded, unless it is loaded."""
    if shim() is None:
        settings = {"LD_PRELOAD": str(compiled_shim()), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], os.environ | settings)
