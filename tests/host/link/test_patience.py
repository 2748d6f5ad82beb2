"""After trouble the link sends again at once, then waits longer and longer, up to a second."""

import pytest

from nudge.host.link.patience import PROMPT, QUIET, SLOW, quiet


@pytest.mark.parametrize("attempts", range(PROMPT))
def test_the_first_tries_follow_at_once_when_all_answers_are_in(attempts):
    assert quiet(attempts, 0) == 0.0
    assert quiet(attempts, 1) == QUIET


def test_later_ones_wait_twice_as_long_each_time():
    assert [quiet(PROMPT + n, 0) for n in range(6)] == [QUIET, 2 * QUIET, 4 * QUIET, 8 * QUIET, 1.0, 1.0]
    assert [quiet(PROMPT + n, 9) for n in range(2)] == [QUIET, 2 * QUIET]


def test_a_slow_board_is_waited_for():
    assert quiet(0, 1, 3.0) == SLOW * 3.0
    assert quiet(0, 0, 3.0) == 0.0
    assert quiet(PROMPT + 9, 0, 3.0) == SLOW * 3.0
