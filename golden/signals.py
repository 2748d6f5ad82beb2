"""The signals that ask a process to end. Imports nothing large: they are heard before anything else is there."""

import signal

#: One that this process was started to ignore, as by nohup, stays ignored.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
