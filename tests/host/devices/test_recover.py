"""`nudge train` on a board that is reset, unplugged or hit by radiation: its messages, and equal final bits.

The board is the golden model behind the protocol; each event happens before a batch that the test names."""

import json
import random
from contextlib import contextmanager

import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import Command
from nudge.golden.contract.stored import LOG_AT
from nudge.golden.training import checkpoint, recover
from nudge.host.cli import main as cli
from nudge.host.devices import open as opening
from nudge.host.training import fit
from nudge.plumbing.errors import ExitCode, LinkError
from sim.rigs.link.soak import Attacked
from sim.rigs.modelled.modelled import Modelled

TINY = preset("tiny")
CONFIG = configuration(TINY)
STEPS = ["--free-steps", "8", "--nudged-steps", "8"]
TRAIN = ["train", "--board", "socket://model", "--samples", "64", "--batch", "8", "--seed", "3", *STEPS]


class Bench(Modelled):
    """A board that commands open at any port. events: batch number to event, which occurs once before it."""

    kind = Attacked

    def __init__(self, events: dict[int, str], capacity: int = 0):
        super().__init__(CONFIG, capacity)
        self.schedule = {batch: [event] for batch, event in events.items()}
        self.batches = self.opened = 0

    def gone(self):
        self.opened += 1
        raise LinkError("model: no such port")

    @contextmanager
    def opening(self, *arguments):
        self.opened += 1
        with self.open() as board:
            board.target, board.schedule, board.batch = self, self.schedule, self.batches
            board.settle()
            try:
                yield board
            finally:
                self.batches = board.batch


@pytest.fixture
def bench(monkeypatch):
    def make(events, capacity=0):
        made = Bench(events, capacity)
        monkeypatch.setattr(fit, "open_board", made.opening)
        monkeypatch.setattr(opening, "open_unknown", made.opening)
        monkeypatch.setattr(recover, "FIRST_WAIT", 0.0)
        return made

    return make


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert cli.main(["train", "--board", "golden", *TRAIN[3:], "--out", str(out)]) == ExitCode.OK
    return masters(out)


def masters(out) -> list[list[int]]:
    _, parameters, _ = checkpoint.load(out / "weights.safetensors")
    return [tensor.flatten().tolist() for tensor in [*parameters.weights, *parameters.biases]]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("reset", "model: the board was reset: it doesn't know "),
        ("disconnect", "model: writing failed: connection lost"),
    ],
)
def test_a_lost_board_is_named_and_resume_ends_with_the_same_bits(
    bench, tmp_path, capsys, undisturbed, event, message
):
    bench({3: event})
    assert cli.main([*TRAIN, "--out", str(tmp_path)]) == ExitCode.LINK
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error
    assert error.endswith("weights.safetensors holds the state after 0 samples: `nudge resume` continues it")
    assert cli.main(["resume", "--board", "socket://model", str(tmp_path)]) == ExitCode.OK
    assert masters(tmp_path) == undisturbed


def test_recover_goes_on_by_itself(bench, tmp_path, capsys, undisturbed):
    made = bench({2: "disconnect", 4: "reset", 6: "disconnect"})
    assert cli.main([*TRAIN, "--recover", "5", "--json", "--out", str(tmp_path)]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert (result["recovered"], result["samples"], made.opened) == (3, 64, 4)
    assert masters(tmp_path) == undisturbed


def test_recover_gives_up_after_so_many(bench, tmp_path, capsys):
    bench(dict.fromkeys(range(100), "disconnect"))
    assert cli.main([*TRAIN, "--recover", "2", "--out", str(tmp_path)]) == ExitCode.LINK
    assert "connection lost" in capsys.readouterr().err.splitlines()[-1]


def test_a_flipped_bit_is_found_at_the_next_commit_named_and_repaired(bench, tmp_path, capsys, undisturbed):
    bench({5: "flip"})
    twin = [*TRAIN, "--twin"]
    assert cli.main([*twin, "--out", str(tmp_path / "a")]) == ExitCode.DIFFERENT
    error = capsys.readouterr().err.splitlines()[-1]
    assert "prediction" in error or "bundle" in error
    assert "board" in error
    bench({5: "flip"})
    assert cli.main([*twin, "--recover", "1", "--json", "--out", str(tmp_path / "b")]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert (result["recovered"], result["equal"]) == (1, True)
    assert masters(tmp_path / "b") == undisturbed


def test_status_compares_digests_with_a_file_and_names_the_weight(bench, tmp_path, capsys):
    made = bench({})
    assert cli.main([*TRAIN, "--out", str(tmp_path)]) == ExitCode.OK
    weights = str(tmp_path / "weights.safetensors")
    ask = ["board", "status", "--board", "socket://model", "--weights", weights]
    capsys.readouterr()
    assert cli.main([*ask, "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert result["equal"]
    assert len(result["digests"]) == len(TINY.bundles)
    assert result["board"]["frames"] > 64
    assert cli.main(ask) == ExitCode.OK
    assert f"bit-identical: board == {weights} (6810 weights)" in capsys.readouterr().out
    made.device.flip(random.Random(5))
    assert cli.main(ask) == ExitCode.DIFFERENT
    error = capsys.readouterr().err
    assert "nudge: bundle " in error
    assert "(1 of 6810 values differ)" in error
    # resuming writes every weight to the board again
    assert cli.main(["resume", "--board", "socket://model", "--epochs", "2", str(tmp_path)]) == ExitCode.OK
    assert cli.main(ask) == ExitCode.OK


def test_status_of_a_board_in_the_middle_of_a_batch_has_no_digests(capsys, monkeypatch):
    made = Bench({})

    @contextmanager
    def unsettled(url, others=()):
        with made.open() as board:
            made.device.model.pending = 3
            yield board

    monkeypatch.setattr(opening, "open_unknown", unsettled)
    assert cli.main(["board", "status", "--board", "socket://model", "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert (result["digests"], result["board"]["pending"]) == ([], 3)


MOVED = [*TRAIN, "--shift", "1", "--flip", "--epochs", "2"]


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    out = tmp_path_factory.mktemp("moved")
    assert cli.main(["train", "--board", "golden", *MOVED[3:], "--out", str(out)]) == ExitCode.OK
    return masters(out)


@pytest.mark.parametrize("options", [[], ["--stream"], ["--twin"]])
def test_a_run_from_the_boards_memory_is_the_streamed_one(bench, tmp_path, capsys, moved, options):
    made = bench({}, 1 << 20)
    assert cli.main([*MOVED, *options, "--json", "--out", str(tmp_path)]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert masters(tmp_path) == moved
    assert (result["upload_seconds"] is None) == ("--stream" in options)
    assert result["end_to_end_samples_per_second"] == result["samples_per_second"] > 0
    assert result["core_samples_per_second"] is None, "a model has no clock"
    assert made.device.store.count == (0 if "--stream" in options else 64 + 500)


def test_damaged_samples_are_stored_again_without_being_asked_to_recover(bench, tmp_path, capsys, moved):
    made = bench({3: "damage"}, 1 << 20)
    assert cli.main([*MOVED, "--json", "--out", str(tmp_path)]) == ExitCode.OK
    said = capsys.readouterr()
    assert masters(tmp_path) == moved
    assert json.loads(said.out)["recovered"] == 1
    assert "in its memory is damaged and has to be stored again; " in said.err
    assert "of them stored in" in said.err
    assert made.opened == 2


def lost_while_storing(bench, *numbers):
    """Cut the link at the STOREs of these numbers, from 1; return a list that gets an item for each STORE."""
    execute, stored = bench.device.protocol.execute, []

    def cutting(command, payload):
        if command is Command.STORE:
            stored.append(len(payload))
            if len(stored) in numbers:
                bench.port.cut()
        return execute(command, payload)

    bench.device.protocol.execute = cutting
    return stored


def test_an_upload_that_is_lost_goes_on_where_it_stood(bench, tmp_path, capsys, moved):
    """An upload of training samples, before the first checkpoint, and one of test samples."""
    made = bench({}, 1 << 20)
    whole = lost_while_storing(made)
    assert cli.main([*MOVED, "--out", str(tmp_path / "a")]) == ExitCode.OK
    made = bench({}, 1 << 20)
    stored = lost_while_storing(made, 6, 60)
    capsys.readouterr()
    assert cli.main([*MOVED, "--recover", "2", "--json", "--out", str(tmp_path / "b")]) == ExitCode.OK
    said = capsys.readouterr()
    assert json.loads(said.out)["recovered"] == 2
    assert "connection lost; beginning again, 2 more times at most" in said.err
    assert "connection lost; going back to the checkpoint, 1 more times at most" in said.err
    assert masters(tmp_path / "b") == masters(tmp_path / "a") == moved
    assert made.device.store.count == 64 + 500
    assert len(whole) <= len(stored) < len(whole) + 4, "only the rest"


def test_without_recover_a_lost_upload_ends_the_run(bench, tmp_path, capsys):
    lost_while_storing(bench({}, 1 << 20), 6)
    assert cli.main([*MOVED, "--out", str(tmp_path / "a")]) == ExitCode.LINK
    assert "connection lost" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "a").exists()


def test_a_board_that_was_never_there_is_not_waited_for(bench, tmp_path, capsys, monkeypatch):
    made = bench({})
    monkeypatch.setattr(fit, "open_board", lambda *arguments: made.gone())
    assert cli.main([*TRAIN, "--recover", "5", "--out", str(tmp_path)]) == ExitCode.LINK
    assert made.opened == 1


def test_a_memory_that_is_damaged_again_and_again_ends_the_run(bench, tmp_path, capsys):
    made = bench(dict.fromkeys(range(400), "damage"), 1 << 20)
    assert cli.main([*MOVED, "--out", str(tmp_path)]) == ExitCode.BOARD
    error = capsys.readouterr().err.splitlines()[-1]
    assert "in its memory is damaged" in error
    assert error.endswith("`nudge resume` continues it")
    assert made.opened == recover.DAMAGED + 1


def test_sets_that_do_not_fit_are_streamed_and_it_is_said(bench, tmp_path, capsys, moved):
    made = bench({}, 2 * LOG_AT + 1000)
    execute, seen = made.device.protocol.execute, set()

    def noting(command, payload):
        seen.add(command)
        return execute(command, payload)

    made.device.protocol.execute = noting
    assert cli.main([*MOVED, "--out", str(tmp_path)]) == ExitCode.OK
    assert masters(tmp_path) == moved
    line = "64 training samples take 0.5 MB, the board's memory has 0.5 MB: all samples are streamed"
    assert line in capsys.readouterr().err.splitlines()
    assert Command.STORE not in seen


def test_info_and_status_tell_of_the_memory(bench, capsys):
    bench({}, 1 << 20)
    assert cli.main(["board", "info", "--board", "socket://model", "--json"]) == ExitCode.OK
    result = json.loads(capsys.readouterr().out)
    assert (result["identity"]["capacity"], result["registers"]["stored"]) == (1 << 20, 0)
    assert cli.main(["board", "info", "--board", "socket://model"]) == ExitCode.OK
    assert "capacity" in capsys.readouterr().out
    assert cli.main(["board", "status", "--board", "socket://model", "--json"]) == ExitCode.OK
    board = json.loads(capsys.readouterr().out)["board"]
    assert (board["bad_image"], board["not_stored"], board["store_end"]) == (0, 0, LOG_AT)
