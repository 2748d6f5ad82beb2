"""Parts of a list, for machines that share work without any engine."""

from typing import TypeVar

from nudge.plumbing.errors import UsageError

T = TypeVar("T")

#: Help text of an option that takes a part.
HELP = "Do only each N-th of them from the K-th on: K/N, such as 3/16."


def part(items: list[T], text: str | None, option: str) -> list[T]:
    """Return each N-th item from the K-th on, for a text "K/N"; all for None. The parts 1/N to N/N have each
    item once.

    Raises `UsageError`, with the option's name, unless 1 <= K <= N.
    """
    if text is None:
        return items
    first, _, of = text.partition("/")
    if not (first.isdecimal() and of.isdecimal() and 1 <= int(first) <= int(of)):
        raise UsageError(f"{option} must be K/N with 1 <= K <= N, such as 3/16, not {text!r}")
    return items[int(first) - 1 :: int(of)]
