"""`run` turns errors and interrupts into a line and an exit code."""

import ctypes
import os
import signal
import time

import pytest
import typer

from nudge.host.cli.run import run
from nudge.plumbing.errors import ExitCode, LinkError


class DyingError(LinkError):
    """An error that sends this process SIGTERM while it is printed, as torchrun does if a process ends."""

    def __str__(self) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "a process ended"


def ends(error: BaseException) -> int:
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    return run(app, "nudge", [])


def test_a_command_that_is_ending_says_why_in_spite_of_sigterm(capsys):
    before = signal.getsignal(signal.SIGTERM)
    assert ends(DyingError()) == ExitCode.LINK
    assert capsys.readouterr().err == "nudge: a process ended\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_an_interrupt_has_its_own_code_and_line(capsys):
    assert ends(KeyboardInterrupt()) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "nudge: interrupted\n"


@pytest.mark.usefixtures("heard")
def test_an_interrupt_that_a_library_swallows_comes_again(capsys):
    app = typer.Typer()

    @app.command()
    def work() -> None:
        callback = ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGINT))
        callback()
        time.sleep(60)

    start = time.monotonic()
    assert run(app, "nudge", []) == ExitCode.INTERRUPTED
    assert time.monotonic() - start < 30
    assert capsys.readouterr().err == "nudge: interrupted\n"
