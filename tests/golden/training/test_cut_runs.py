"""Runs that are cut, continued, averaged or lose their board end with the weights of uninterrupted runs."""

from dataclasses import replace

import pytest
import torch

from nudge.golden.training import checkpoint
from nudge.golden.training import metrics as report
from nudge.golden.training.recover import train
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.golden import GoldenBoard
from nudge.plumbing.errors import LinkError, PlanError, WeightsError

from .cut_run import CONFIG, DATA, PLAN, SPEC, After, saved, weights

AVERAGED = replace(PLAN, epochs=4, average=3)


def averaged(out, plan=AVERAGED) -> Run:
    run = Run.begin(plan, SPEC, out)
    train(run, GoldenBoard(CONFIG), DATA, Stop())
    return run


@pytest.mark.parametrize("batches", [1, 5, 6, 7])
def test_a_run_cut_anywhere_ends_with_the_weights_of_a_whole_one(tmp_path, batches):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(Run.begin(PLAN, SPEC, whole), GoldenBoard(CONFIG), DATA, Stop())
    first = Run.begin(PLAN, SPEC, cut)
    train(first, GoldenBoard(CONFIG), DATA, After(batches))
    assert 0 < first.done < PLAN.epochs * PLAN.samples
    again = Run.resume(cut)
    assert again.done == first.done
    train(again, GoldenBoard(CONFIG), DATA, Stop())
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(cut), strict=True))
    rows = [report.read_metrics(out / "metrics.csv", 9, 0) for out in (whole, cut)]
    assert [replace(row, seconds=0) for row in rows[0]] == [replace(row, seconds=0) for row in rows[1]]


def test_more_epochs_continue_a_finished_run(tmp_path):
    train(Run.begin(replace(PLAN, epochs=1), SPEC, tmp_path / "a"), GoldenBoard(CONFIG), DATA, Stop())
    train(Run.resume(tmp_path / "a", 2), GoldenBoard(CONFIG), DATA, Stop())
    train(Run.begin(PLAN, SPEC, tmp_path / "b"), GoldenBoard(CONFIG), DATA, Stop())
    assert all(
        torch.equal(a, b) for a, b in zip(weights(tmp_path / "a"), weights(tmp_path / "b"), strict=True)
    )


def test_a_run_ends_with_the_mean_of_its_last_epochs(tmp_path):
    """The mean is that of runs that end after those epochs, rounded half up.

    The board holds it too, and the files of the averaged epochs remain.
    """
    board, several = GoldenBoard(CONFIG), []
    for epochs in (2, 3, 4):
        train(Run.begin(replace(PLAN, epochs=epochs), SPEC, tmp_path / str(epochs)), board, DATA, Stop())
        several.append(weights(tmp_path / str(epochs)))
    train(Run.begin(AVERAGED, SPEC, tmp_path / "mean"), board, DATA, Stop())
    found, read = weights(tmp_path / "mean"), board.read()
    for n, (value, held) in enumerate(zip(found, [*read.weights, *read.biases], strict=True)):
        total = torch.stack([each[n] for each in several]).sum(0)
        assert torch.equal(value, torch.floor(total.double() / 3 + 0.5).long())
        assert torch.equal(value, held)
    assert not torch.equal(found[0], several[-1][0])
    last = checkpoint.load(tmp_path / "mean" / "epoch-4.safetensors")[1]
    assert torch.equal(last.weights[0], several[-1][0])


@pytest.mark.parametrize("batches", [5, 13, 18, 20, 24])
def test_a_run_that_averages_resumes_to_the_same_mean(tmp_path, batches):
    averaged(tmp_path / "whole")
    cut = Run.begin(AVERAGED, SPEC, tmp_path / "cut")
    train(cut, GoldenBoard(CONFIG), DATA, After(batches))
    train(Run.resume(tmp_path / "cut"), GoldenBoard(CONFIG), DATA, Stop())
    assert all(
        torch.equal(a, b) for a, b in zip(weights(tmp_path / "whole"), weights(tmp_path / "cut"), strict=True)
    )


def test_a_mean_can_not_be_made_of_other_weights(tmp_path):
    averaged(tmp_path)
    with pytest.raises(
        PlanError, match=r"^--epochs 5: the run in .* averages the last of 4; leave it out to resume$"
    ):
        Run.resume(tmp_path, 5)
    averaged(tmp_path / "other", replace(AVERAGED, seed=9))
    (tmp_path / "other" / "epoch-3.safetensors").rename(tmp_path / "epoch-3.safetensors")
    with pytest.raises(WeightsError, match=r"epoch-3.safetensors: not of this run after 3 epochs$"):
        Run.resume(tmp_path)
    (tmp_path / "epoch-3.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"^no weights at .*epoch-3.safetensors"):
        Run.resume(tmp_path)
    for average in (0, 5):
        with pytest.raises(PlanError, match=f"^--average must be 1..4, not {average}$"):
            replace(AVERAGED, average=average).settings(SPEC)


def test_the_command_that_began_a_run_stays_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["nudge", "train", "--epochs", "1"])
    train(Run.begin(replace(PLAN, epochs=1), SPEC, tmp_path), GoldenBoard(CONFIG), DATA, Stop())
    before = checkpoint.load(tmp_path / "weights.safetensors")[2].command
    assert before.endswith("train --epochs 1")
    monkeypatch.setattr("sys.argv", ["nudge", "resume"])
    train(Run.resume(tmp_path, 2), GoldenBoard(CONFIG), DATA, Stop())
    assert checkpoint.load(tmp_path / "weights.safetensors")[2].command == before


class Unplugged(GoldenBoard):
    """A board whose third commit fails."""

    commits = 0

    def commit(self):
        self.commits += 1
        if self.commits > 2:
            raise LinkError("/dev/ttyUSB0: reading failed")
        return super().commit()


def test_a_lost_board_leaves_what_was_saved(tmp_path):
    run = Run.begin(PLAN, SPEC, tmp_path)
    run.every = 0
    message = (
        f"/dev/ttyUSB0: reading failed; {tmp_path}/weights.safetensors holds the state after 16 "
        "samples: `nudge resume`"
    )
    with pytest.raises(LinkError, match=message):
        train(run, Unplugged(CONFIG), DATA, Stop())
    assert Run.resume(tmp_path).done == 16


def test_resume_to_fewer_epochs_is_refused(tmp_path):
    saved(tmp_path)
    run = Run.resume(tmp_path, 3)
    train(run, GoldenBoard(CONFIG), DATA, Stop())
    with pytest.raises(PlanError, match="already trained 3 epochs"):
        Run.resume(tmp_path, 2)
