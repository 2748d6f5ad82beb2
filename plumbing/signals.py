"""The signals that ask a process to end. Imports nothing large: they are heard before anything else is there."""

import signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heard() -> list[signal.Signals]:
    """Those of `ENDING` that this process wasn't started to ignore, as by nohup: that stays so."""
    return [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
