"""Runs a command line, and turns each error into one line and an exit code; no other place does so."""

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

from nudge.golden.training.ranks import Ranks
from nudge.plumbing import progress
from nudge.plumbing.errors import ExitCode, NudgeError, ToolError
from nudge.plumbing.progress import note
from nudge.plumbing.signals import heard

from .ending import at_once

#: Seconds by which the other processes delay their end after an error, so that the first can report
#: it: torchrun ends all processes as soon as one has ended.
REPORT_SECONDS = 10.0

#: Seconds after which a lost interrupt is sent again.
AGAIN_SECONDS = 0.05


def run_together(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """`run` in one or several processes of torchrun, of which only the first prints notes."""
    try:
        first = Ranks.of_environment().first
    except NudgeError:
        first = True  # the command checks this again, and reports the error
    if not first:
        progress.silence()
    code = run(app, name, arguments)
    if not first and code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        time.sleep(REPORT_SECONDS)
    return code


def run(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command line and return its exit code. name: the beginning of error messages."""
    running = True

    def interrupt(number: int, frame: FrameType | None) -> None:
        """Let SIGTERM and SIGHUP (a closed terminal) end a command as Ctrl-C does, so it stops its children.

        A command that is ending already is left to report its own reason.
        """
        if running:
            raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in heard()}
    for number in before:
        signal.signal(number, interrupt)
    hook = sys.unraisablehook

    def unraisable(found: "sys.UnraisableHookArgs") -> None:
        """Send an interrupt again that was lost in a callback from C; report anything else as before."""
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
                # typer's int, which prints nothing; a command that stopped in good order returns an ExitCode
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
        # typer's end after completion, or if the reader of standard output has gone: nothing to report
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
    """Context in which a command imports large packages, so that `--help` and completion don't wait for them.

    An interrupt ends the process at once, with one line, as an exception may be lost in the middle of an
    import. A missing or damaged package raises `ToolError`.
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
    """Return a line about an unexpected error; its traceback is written to a log file, if possible."""
    # torch has a message of its own
    memory = isinstance(error, MemoryError) or "can't allocate memory" in str(error)
    what = "out of memory" if memory else f"unexpected {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="nudge-", suffix=".log", delete=False) as log:
            log.write(f"{' '.join(sys.argv)}\n")
            traceback.print_exception(error, file=log)
    except Exception:
        return what
    return f"{what}; please report it with {log.name}"
