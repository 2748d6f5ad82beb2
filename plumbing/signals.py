"""Signals that ask a process to end. It imports nothing large, since handlers are installed first."""

import signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heard() -> list[signal.Signals]:
    """Return the signals of `ENDING` that this process wasn't started to ignore, as by nohup."""
    return [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
