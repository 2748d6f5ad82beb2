"""Run a command line: the one place that turns an error into a line and an exit code."""

import signal
import time
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
        """SIGTERM ends a command as Ctrl-C does, so that it stops what it started.

        One that is ending already says why.
        """
        if running:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminate)
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
    except OSError as error:  # such as a full disk
        code, message = ExitCode.USAGE, str(error)
    finally:
        signal.signal(signal.SIGTERM, before)
    note(f"{name}: {' '.join(message.split())}")
    return code
