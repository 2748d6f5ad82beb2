"""What others wrote - answers on a port, weight files, metrics, data sets - ends in one of the host's errors, in bounded time
and memory, whatever is in it."""

import ast
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from golden.contract.config import configuration
from golden.contract.errors import DataError, ExitCode, IdentityError, MetricsError, NudgeError, PlanError, WeightsError
from golden.contract.presets import preset
from golden.contract.protocol import (
    ANSWER,
    ANSWER_PAYLOAD,
    ASKED_BYTES,
    VALUE_BYTES,
    VERSION,
    Command,
    Identity,
    Status,
)
from golden.model.parameters import initial
from golden.model.settings import Settings
from golden.training import checkpoint, data
from golden.training import metrics as report
from golden.training.batch import Batch
from golden.training.run import Run
from host.boards.serial import SerialBoard
from host.cli import main as cli
from host.harness.fault_port import Clock, FaultPort
from host.harness.fault_proxy import FaultProxy
from host.harness.protocol_model import ProtocolModel
from host.link import frame
from host.link.link import Link
from tests.fuzz import examples
from tests.sockets import listening

TINY = preset("tiny")
IDENTITY = Identity("tiny", TINY.identity, 48_000_000, 1, configuration(TINY).lanes)
ROOM = ANSWER_PAYLOAD

#: Seconds of the port's time in which every session must end.
DEADLINE = 600.0


def session(port: FaultPort) -> None:
    """What a host asks of a board."""
    with SerialBoard.over(Link(port, "port", clock=port.clock, draw=lambda most: 0), TINY) as board:
        board.settle()
        board.registers()
        board.write_settings(Settings.of(TINY))
        board.load(initial(TINY, 1))
        board.train(np.zeros((3, 28, 28), np.uint8), np.arange(3))
        board.commit()
        board.digest()
        board.read()


class Babbler(FaultPort):
    """Says the next of its lines whenever it is written to, or read from in vain; in the end nothing."""

    def __init__(self, lines: list[bytes]):
        super().__init__(None, Clock())
        self.lines = lines[::-1]

    def write(self, data: bytes) -> None:
        if self.lines:
            self.say(self.lines.pop())

    def read(self, size: int) -> bytes:
        if not self._sending and self.timeout and self.lines:
            self.say(self.lines.pop())
        return super().read(size)


def encoded(sequence: int, command: int, status: int, payload: bytes) -> bytes:
    """An answer on the wire."""
    return frame.encode_answer(bytes((VERSION, sequence, command | ANSWER, status)) + payload)


def ends(action: Callable[[], object], *errors: type[Exception], says: str = "") -> None:
    """Do it; if it ends in one of these errors, it must be one line that says so."""
    try:
        action()
    except errors as error:
        message = str(error)
    else:
        return
    assert "\n" not in message
    assert says in message


#: Bodies that could be answers: the right version, a number that a host draws (1 and on), any command and status.
answers = st.builds(
    encoded,
    st.integers(0, 12),
    st.sampled_from(list(Command)) | st.integers(0, 127),
    st.sampled_from([*Status, max(Status) + 1, 255]),
    st.binary(max_size=ROOM) | st.just(IDENTITY.encode()),
)
lines = answers | st.binary(max_size=300) | answers.map(lambda data: data[:-3] + data[-2:])


@examples(150)
@given(st.lists(lines, max_size=40))
def test_whatever_a_port_says_ends_in_an_error_or_well(said):
    port = Babbler(said)
    with pytest.raises(NudgeError):
        session(port)
    assert port.clock.now < DEADLINE


@examples(100)
@given(st.lists(st.tuples(st.sampled_from(Status), st.binary(max_size=ROOM)), min_size=1, max_size=60), st.booleans())
def test_a_board_that_answers_nonsense_is_told_apart(replies, lengths):
    """lengths: answers at least have the length that they should."""
    sizes = {Command.READ_REGISTER: 4, Command.COMMIT: 6, Command.TRAIN: 5, Command.DIGEST: 4}
    count = 0

    def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
        nonlocal count
        status, answer = replies[count % len(replies)]
        count += 1
        if lengths:
            size = payload[-1] * 2 * IDENTITY.lanes[payload[0]] if command is Command.READ_WEIGHTS else sizes.get(command, 0)
            return Status.OK, answer.ljust(size, b"\7")[:size]
        return status, answer if status is Status.OK else b""

    port = FaultPort(ProtocolModel(IDENTITY, execute), Clock())
    ends(lambda: session(port), NudgeError)
    assert port.clock.now < DEADLINE


def stored_session(port: FaultPort) -> None:
    """What a host asks of a board with memory for samples."""
    digits = data.load("embedded")
    few = data.Data(*(tensor[:6] for tensor in digits))
    with SerialBoard.over(Link(port, "port", clock=port.clock, draw=lambda most: 0), TINY) as board:
        board.hold(few, 6)
        list(board.train_batches(Batch(few, np.arange(6)) for _ in range(3)))
        board.hold(few, 6, test=True)
        list(board.infer_batches([Batch(few, np.arange(6), test=True)]))


@examples(60)
@given(st.lists(st.tuples(st.sampled_from(Status), st.binary(max_size=ROOM)), min_size=1, max_size=60), st.booleans())
def test_a_board_with_memory_that_answers_nonsense_is_told_apart(replies, lengths):
    """lengths: answers at least have the length that they should, and nothing is refused but a damaged sample."""
    count = 0

    def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
        nonlocal count
        status, answer = replies[count % len(replies)]
        count += 1
        if lengths:
            samples = len(payload) // ASKED_BYTES
            if status is Status.BAD_IMAGE and command in (Command.TRAIN_STORED, Command.INFER_STORED):
                return status, answer[: samples + VALUE_BYTES]
            sizes = {Command.TRAIN_STORED: samples + 4, Command.INFER_STORED: samples + 4, Command.STORE: 0}
            sizes |= {Command.WRITE_REGISTER: 0, Command.COMMIT: 6, Command.TRAIN: 5, Command.INFER: 5}
            size = sizes.get(command, VALUE_BYTES)
            return Status.OK, answer.ljust(size, b"\7")[:size]
        return status, answer if status in (Status.OK, Status.BAD_IMAGE) else b""

    port = FaultPort(ProtocolModel(replace(IDENTITY, capacity=1 << 20), execute), Clock())
    ends(lambda: stored_session(port), NudgeError)
    assert port.clock.now < DEADLINE


@examples(200)
@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: IDENTITY.encode()[:6] + tail))
def test_any_identity_is_taken_or_refused(payload):
    try:
        identity = Identity.decode(payload)
    except ValueError:
        return
    assert identity.encode() == payload


@pytest.mark.parametrize("lanes", [(), (1, 2), (0, 0, 0), (255, 255, 255)])
def test_impossible_lanes_are_refused(lanes):
    port = FaultPort(ProtocolModel(replace(IDENTITY, lanes=lanes), lambda command, payload: (Status.OK, b"")), Clock())
    with pytest.raises(IdentityError, match="not a nudge board"):
        session(port)


def test_a_prediction_is_a_class():
    def execute(command: Command, payload: bytes) -> tuple[Status, bytes]:
        return Status.OK, b"\12\0\0\0\0"

    port = FaultPort(ProtocolModel(IDENTITY, execute), Clock())
    with SerialBoard.over(Link(port, "port", clock=port.clock), TINY) as board:
        with pytest.raises(IdentityError, match=r"it predicts 10, not 0\.\.9"):
            board.infer(np.zeros((1, 28, 28), np.uint8), [0])


def test_a_port_that_never_stops_talking_is_given_up():
    class Endless(FaultPort):
        def read(self, size: int) -> bytes:
            self.clock.now += 1e-3
            return bytes((7,)) * size

    port = Endless(None, Clock())
    with pytest.raises(NudgeError, match="bytes came, but no answer"):
        session(port)
    assert port.clock.now < DEADLINE


# --- files


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A checkpoint."""
    out = tmp_path_factory.mktemp("run")
    arguments = ["--board", "golden", "--samples", "16", "--batch", "8", "--free-steps", "8", "--nudged-steps", "8"]
    assert cli.main(["train", *arguments, "--out", str(out)]) == ExitCode.OK
    return out / "weights.safetensors"


def opened(path) -> None:
    """What `eval` and `train --resume` do with a file."""
    checkpoint.load(path)[2].registers()
    Run.resume(path.parent, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bad")


def parts(path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    return checkpoint.content(path, checkpoint.MAX_BYTES)


def forge(tensors: dict[str, torch.Tensor], path: Path, metadata: dict[str, str]) -> None:
    """A file of somebody who knows how its digest is made."""
    save_file(tensors, path, metadata | {"digest": checkpoint.digest(tensors, metadata)})


@examples(300)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6), st.floats(0.02, 1.3))
def test_a_damaged_weight_file_is_an_error_or_as_good(good, folder, changes, kept):
    """Bytes changed anywhere, half of them in the header, and the file cut or made longer."""
    content = bytearray(good.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for n, (at, value) in enumerate(changes):
        size = (header, len(content))[n % 2]
        content[min(int(at * size), size - 1)] = value
    if kept < 1:
        del content[int(kept * len(content)) :]
    elif kept > 1.2:
        content += bytes(100)
    path = folder / "weights.safetensors"
    path.write_bytes(content)
    ends(lambda: opened(path), WeightsError, PlanError, MetricsError)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@examples(300)
@given(st.data())
def test_metadata_of_any_type_is_an_error_or_as_good(good, folder, draw):
    tensors, metadata = parts(good)
    name = draw.draw(st.sampled_from(sorted(checkpoint.Checkpoint.__dataclass_fields__)))
    value = json.loads(metadata[name])
    if isinstance(value, dict) and draw.draw(st.booleans()):
        value[draw.draw(st.sampled_from(sorted(value)) | st.text(max_size=6))] = draw.draw(values)
    else:
        value = draw.draw(values)
    text = draw.draw(st.just(json.dumps(value)) | st.text(max_size=30))
    path = folder / "weights.safetensors"
    forge(tensors, path, metadata | {name: text})
    ends(lambda: opened(path), WeightsError, PlanError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plan", []),
        ("plan", {"epochs": 1}),
        ("epoch", -1),
        ("epoch", "x"),
        ("position", 17),
        ("position", 10**30),
        ("settings", {"free_steps": 8}),
        ("preset", ["tiny"]),
        ("seconds", None),
    ],
)
def test_impossible_metadata_is_named(good, tmp_path, name, value):
    tensors, metadata = parts(good)
    forge(tensors, tmp_path / "weights.safetensors", metadata | {name: json.dumps(value)})
    with pytest.raises(WeightsError, match=r"damaged metadata|this version has"):
        opened(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    "change", [{"epochs": 10**9}, {"samples": 0}, {"batch": "8"}, {"batch": 65}, {"beta": 1e400}, {"seed": -1}, {"data": []}]
)
def test_an_impossible_plan_is_refused_before_it_costs_memory(good, tmp_path, change):
    tensors, metadata = parts(good)
    plan = json.dumps(json.loads(metadata["plan"]) | change)
    forge(tensors, tmp_path / "weights.safetensors", metadata | {"plan": plan})
    with pytest.raises(WeightsError, match="damaged metadata"):
        Run.resume(tmp_path, {})


def test_a_nest_of_brackets_is_no_metadata(good, tmp_path):
    tensors, metadata = parts(good)
    forge(tensors, tmp_path / "w", metadata | {"plan": "[" * 100_000})
    with pytest.raises(WeightsError, match="damaged metadata"):
        checkpoint.load(tmp_path / "w")


def test_files_that_are_too_long_are_not_read(good, tmp_path):
    """Holes, so that the disk holds nothing either."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(good.read_bytes())
    os.truncate(path, 1 << 40)
    with pytest.raises(WeightsError, match="has 1099511627776 bytes; at most 67108864 are read"):
        checkpoint.load(path)
    path.rename(tmp_path / "metrics.csv")
    with pytest.raises(MetricsError, match="at most 67108864 are read: move it away"):
        report.read_metrics(tmp_path / "metrics.csv", 0, 0)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    file = raw / "train-images-idx3-ubyte"
    (tmp_path / "metrics.csv").rename(file)
    with pytest.raises(DataError, match="at most 67108864 are read"):
        data.load("mnist", tmp_path)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(DataError, match="is no file"):
        data.load("mnist", tmp_path)


@examples(100)
@given(st.binary(max_size=400) | st.lists(st.lists(st.text(max_size=8), max_size=8), max_size=5).map(repr).map(str.encode))
def test_metrics_are_read_or_refused(folder, content):
    path = folder / "metrics.csv"
    path.write_bytes(b"epoch,position,samples,errors,error_percent,seconds\n" + content)
    ends(lambda: report.read_metrics(path, 1, 1), MetricsError, says=str(path))


@pytest.mark.parametrize("line", ["0,8,8,4,50", "0,8,8,4,50,1,1", "0,x,8,4,50,1", "0,8,8,4,50,1\0", '"' + "9" * 200_000 + '"'])
def test_metrics_of_another_form_are_damaged(tmp_path, line):
    path = tmp_path / "metrics.csv"
    path.write_text(f"header\n{line}\n")
    with pytest.raises(MetricsError, match="is damaged"):
        report.read_metrics(path, 0, 8)


def test_metrics_written_are_metrics_read(tmp_path):
    rows = [report.Row(0, 8, 8, 4, 50.0, 1.0)]
    report.write_metrics(tmp_path / "m.csv", rows)
    assert report.read_metrics(tmp_path / "m.csv", 0, 8) == rows



FORBIDDEN = {"pickle", "marshal", "shelve", "dill", "joblib", "tarfile", "zipfile", "pty"}


@pytest.mark.parametrize("package", ["golden", "host", "hw", "nudge", "sim", "boards"])
def test_nothing_is_unpickled_unpacked_or_given_to_a_shell(package):
    paths = list((Path(__file__).parents[3] / package).rglob("*.py"))
    assert paths
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import | ast.ImportFrom):
                if ast.unparse(node) == "from zipfile import BadZipFile":
                    continue  # an error's name unpacks nothing
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not FORBIDDEN & {name.partition(".")[0] for name in names}, where
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("torch.load", "os.system", "os.popen", "eval", "exec", "subprocess.getoutput"), where
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("shell", "False") == given.get("allow_pickle", "False") == "False", where


def test_a_proxy_listens_on_the_loopback_interface_alone():
    with FaultProxy("socket://127.0.0.1:1") as proxy:
        port = int(proxy.url.rpartition(":")[2])
        assert listening(port) == ["0100007F"]
