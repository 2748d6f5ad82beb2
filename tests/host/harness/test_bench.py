"""Which of a sample's cycles the next sample hides."""

from golden.contract.config import Config, configuration
from golden.contract.presets import preset
from host.harness.bench import update_left

TINY = preset("tiny")


def test_the_update_goes_on_until_the_next_samples_window():
    config, before_window = configuration(TINY), 1 - TINY.schedule.window / 12
    assert update_left(config, 1000.0, 100.0, 1200.0, 12) == 1000 - 100 - before_window * 1200
    assert update_left(config, 300.0, 100.0, 1200.0, 12) == 0


def test_the_compact_core_hides_nothing():
    assert update_left(Config(TINY, (1, 1, 1), compact=True), 300.0, 100.0, 1200.0, 12) == 300
