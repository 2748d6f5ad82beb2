"""What can go wrong, one class for each layer. Messages are one line: what, where, and what to do or what is allowed."""


class NudgeError(Exception):
    """Base of all. `host.cli.main.ERRORS` has the exit code of each class."""


class UsageError(NudgeError):
    """Options or values that can't be obeyed."""


class LinkError(NudgeError):
    """The port or what is behind it: no such port, port busy, nothing answers, connection lost, retries used up."""


class IdentityError(NudgeError):
    """Something answers, but it isn't a board that was built for this network and this version."""


class BoardError(NudgeError):
    """The board refused a request (BAD_ORDER, BAD_RANGE), or a golden board would have."""
