"""The training loop, the twin, weight files and reports, without the command line."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from golden.contract.config import configuration
from golden.contract.errors import ComparisonError, LinkError, PlanError, WeightsError
from golden.contract.presets import preset
from golden.model.parameters import Parameters, initial
from golden.training import checkpoint
from golden.training import metrics as report
from golden.training.data import load
from golden.training.plan import Plan
from golden.training.recover import train
from golden.training.run import Run
from golden.training.stop import Stop
from host.boards.golden import GoldenBoard
from host.harness.compare import Fault, Twin, check, compare

SPEC = preset("tiny")
CONFIG = configuration(SPEC)
DATA = load("embedded")
PLAN = Plan("tiny", "embedded", samples=44, epochs=2, batch=8, seed=5, lr_scale=1.0, beta=0.5, free_steps=8, nudged_steps=8)


class After(Stop):
    """Asks for a stop after so many batches: it is asked once after each."""

    def __init__(self, batches: int):
        super().__init__()
        self.left = batches

    def __bool__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def weights(out) -> list[torch.Tensor]:
    _, parameters, _ = checkpoint.load(out / "weights.safetensors")
    return [*parameters.weights, *parameters.biases]


@pytest.mark.parametrize("batches", [1, 5, 6, 7])
def test_a_run_cut_anywhere_ends_with_the_weights_of_a_whole_one(tmp_path, batches):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(Run.begin(PLAN, SPEC, whole), GoldenBoard(CONFIG), DATA, Stop())
    first = Run.begin(PLAN, SPEC, cut)
    train(first, GoldenBoard(CONFIG), DATA, After(batches))
    assert 0 < first.done < PLAN.epochs * PLAN.samples
    again = Run.resume(cut, {})
    assert again.done == first.done
    train(again, GoldenBoard(CONFIG), DATA, Stop())
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(cut), strict=True))
    rows = [report.read_metrics(out / "metrics.csv", 9, 0) for out in (whole, cut)]
    assert [replace(row, seconds=0) for row in rows[0]] == [replace(row, seconds=0) for row in rows[1]]


def test_more_epochs_continue_a_finished_run(tmp_path):
    train(Run.begin(replace(PLAN, epochs=1), SPEC, tmp_path / "a"), GoldenBoard(CONFIG), DATA, Stop())
    train(Run.resume(tmp_path / "a", {"epochs": 2}), GoldenBoard(CONFIG), DATA, Stop())
    train(Run.begin(PLAN, SPEC, tmp_path / "b"), GoldenBoard(CONFIG), DATA, Stop())
    assert all(torch.equal(a, b) for a, b in zip(weights(tmp_path / "a"), weights(tmp_path / "b"), strict=True))


AVERAGED = replace(PLAN, epochs=4, average=3)


def averaged(out, plan=AVERAGED) -> Run:
    run = Run.begin(plan, SPEC, out)
    train(run, GoldenBoard(CONFIG), DATA, Stop())
    return run


def test_a_run_ends_with_the_mean_of_its_last_epochs(tmp_path):
    """That of the runs that end there, rounded half up; the board holds it, and each epoch's weights stay beside it."""
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
    train(Run.resume(tmp_path / "cut", {}), GoldenBoard(CONFIG), DATA, Stop())
    assert all(torch.equal(a, b) for a, b in zip(weights(tmp_path / "whole"), weights(tmp_path / "cut"), strict=True))


def test_a_mean_can_not_be_made_of_other_weights(tmp_path):
    averaged(tmp_path)
    with pytest.raises(PlanError, match=r"^--epochs 5: the run in .* averages the last of 4; leave it out to resume$"):
        Run.resume(tmp_path, {"epochs": 5})
    averaged(tmp_path / "other", replace(AVERAGED, seed=9))
    (tmp_path / "other" / "epoch-3.safetensors").rename(tmp_path / "epoch-3.safetensors")
    with pytest.raises(WeightsError, match=r"epoch-3.safetensors: not of this run after 3 epochs$"):
        Run.resume(tmp_path, {})
    (tmp_path / "epoch-3.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"^no weights at .*epoch-3.safetensors"):
        Run.resume(tmp_path, {})
    for average in (0, 5):
        with pytest.raises(PlanError, match=f"^--average must be 1..4, not {average}$"):
            replace(AVERAGED, average=average).settings(SPEC)


def test_the_command_that_began_a_run_stays_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["nudge", "train", "--epochs", "1"])
    train(Run.begin(replace(PLAN, epochs=1), SPEC, tmp_path), GoldenBoard(CONFIG), DATA, Stop())
    before = checkpoint.load(tmp_path / "weights.safetensors")[2].command
    assert before.endswith("train --epochs 1")
    monkeypatch.setattr("sys.argv", ["nudge", "train", "--resume"])
    train(Run.resume(tmp_path, {"epochs": 2}), GoldenBoard(CONFIG), DATA, Stop())
    assert checkpoint.load(tmp_path / "weights.safetensors")[2].command == before


def test_metrics_beyond_the_checkpoint_are_dropped(tmp_path):
    rows = [report.Row(epoch, at, 8, 4, 50.0, 1.0) for epoch in (0, 1) for at in (8, 16)]
    report.write_metrics(tmp_path / "m.csv", rows)
    assert report.read_metrics(tmp_path / "m.csv", 1, 8) == rows[:3]
    assert report.read_metrics(tmp_path / "none.csv", 1, 8) == []


def test_rates_shrink_by_the_decay_each_epoch():
    settings = replace(PLAN, lr_scale=2.0, decay=0.5).settings(SPEC)
    for registers, scale in zip(settings, (2.0, 1.0), strict=True):
        pairs = zip(SPEC.bundles, SPEC.learning.rates, strict=True)
        assert registers.weight_rates == tuple(SPEC.rate(b, lr=scale * lr, beta=0.5, batch=8) for b, lr in pairs)


def test_shifted_images_depend_on_seed_epoch_and_number_alone():
    plan, numbers = replace(PLAN, shift=2), np.arange(20)
    whole = plan.images(DATA, 1, numbers)
    parts = [plan.images(DATA, 1, numbers[::-1][i : i + 7].copy()) for i in (0, 7, 14)]
    assert np.array_equal(whole[::-1], np.concatenate(parts))
    assert not np.array_equal(whole, plan.images(DATA, 0, numbers))
    original = DATA.train_images[:20].numpy()
    padded = np.pad(original, ((0, 0), (2, 2), (2, 2)))
    moves = [(y, x) for y in range(5) for x in range(5)]
    found = []
    for image, frame in zip(whole, padded, strict=True):
        found.append({(y, x) for y, x in moves if np.array_equal(frame[y : y + 28, x : x + 28], image)})
    assert all(found), "an image was not just moved"
    assert len(set().union(*found)) > 8, "always the same few moves"


def test_flipped_images_are_mirrored_or_not():
    plan, numbers = replace(PLAN, flip=True), np.arange(60)
    original = DATA.train_images[:60].numpy()
    whole = plan.images(DATA, 1, numbers)
    mirrored = [np.array_equal(image, before[:, ::-1]) for image, before in zip(whole, original, strict=True)]
    kept = [np.array_equal(image, before) for image, before in zip(whole, original, strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 15 < sum(mirrored) < 45
    assert np.array_equal(whole[::-1], plan.images(DATA, 1, numbers[::-1].copy()))
    # how far an image moves is the same with and without
    moved = replace(PLAN, shift=2).images(DATA, 1, numbers)
    for image, before in zip(replace(PLAN, shift=2, flip=True).images(DATA, 1, numbers), moved, strict=True):
        assert np.array_equal(image, before) or np.array_equal(image, before[:, ::-1])


class Faulty(GoldenBoard):
    """A board with a defect in one quantity."""

    def __init__(self, quantity: str):
        super().__init__(CONFIG)
        self.quantity = quantity

    def train(self, images, labels):
        predictions = super().train(images, labels)
        if self.quantity == "prediction":
            predictions[3] = (predictions[3] + 1) % 10
        if self.quantity == "spikes":
            self.model.spikes[1] += 1
        return predictions

    def commit(self):
        count = super().commit()
        if self.quantity in ("weight", "bias"):
            masters = self.model.parameters.weights if self.quantity == "weight" else self.model.parameters.biases
            masters[1].view(-1)[7] ^= 1
        return count

    def digest(self):
        good = super().digest()
        return (good[0] ^ 1, *good[1:]) if self.quantity == "digest" else good


@pytest.mark.parametrize(
    ("quantity", "message"),
    [
        ("prediction", r"after 0 equal ones, prediction 3: board \d, golden \d \(1 of 8"),
        ("weight", r"after commit 1: bundle 2 weight 7 \[0, 7\]: board -?\d+, golden -?\d+ \(1 of 6810"),
        ("bias", r"after commit 1: bundle 2 bias 7: board -?\d+, golden -?\d+ \(1 of 6810"),
        ("spikes", r"spikes of layer 2: board \d+, golden \d+ \(1 of 2"),
        ("digest", r"commit 1: digests \(.*\), golden \(.*\), though all weights read equal"),
    ],
)
def test_the_twin_names_what_differs(quantity, message):
    with pytest.raises(ComparisonError, match=message):
        compare(Faulty(quantity), replace(PLAN, epochs=1, samples=16), DATA)


def test_a_difference_ends_training(tmp_path):
    with pytest.raises(ComparisonError, match="prediction 3"):
        train(Run.begin(PLAN, SPEC, tmp_path), Twin(Faulty("prediction")), DATA, Stop())


class Unplugged(GoldenBoard):
    """A board that is gone after two batches."""

    commits = 0

    def commit(self):
        self.commits += 1
        if self.commits > 2:
            raise LinkError("/dev/ttyUSB0: reading failed")
        return super().commit()


def test_a_lost_board_leaves_what_was_saved(tmp_path):
    run = Run.begin(PLAN, SPEC, tmp_path)
    run.every = 0
    message = f"/dev/ttyUSB0: reading failed; {tmp_path}/weights.safetensors holds the state after 16 samples: --resume"
    with pytest.raises(LinkError, match=message):
        train(run, Unplugged(CONFIG), DATA, Stop())
    assert Run.resume(tmp_path, {}).done == 16


def test_check_counts_all_and_names_the_first():
    golden = np.arange(6).reshape(2, 3)
    assert check([("x", golden.copy(), golden), ("y", golden, golden)]) == 12
    board = golden.copy()
    board[1] += 1
    with pytest.raises(ComparisonError, match=r"^y 3 \[1, 0\]: board 4, golden 3 \(3 of 12 values differ\)$"):
        check([("x", golden, golden), ("y", board, golden)])


@pytest.mark.parametrize("bit", [0, 14, 15])
def test_a_fault_flips_one_bit(bit):
    board = GoldenBoard(CONFIG)
    board.load(initial(SPEC, 1))
    before = board.read()
    Fault(1, 4, bit).inject(board)
    after = board.read()
    assert (int(before.weights[0].view(-1)[4]) ^ int(after.weights[0].view(-1)[4])) & 0xFFFF == 1 << bit
    pairs = zip(before.weights + before.biases, after.weights + after.biases, strict=True)
    assert sum(int((a != b).sum()) for a, b in pairs) == 1


def saved(tmp_path):
    run = Run.begin(replace(PLAN, epochs=1, samples=8), SPEC, tmp_path)
    train(run, GoldenBoard(CONFIG), DATA, Stop())
    return run.weights


def test_weights_of_another_shape_or_type_are_refused(tmp_path):
    path = saved(tmp_path)
    _, _, found = checkpoint.load(path)
    metadata = checkpoint.content(path, checkpoint.MAX_BYTES)[1]
    tensors = load_file(path)

    def forge(tensors, metadata):
        save_file(tensors, tmp_path / "bad", metadata | {"digest": checkpoint.digest(tensors, metadata)})

    large = torch.zeros(4, 1, 5, 5, dtype=torch.int16)
    for name, wrong, message in (
        ("bundle1.weight", large, r"bundle1.weight is \(4, 1, 5, 5\), tiny needs \(4, 1, 3, 3\)"),
        ("bundle2.bias", tensors["bundle2.bias"].float(), "not int16"),
        ("bundle3.weight", torch.zeros(1, dtype=torch.int16), "bundle3.weight"),
    ):
        forge(tensors | {name: wrong}, metadata)
        with pytest.raises(WeightsError, match=message):
            checkpoint.load(tmp_path / "bad")
    forge(tensors, metadata | {"spec": "1"})
    with pytest.raises(WeightsError, match=rf"spec 00000001\), not tiny \(spec {SPEC.identity:08x}"):
        checkpoint.load(tmp_path / "bad")
    save_file(tensors, tmp_path / "bad")
    with pytest.raises(WeightsError, match="format"):
        checkpoint.load(tmp_path / "bad")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="no safetensors"):
        checkpoint.load(path)
    assert found.preset == "tiny"


def test_a_changed_bit_anywhere_is_noticed(tmp_path):
    """Of the tensors, of the metadata or of safetensors' own header; zeros instead of tensors too."""
    path = saved(tmp_path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    places = [*range(0, header, 7), *range(header, len(content), 499), len(content) - 1]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = checkpoint.load(path)
        except WeightsError:
            continue
        # spaces behind the header are no content
        assert content[place] == ord(" "), f"byte {place} was changed and {found} was read"
    path.write_bytes(content[:header] + bytes(len(content) - header))
    with pytest.raises(WeightsError, match="is damaged: its content isn't that of its digest; take an earlier copy"):
        checkpoint.load(path)


def test_a_file_of_before_there_were_digests(tmp_path):
    path = saved(tmp_path)
    metadata = checkpoint.content(path, checkpoint.MAX_BYTES)[1]
    old = {name: value for name, value in metadata.items() if name not in ("digest", "network")}
    tensors = load_file(path)
    save_file(tensors, path, old | {"format": checkpoint.OLD_FORMAT})
    assert checkpoint.load(path)[0] == SPEC
    save_file(tensors, path, old)
    with pytest.raises(WeightsError, match="is damaged"):
        checkpoint.load(path)
    save_file(tensors, path, old | {"format": checkpoint.OLD_FORMAT, "preset": '"mine"'})
    with pytest.raises(WeightsError, match="is of preset 'mine': this version has tiny, small"):
        checkpoint.load(path)


def test_uncommitted_masters_are_not_saved(tmp_path):
    path = saved(tmp_path)
    _, parameters, found = checkpoint.load(path)
    wide = Parameters((parameters.weights[0] + (1 << 16), parameters.weights[1]), parameters.biases)
    with pytest.raises(WeightsError, match="commit before"):
        checkpoint.save(path, SPEC, wide, found)
    assert torch.equal(checkpoint.load(path)[1].weights[0], parameters.weights[0])


def test_resume_to_fewer_epochs_is_refused(tmp_path):
    saved(tmp_path)
    run = Run.resume(tmp_path, {"epochs": 3})
    train(run, GoldenBoard(CONFIG), DATA, Stop())
    with pytest.raises(PlanError, match="already trained 3 epochs"):
        Run.resume(tmp_path, {"epochs": 2})
