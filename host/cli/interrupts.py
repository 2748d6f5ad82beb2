"""The signals that end a command. Imports nothing large: they are heard before anything else is there."""

import signal

#: What interrupts a command. One that this process was started to ignore, as by nohup, stays ignored.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
