"""What fuzzers share: as many examples as a test says, times `$NUDGE_FUZZ`; a failure prints what replays it."""

import os
from collections.abc import Callable

from hypothesis import HealthCheck, settings

#: Multiplies the examples of every fuzzer: 1 in the tests, 10 in `make evidence`.
FACTOR = int(os.environ.get("NUDGE_FUZZ", "1"))


def examples(count: int) -> settings:
    """Settings of hypothesis: the same examples each time, none of which has to be quick."""
    slow = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(max_examples=count * FACTOR, deadline=None, derandomize=True, suppress_health_check=slow, print_blob=True)


def ends(action: Callable[[], object], *errors: type[Exception], says: str = "") -> None:
    """Do it; if it ends in one of these errors, it must be one line that says so."""
    try:
        action()
    except errors as error:
        message = str(error)
    else:
        return
    assert "\n" not in message
    assert says in message
