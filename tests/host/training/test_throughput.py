"""The protocol's overhead on a line, and requests in flight that hide an adapter's delay; simulated time."""

import json
import re

import numpy as np
import pytest

from nudge.boards.catalog import board
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import MAX_ASKED, Asked, Command, RegisterRange, Words, readable_words
from nudge.golden.training.data import load
from nudge.host.cli import main as cli
from nudge.host.link import flight
from nudge.host.link.flight import ADAPTER_BYTES
from nudge.host.training.throughput import ADAPTER_DELAY, BAUD, batches, line_share, modelled_line, occupied
from nudge.plumbing.errors import ExitCode

TINY = preset("tiny")
DIGITS = load("embedded").train_images[:256].numpy()
#: Share of its time that a board learns if the window suffices.
BUSY = 0.93


@pytest.mark.parametrize("low", [0, 1])
def test_the_protocol_costs_less_than_3_percent_of_the_baud_rate(low):
    """Images that stuffing can't make shorter; digits take 0.2 to 0.4 of the time of labels and pixels."""
    noise = np.random.default_rng(low).integers(low, 256, DIGITS.shape, np.uint8)
    assert 1.01 < line_share(TINY, noise) < 1.03
    assert 0.2 < line_share(TINY, DIGITS) < 0.4


@pytest.mark.parametrize(("milliseconds", "window"), [(3, 8), (6, 8), (1.5, 16), (1, 32)])
def test_requests_in_flight_keep_a_board_busy_over_the_adapters_delay(milliseconds, window):
    assert (BAUD, ADAPTER_DELAY) == (3e6, 0.016)
    busy = occupied(TINY, DIGITS, milliseconds / 1e3, window=window)
    assert busy > BUSY
    assert occupied(TINY, DIGITS, milliseconds / 1e3, window=1) < 0.3


@pytest.mark.parametrize(
    ("name", "milliseconds"), [("ulx3s", 1), ("ulx3s-45f", 1), ("ulx3s-25f", 1.2), ("orangecrab", 2.2)]
)
def test_boards_with_block_ram_to_spare_stay_busy_at_their_own_rate(name, milliseconds):
    fpga = board(name)
    busy = occupied(TINY, DIGITS, milliseconds / 1e3, window=fpga.facts("tiny").window, baud=fpga.baud)
    assert busy > BUSY
    assert occupied(TINY, DIGITS, milliseconds / 1e3, baud=fpga.baud) < BUSY, "a window of 8 would do"


def test_what_limits_is_the_window_over_the_delay():
    seconds = 1e-3
    busy = occupied(TINY, DIGITS, seconds, window=4)
    assert busy == pytest.approx(4 * seconds / (ADAPTER_DELAY + seconds), rel=0.1)


def most_kept(requests):
    """Bytes that an adapter keeps at most while the host doesn't read for a second at a time."""
    link, port = modelled_line(TINY, 32, BAUD, 1.0, 0.0)
    link.exchange(requests)
    return port.most_kept


REQUESTS = {
    "training": list(batches(DIGITS, 16)),
    "weights": [(Command.READ_WEIGHTS, Words(1, 0, readable_words(configuration(TINY).lanes[1])).encode())]
    * 40,
    "registers": [(Command.READ_REGISTER, RegisterRange(0, 1).encode())] * 40,
    "stored": [(Command.TRAIN_STORED, Asked(0).encode() * MAX_ASKED)] * 40,
}


@pytest.mark.parametrize("requests", REQUESTS)
def test_the_adapters_buffer_holds_all_answers_that_are_due(requests, monkeypatch):
    """A ULX3S has no flow control: whatever its FT231X can't keep while the host is busy is lost."""
    assert most_kept(REQUESTS[requests]) <= ADAPTER_BYTES
    monkeypatch.setattr(flight, "ADAPTER_BYTES", 1 << 20)
    # the window alone bounds short answers
    assert (most_kept(REQUESTS[requests]) > ADAPTER_BYTES) == (requests in ("weights", "stored"))


def test_the_command_prints_both(capsys):
    assert cli.main(["board", "throughput", "--samples", "64", "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert 1 < result["line"]["noise"] < 1.03
    assert 0.2 < result["line"]["digits"] < 0.4
    assert result["busy"]["6"]["8"] > 0.95
    assert cli.main(["board", "throughput", "--samples", "32"]) == ExitCode.OK
    out = capsys.readouterr().out
    shares = re.findall(r"line time on (\w+): (\S+)% of that of bare labels and pixels", out)
    assert [name for name, _ in shares] == ["digits", "noise"]
    assert all(float(share) > 0 for _, share in shares)
