"""The virtual board, seen from a host: address, one client at a time, lasting state, sleep while idle."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nudge.boards import BoardFacts
from nudge.boards.virtual.board import VirtualBoard, idle_cycles
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import VERSION, Command
from nudge.host.link import frame
from nudge.host.link.link import Link
from nudge.plumbing.errors import ExitCode, ToolError
from tests.sockets import listening

CONFIG = configuration(preset("tiny"))
SCRATCH = 0


@pytest.fixture
def board():
    with VirtualBoard(CONFIG) as virtual:
        yield virtual


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("socket://").rpartition(":")
    return host, int(port)


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fall_asleep(board: VirtualBoard) -> None:
    """Waits until the board's clock stands still: only then does its process sleep."""
    deadline = time.monotonic() + 60
    while Path(f"/proc/{board.process}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline, "still at work after 60 s without a request"
        time.sleep(0.01)


def write_scratch(link: Link, value: int) -> None:
    link.call(Command.WRITE_REGISTER, bytes([SCRATCH]) + value.to_bytes(4, "little"))


def read_scratch(link: Link) -> int:
    return int.from_bytes(link.call(Command.READ_REGISTER, bytes([SCRATCH, 1])), "little")


def test_state_outlives_a_client(board):
    with Link.open(board.url) as link:
        assert link.hello().preset == "tiny"
        write_scratch(link, 0x12345678)
    with Link.open(board.url) as link:
        link.hello()
        assert read_scratch(link) == 0x12345678


def test_a_client_that_goes_away_in_the_middle_of_a_frame(board):
    with socket.create_connection(address(board.url), timeout=5) as client:
        client.sendall(bytes(range(1, 200)))
    with Link.open(board.url) as link:
        assert link.hello().preset == "tiny"


def test_second_client_is_turned_away(board):
    with Link.open(board.url) as link:
        link.hello()
        with socket.create_connection(address(board.url), timeout=5) as second:
            assert second.recv(1) == b""
        write_scratch(link, 7)
        assert read_scratch(link) == 7


def test_it_listens_on_the_loopback_interface_alone(board):
    assert listening(address(board.url)[1]) == ["0100007F"]


def test_idle_board_sleeps(board):
    with Link.open(board.url) as link:
        link.hello()
        deadline = time.monotonic() + 20
        while True:
            before = processor_seconds(board.process)
            time.sleep(0.5)
            if processor_seconds(board.process) - before <= 0.02:
                break
            assert time.monotonic() < deadline, "still burning processor time after 20 s without a request"
        assert link.hello().preset == "tiny"


@pytest.mark.parametrize(
    ("command", "payload", "answer"),
    [
        (Command.COMMIT, b"", 6),
        (Command.DIGEST, bytes([1]), 4),
        (Command.READ_REGISTER, bytes([SCRATCH, 1]), 4),
    ],
    ids=["COMMIT", "DIGEST", "READ_REGISTER"],
)
def test_a_request_wakes_it(board, command, payload, answer):
    with Link.open(board.url, retries=0) as link:
        link.hello()
        fall_asleep(board)
        assert len(link.call(command, payload)) == answer


def test_a_request_of_any_length_wakes_it(board):
    """A request that ends before the next poll must wake the board; zeros before it shift its end."""
    hello = frame.encode(bytes((VERSION, 1, Command.HELLO)))
    with socket.create_connection(address(board.url), timeout=10) as client:
        for zeros in range(0, 24, 3):
            fall_asleep(board)
            client.sendall(bytes(zeros) + hello)
            answer = b""
            while not answer.endswith(b"\0"):
                answer += client.recv(100)
            assert b"tiny" in answer


@pytest.mark.parametrize(
    "order", [VirtualBoard.reset, lambda board: board.flip("core.weights_1.memory.master.words", 0, 0)]
)
def test_an_order_wakes_it(board, order):
    """After a fault the clock must run for as many idle cycles as after power-up."""
    fall_asleep(board)
    order(board)
    fall_asleep(board)
    board.__exit__(None, None, None)
    assert board.statistics.cycles >= 2 * idle_cycles(CONFIG)


def test_statistics_count_what_was_simulated(board):
    with Link.open(board.url) as link:
        link.hello()
    board.__exit__(None, None, None)
    assert board.statistics.cycles > 0
    assert board.statistics.seconds > 0


def test_pseudo_terminal():
    with VirtualBoard(CONFIG, pty=True) as virtual:
        assert virtual.url.startswith("/dev/")
        for value in (1, 2):
            with Link.open(virtual.url) as link:
                link.hello()
                write_scratch(link, value)
                assert read_scratch(link) == value


def test_port_in_use(board):
    with pytest.raises(ToolError, match=r"did not start: port \d+: Address already in use"):
        VirtualBoard(CONFIG, port=address(board.url)[1]).__enter__()


def test_dies_with_its_parent():
    program = (
        "import time; from nudge.golden.contract.presets import preset\n"
        "from nudge.golden.contract.config import configuration\n"
        "from nudge.boards.virtual.board import VirtualBoard\n"
        "board = VirtualBoard(configuration(preset('tiny'))).__enter__()\n"
        "print(board.url, board.process, flush=True); time.sleep(60)"
    )
    command, checkout = [sys.executable, "-c", program], Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=checkout) as parent:
        url, process = parent.stdout.readline().split()
        socket.create_connection(address(url), timeout=5).close()
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (
        Path(f"/proc/{process}").exists()
        and "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]
    ):
        assert time.monotonic() < deadline, "still there 30 s after its parent was killed"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("divisor", [2, 3, 8])
def test_other_divisors(divisor):
    board = BoardFacts("test", clock_hz=1_000_000, uart_divisor=divisor)
    with VirtualBoard(CONFIG, board=board) as virtual, Link.open(virtual.url) as link:
        assert link.hello().uart_divisor == divisor
        for value in (0, 0xFFFFFFFF, 0x00FF55AA):
            write_scratch(link, value)
            assert read_scratch(link) == value


def test_a_board_that_is_killed_ends_the_command_that_serves_it():
    command = [sys.executable, "-m", "nudge", "board", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline().startswith("socket://")
        children = Path(f"/proc/{serving.pid}/task/{serving.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        _, err = serving.communicate(timeout=30)
    assert serving.returncode == ExitCode.TOOLS
    assert err.endswith("nudge: the virtual board ended by itself: signal 9\n")


def test_a_request_that_lacks_only_its_end_is_executed_by_the_next_hosts_zero(board):
    """A zero byte from the next host completes the earlier host's request, and no more (docs/link.md)."""
    with socket.create_connection(address(board.url), timeout=5) as client:
        client.sendall(frame.request(1, Command.HELLO))
        while not client.recv(100).endswith(b"\0"):
            pass
        client.sendall(
            frame.request(2, Command.WRITE_REGISTER, bytes([SCRATCH]) + (77).to_bytes(4, "little"))[:-1]
        )
    with Link.open(board.url) as link:
        link.hello()
        assert read_scratch(link) == 77
