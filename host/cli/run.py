"""Run a command line: the one place that turns an error into a line and an exit code."""

import signal
import sys
import tempfile
import time
import traceback
from types import FrameType

import typer
from typer.exceptions import TyperException

from golden import progress
from golden.contract.errors import ExitCode, NudgeError
from golden.progress import note
from golden.training.processes import World

#: Seconds that the other processes leave the first to say what is wrong: torchrun ends all when
#: one has ended.
REPORT_SECONDS = 10.0


def run_together(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """`run` where torchrun may have started several processes: the first one speaks."""
    first = World.of_environment().first
    if not first:
        progress.silence()
    code = run(app, name, arguments)
    if not first and code not in (ExitCode.OK, ExitCode.INTERRUPTED):
        time.sleep(REPORT_SECONDS)
    return code


def run(app: typer.Typer, name: str, arguments: list[str] | None) -> int:
    """Run a command line; the exit code. name: what error messages begin with."""
    running = True

    def terminate(number: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGHUP ends a command as Ctrl-C does, so that it stops what it started.

        One that is ending already says why.
        """
        if running:
            raise KeyboardInterrupt

    # a terminal that is closed ends a command as Ctrl-C does, too
    before = {number: signal.signal(number, terminate) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        try:
            return app(args=arguments, prog_name=name, standalone_mode=False) or ExitCode.OK
        finally:
            running = False
    except TyperException as error:
        code, message = ExitCode.USAGE, error.format_message()
    except KeyboardInterrupt:
        code, message = ExitCode.INTERRUPTED, "interrupted"
    except NudgeError as error:
        code, message = error.exit_code, str(error)
    except SystemExit:
        # typer's way out where whoever read standard output has gone: nobody is left to tell
        return ExitCode.USAGE
    except OSError as error:  # such as a full disk
        code, message = ExitCode.USAGE, str(error)
    except Exception as error:
        code, message = ExitCode.FAULT, fault(error)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    note(f"{name}: {' '.join(message.split())}")
    return code


def fault(error: Exception) -> str:
    """A line about an error that nothing foresaw; where it came from is written to a file, as far as one can be."""
    what = "out of memory" if isinstance(error, MemoryError) else f"unexpected {type(error).__name__}: {error}"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="nudge-", suffix=".log", delete=False) as log:
            log.write(f"{' '.join(sys.argv)}\n")
            traceback.print_exception(error, file=log)
    except OSError:
        return what
    return f"{what}; please report it with {log.name}"
