"""Rows beyond a checkpoint are dropped; a learning curve shows the error over the last samples."""

from nudge.golden.training.metrics import (
    CURVE_PARTS,
    CURVE_SAMPLES,
    Row,
    read_metrics,
    sliding_error,
    write_metrics,
)


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


def test_metrics_beyond_the_checkpoint_are_dropped(tmp_path):
    rows = [Row(epoch, at, 8, 4, 50.0, 1.0) for epoch in (0, 1) for at in (8, 16)]
    write_metrics(tmp_path / "m.csv", rows)
    assert read_metrics(tmp_path / "m.csv", 1, 8) == rows[:3]
    assert read_metrics(tmp_path / "none.csv", 1, 8) == []
