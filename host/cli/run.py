"""Run a command line: the one place that turns an error into a line and an exit code."""

import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from typer.exceptions import TyperException

from golden.training.ranks import Ranks
from plumbing import progress
from plumbing.errors import ExitCode, NudgeError, ToolError
from plumbing.progress import note
from plumbing.signals import heard

from .ending import at_once

#: Seconds that the other processes leave the first to say what is wrong: torchrun ends all when
#: one has ended.
REPORT_SECONDS = 10.0

#: Seconds after which an interrupt that was lost comes again.
AGAIN_SECONDS = 0.05


def run_together(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """`run` where torchrun may have started several processes: the first one speaks."""
    try:
        first = Ranks.of_environment().first
    except NudgeError:
        first = True  # the command asks again, and says what is wrong
    if not first:
        progress.silence()
    code = run(app, name, arguments)
    if not first and code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        time.sleep(REPORT_SECONDS)
    return code


def run(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command line; the exit code. name: what error messages begin with."""
    running = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGHUP, of a terminal that is closed, ends a command as Ctrl-C does, so that it stops what it started.

        One that is ending already says why.
        """
        if running:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in heard()}
    for number in before:
        signal.signal(number, interrupt)
    hook = sys.unraisablehook

    def unraisable(found: "sys.UnraisableHookArgs") -> None:
        """An interrupt in a callback from C is lost there: it comes again, soon. Anything else is told as before."""
        if not issubclass(found.exc_type, KeyboardInterrupt):
            hook(found)
        elif before:
            again = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), next(iter(before))))
            again.daemon = True
            again.start()

    sys.unraisablehook = unraisable
    try:
        try:
            found = app(args=arguments, prog_name=name, standalone_mode=False) or ExitCode.OK
            if type(found) is int and found == ExitCode.INTERRUPTED:
                # typer's own, which says nothing; a command that was stopped in good order returns ours
                raise KeyboardInterrupt
            return found
        finally:
            running = False
    except TyperException as error:
        code, message = ExitCode.USAGE, error.format_message()
    except KeyboardInterrupt:
        code, message = ExitCode.INTERRUPTED, "interrupted"
    except NudgeError as error:
        code, message = error.exit_code, str(error)
    except SystemExit as end:
        # typer's way out after completion, or where whoever read standard output has gone: nobody is left to tell
        return ExitCode.USAGE if end.code else ExitCode.OK
    except OSError as error:  # such as a full disk
        code, message = ExitCode.USAGE, str(error)
    except Exception as error:
        code, message = ExitCode.FAULT, fault(error)
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
    note(f"{name}: {' '.join(message.split())}")
    return code


@contextmanager
def importing() -> Iterator[None]:
    """While entered, a command imports what is large: `--help` and completion wait for none of it.

    An interrupt ends the process in one line, for in the middle of an import an exception may be lost. A package that is
    missing or damaged is a `ToolError`.
    """
    before = {number: signal.getsignal(number) for number in heard()}
    try:
        for number in before:
            signal.signal(number, at_once)
        yield
    except ImportError as error:
        raise ToolError(f"a package is missing or damaged: {error}: make setup") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def fault(error: Exception) -> str:
    """A line about an error that nothing foresaw; where it came from is written to a file, as far as one can be."""
    # torch has its own words for it
    memory = isinstance(error, MemoryError) or "can't allocate memory" in str(error)
    what = "out of memory" if memory else f"unexpected {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="nudge-", suffix=".log", delete=False) as log:
            log.write(f"{' '.join(sys.argv)}\n")
            traceback.print_exception(error, file=log)
    except Exception:
        return what
    return f"{what}; please report it with {log.name}"
