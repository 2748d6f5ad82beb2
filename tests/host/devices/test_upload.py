"""A data set in a modelled board's memory: which samples are stored when, and training from the memory."""

import random
from dataclasses import replace

import numpy as np
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import RECORDS_PAYLOAD, Asked, Command
from nudge.golden.contract.stored import LOG_AT, record, record_digest
from nudge.golden.contract.stuffing import stuff
from nudge.golden.model.parameters import initial
from nudge.golden.training.batch import Batch
from nudge.golden.training.data import Data, load
from nudge.golden.training.plan import Plan
from nudge.host.devices.held import Held
from nudge.host.devices.upload import records_of
from nudge.plumbing.errors import BoardError, ImageError, LinkError
from sim.rigs.modelled.modelled import Modelled

TINY = preset("tiny")
CONFIG = configuration(TINY)
DATA = load("embedded")
#: 600 training samples take 130 kB, 500 test samples 110 kB.
TRAIN = 600
CAPACITY = 2 * LOG_AT + (1 << 18)


class Bench(Modelled):
    """A modelled board. `stores` returns the number of STOREs since its last call."""

    def __init__(self, capacity: int = CAPACITY):
        super().__init__(CONFIG, capacity)

    def stores(self) -> int:
        count, self.executed[:] = self.executed.count(Command.STORE), []
        return count


@pytest.fixture
def bench():
    return Bench()


def right(bench: Bench) -> bool:
    """Return whether the memory holds the training and test samples."""
    records = records_of(DATA, TRAIN, 500)
    return all(bench.device.store.digest(n, 1) == record_digest([data]) for n, data in enumerate(records))


def test_a_second_upload_stores_nothing(bench, capsys):
    with bench.open() as board:
        held = board.hold(DATA, TRAIN, test=True)
    assert held == Held(DATA, TRAIN, 500, held.seconds)
    assert right(bench)
    size = sum(map(len, records_of(DATA, TRAIN, 500)))
    assert size / RECORDS_PAYLOAD < bench.stores() < 1.25 * size / RECORDS_PAYLOAD, "frames are full"
    says = capsys.readouterr().err.splitlines()
    assert (
        says[-1] == "the board's memory holds 600 training and 500 test samples, 1100 of them stored in 0.0 s"
    )
    assert any(line.startswith("upload: 1100/1100") and "0.2 of 0.2 MB" in line for line in says)
    with bench.open() as board:
        board.hold(DATA, TRAIN, test=True)
    assert bench.stores() == 0
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .endswith("600 training and 500 test samples, all of them from before")
    )


def test_an_upload_that_was_cut_goes_on_where_it_stood(bench):
    write, frames = bench.port.write, 0

    def cut(data: bytes) -> None:
        nonlocal frames
        frames += 1
        if frames == 150:
            bench.port.cut()
        write(data)

    bench.port.write = cut
    with pytest.raises(LinkError, match="connection lost"), bench.open() as board:
        board.hold(DATA, TRAIN, test=True)
    before, there = bench.stores(), bench.device.store.count
    assert 100 < before < 150
    with bench.open() as board:
        board.hold(DATA, TRAIN, test=True)
    assert right(bench)
    assert bench.device.store.count == TRAIN + 500
    assert bench.stores() < 1.1 * before * (TRAIN + 500 - there) / there, "only the rest"


def test_test_samples_come_when_they_are_asked_for(bench):
    with bench.open() as board:
        assert board.hold(DATA, TRAIN) == Held(DATA, TRAIN, 0)
        first = bench.stores()
        assert board.hold(DATA, TRAIN, test=True) == Held(DATA, TRAIN, 500)
        assert right(bench)
        assert 0 < bench.stores() < first, "the training samples stay"
        assert board.hold(DATA, TRAIN) == Held(DATA, TRAIN, 0)
    assert bench.device.store.count == TRAIN + 500


def test_damage_is_stored_again_and_nothing_else(bench):
    with bench.open() as board:
        board.hold(DATA, TRAIN, test=True)
        bench.stores()
        end = bench.device.store.end
        bench.device.flip_stored(random.Random(4))
        assert not right(bench)
        board.hold(DATA, TRAIN, test=True)
    assert right(bench)
    assert bench.stores() == 1
    assert end < bench.device.store.end < end + 200, "one record"


def test_where_the_log_is_full_everything_is_stored_anew():
    size = sum(map(len, records_of(DATA, TRAIN, 500)))
    bench, stores = Bench(2 * LOG_AT + size + 600), []
    with bench.open() as board:
        for seed in range(6):
            board.hold(DATA, TRAIN, test=True)
            assert right(bench)
            stores.append(bench.stores())
            bench.device.flip_stored(random.Random(seed))
    assert stores[0] == max(stores)
    assert stores[1] == 1
    assert stores.count(max(stores)) == 2, "once, when there was no room for one more"


def test_another_data_set_takes_the_place_of_the_old_one(bench):
    mirrored = DATA._replace(train_images=DATA.train_images.flip(2), test_images=DATA.test_images.flip(2))
    with bench.open() as board:
        board.hold(mirrored, TRAIN, test=True)
        assert not right(bench)
        board.hold(DATA, TRAIN, test=True)
    assert right(bench)
    assert bench.device.store.count == TRAIN + 500


@pytest.mark.parametrize(
    ("room", "train", "test", "says"),
    [
        (1 << 18, 600, 500, "holds 600 training and 500 test samples"),
        (1 << 17, 500, 0, "holds 500 training samples (no room for the 500 test samples)"),
        (
            1 << 16,
            None,
            0,
            "500 training samples take 0.6 MB, the board's memory has 0.6 MB: all samples are streamed",
        ),
    ],
)
def test_what_fits(capsys, room, train, test, says):
    bench = Bench(2 * LOG_AT + room)
    with bench.open() as board:
        held = board.hold(DATA, train or 500, test=True)
        assert says in capsys.readouterr().err.splitlines()[-1]
        if train is None:
            assert held is None
            assert bench.stores() == 0
        else:
            assert held is not None
            assert (held.train, held.test) == (train, test)


def test_a_board_without_memory_is_asked_nothing():
    bench = Bench(0)
    with bench.open() as board:
        before = bench.port.sent
        assert board.hold(DATA, TRAIN, test=True) is None
        assert bench.port.sent == before
        assert "stored" not in board.registers()


def test_a_memory_that_keeps_nothing_is_named(bench):
    append = bench.device.store.append

    def forgetful(index, record):
        return append(index, record[:-1] + bytes([record[-1] ^ (index == 7)]))

    bench.device.store.append = forgetful
    with bench.open() as board:
        with pytest.raises(
            BoardError, match=r"^model: its memory doesn't keep samples: 1 of 1100 differ after 3 uploads$"
        ):
            board.hold(DATA, TRAIN, test=True)


def test_which_batches_are_asked_for(bench):
    held = Held(DATA, 600, 500)
    plan = Plan.of(TINY, "embedded", 600, shift=4, flip=True)
    batch = plan.batch_of(DATA, 0, np.array([3, 599]))
    assert batch.moves is not None
    moves = zip(*(part.tolist() for part in batch.moves), strict=True)
    assert held.asked(batch) == [Asked(number, *move) for number, move in zip((3, 599), moves, strict=True)]
    assert held.asked(Batch(DATA, np.array([499]), test=True)) == [Asked(1099)]
    assert held.asked(Batch(DATA, np.array([600]))) is None
    assert replace(held, test=0).asked(Batch(DATA, np.array([0]), test=True)) is None
    other = Data(*(tensor.clone() for tensor in DATA))
    assert held.asked(Batch(other, np.array([0]))) is None, "images that only look alike"


def test_the_label_and_the_moves_of_the_memory_are_those_of_the_data(bench):
    """Predictions of every stored test sample, and of moved training samples, equal the streamed ones."""
    with bench.open() as board:
        board.load(initial(TINY, 3))
        plan = Plan.of(TINY, "embedded", TRAIN, shift=3, flip=True, free_steps=8, nudged_steps=8)
        board.write_settings(plan.settings(TINY)[0])
        batches = [Batch(DATA, np.arange(at, at + 250), test=True) for at in (0, 250)]
        batches.append(plan.batch_of(DATA, 0, np.arange(100)))
        streamed = np.concatenate(list(board.infer_batches(batches)))
        board.hold(DATA, TRAIN, test=True)
        board.clear()
        bench.executed.clear()
        assert np.array_equal(np.concatenate(list(board.infer_batches(batches))), streamed)
        assert set(bench.executed) == {Command.INFER_STORED}
        assert board.read_register("errors") == sum(
            int((part != batch.labels).sum())
            for part, batch in zip(np.split(streamed, [250, 500]), batches, strict=True)
        )


def test_a_damaged_sample_is_named(bench):
    with bench.open() as board:
        board.hold(DATA, TRAIN, test=True)
        board.load(initial(TINY, 3))
        flipped = bench.device.store.words
        at = int.from_bytes(flipped[4 * 77 : 4 * 77 + 4], "little")
        bench.device.store.flip(at + 10, 1)
        with pytest.raises(
            ImageError, match=r"^model: sample 77 in its memory is damaged and has to be stored again$"
        ):
            list(board.train_batches([Batch(DATA, np.array([5, 77, 6]))]))
        assert board.read_register("bad_image") == 1
        board.held = Held(DATA, TRAIN + 1, 500)
        with pytest.raises(BoardError, match=r"^model: the board refused INFER_STORED: NOT_STORED$"):
            list(board.infer_batches([Batch(DATA, np.array([499]), test=True)]))


def test_records_are_in_the_order_of_their_indices():
    records = records_of(DATA, 2, 3)
    assert len(records) == 5
    train, last = (DATA.train_images, DATA.train_labels), (DATA.test_images, DATA.test_labels)
    for n, ((images, labels), number) in enumerate([(train, 0), (train, 1), (last, 0)]):
        pixels = images[number].numpy().tobytes()
        assert records[n] == record(n, int(labels[number]), pixels, stuff(pixels))
