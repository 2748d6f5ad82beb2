"""The modelled rate of a whole run from a board's memory, compared with the core's, in simulated time."""

import json

import pytest

from nudge.golden.contract.protocol import Command
from nudge.golden.contract.stored import CAPACITY
from nudge.golden.training.data import load
from nudge.host.cli import main as cli
from nudge.host.cli.work.builds import Target, paced_core
from nudge.host.training.end_to_end import PacedBoard, Rates, repeated, run_rates
from nudge.plumbing.errors import ExitCode

DIGITS = load("embedded")

#: Training samples of MNIST.
MNIST = 60_000


def rates(preset: str, samples: int, delay: float, **options: bool) -> Rates:
    core = paced_core(Target("ulx3s", preset))
    return run_rates(core, core.config.spec, repeated(DIGITS, samples), 1, delay, **options)


@pytest.mark.parametrize("preset", ["small", "medium"])
def test_a_run_from_memory_has_97_percent_of_the_cores_rate(preset):
    """Round trips take 16 ms. An epoch's seconds are linear in its samples: two sizes give those of MNIST."""
    few, many = (rates(preset, samples, 0.016) for samples in (1600, 3200))
    assert few.core == pytest.approx(paced_core(Target("ulx3s", preset)).samples_per_second, rel=1e-3)
    seconds = [samples / found.end_to_end for samples, found in ((1600, few), (3200, many))]
    epoch = seconds[0] + (MNIST - 1600) * (seconds[1] - seconds[0]) / 1600
    assert 0.97 < MNIST / epoch / few.core < 1
    assert many.upload is not None
    assert 40 < many.upload * MNIST / 3200 < 50, "upload of MNIST at 3 Mbaud"


def test_streamed_the_line_limits():
    found = rates("small", 600, 0.016, stored=False)
    assert found.upload is None
    assert 1000 < found.end_to_end < 1400


def test_each_batch_is_one_request_and_the_board_hardly_waits():
    board = PacedBoard(paced_core(Target("ulx3s", "small")), CAPACITY)
    board.execute(Command.TRAIN_STORED, bytes(4 * 32))
    core = board.core
    assert 32 * core.training < board.seconds() * core.clock_hz < 32.3 * core.training


def test_the_command_prints_the_rates(capsys):
    command = ["board", "throughput", "--stored", "--preset", "medium", "--target", "ulx3s"]
    assert cli.main([*command, "--samples", "400", "--epochs", "1", "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert result["core_samples_per_second"] == paced_core(Target("ulx3s", "medium")).samples_per_second
    assert [found["delay"] for found in result["latencies"]] == [0.001, 0.016]
    assert result["end_to_end_samples_per_second"] == result["latencies"][1]["end_to_end"]
    assert 0.2 < result["upload_seconds"] < 0.5
    assert cli.main(["board", "throughput", "--stored", "--preset", "wide"]) == ExitCode.USAGE
    assert cli.main(["board", "throughput", "--stored", "--samples", "0"]) == ExitCode.USAGE
