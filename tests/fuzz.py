"""Helpers for fuzzers: `$NUDGE_FUZZ` multiplies their examples; a failure prints the blob that replays it."""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings

#: Multiplies the examples of every fuzzer: 1 in the tests, 10 in `make evidence`.
FACTOR = int(os.environ.get("NUDGE_FUZZ", "1"))


def examples(count: int) -> settings:
    """Return hypothesis settings: `count` times FACTOR examples, the same each time, without a time limit."""
    slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(
        max_examples=count * FACTOR,
        deadline=None,
        derandomize=True,
        suppress_health_check=slow,
        print_blob=True,
    )


def ends(action: Callable[[], object], *errors: type[Exception], says: str = "") -> None:
    """Call `action`; if it raises one of `errors`, the message must be one line that contains `says`."""
    try:
        action()
    except errors as error:
        message = str(error)
    else:
        return
    assert "\n" not in message
    assert says in message
