"""The error of a learning curve is over the last samples."""

from golden.training.metrics import CURVE_PARTS, CURVE_SAMPLES, Row, sliding_error


def rows(*errors, samples=10):
    return [Row(0, samples * n, samples, wrong, 0.0, 0.0) for n, wrong in enumerate(errors, start=1)]


def test_all_samples_count_while_they_are_few():
    last, seen, percent = sliding_error(rows(10, 0, 5))
    assert (last, seen, percent) == (CURVE_SAMPLES, [10, 20, 30], [100.0, 50.0, 50.0])


def test_then_the_last_ones_count():
    last, _, percent = sliding_error(rows(*[10] * 10, *[0] * 10))
    assert last == CURVE_SAMPLES
    assert percent == [100.0] * 10 + [10.0 * n for n in reversed(range(10))]


def test_a_long_run_has_a_longer_part():
    last, seen, _ = sliding_error(rows(*[1] * CURVE_PARTS * 20))
    assert last == seen[-1] // CURVE_PARTS == 200
