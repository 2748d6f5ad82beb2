"""Opening a port: the arguments for pyserial, and the errors if it can't be opened."""

import errno
import socket

import pytest
import serial
from serial import rfc2217

from nudge.host.link import link, port
from nudge.host.link.port import BAUDS, RemotePort, close_port, open_port
from nudge.plumbing.errors import LinkError


class Port:
    """A fake port of pyserial. refuses: error that `set_low_latency_mode` raises."""

    def __init__(self, refuses=None):
        self.refuses, self.low_latency = refuses, []

    def set_low_latency_mode(self, on):
        self.low_latency.append(on)
        if self.refuses:
            raise self.refuses


@pytest.fixture
def asked(monkeypatch):
    """The arguments of pyserial's calls; `made` is the port that it returns, or the error that it raises."""

    class Asked(list):
        made = Port()

        def __call__(self, *arguments, **options):
            self.append((arguments, options))
            if isinstance(self.made, Exception):
                raise self.made
            return self.made

    found = Asked()
    monkeypatch.setattr(serial, "serial_for_url", found)
    return found


def test_a_device_is_opened_for_this_process_alone(asked):
    assert open_port("/dev/ttyUSB0") is asked.made
    assert open_port("hwgrep://0403:6015", 3_000_000) is asked.made
    common = {"timeout": 0, "write_timeout": 5, "exclusive": True}
    assert asked == [
        (("/dev/ttyUSB0",), {"baudrate": BAUDS[0]} | common),
        (("hwgrep://0403:6015",), {"baudrate": 3_000_000} | common),
    ]
    assert asked.made.low_latency == [True, True]


@pytest.mark.parametrize("refuses", [AttributeError(), NotImplementedError(), ValueError(), OSError()])
def test_a_driver_without_low_latency_will_do(asked, refuses):
    asked.made = Port(refuses)
    assert open_port("/dev/ttyACM0") is asked.made
    assert asked.made.low_latency == [True]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOENT, "no such port"),
        (errno.EAGAIN, "port busy: another program has it open"),
        (errno.EBUSY, "port busy: another program has it open"),
        (errno.EACCES, "permission denied: are you in the group that owns the port?"),
        (errno.EIO, "[Errno 5] something else"),
        (None, "something else"),
    ],
)
def test_the_reason_is_told(asked, number, reason):
    asked.made = (
        serial.SerialException("something else") if number is None else OSError(number, "something else")
    )
    with pytest.raises(LinkError) as told:
        open_port("/dev/ttyUSB0")
    assert str(told.value) == f"/dev/ttyUSB0: {reason}"


@pytest.mark.parametrize("error", [ValueError("x"), LookupError("x"), NotImplementedError("x")])
def test_whatever_pyserial_raises_is_an_error_of_the_link(asked, error):
    asked.made = error
    with pytest.raises(LinkError, match=r"^hwgrep://\[: "):
        open_port("hwgrep://[")


def test_only_what_reaches_a_board_is_opened(asked):
    with pytest.raises(LinkError) as told:
        open_port("spy://socket://a:1")
    assert str(told.value) == (
        "spy://socket://a:1: a port must be a device path, or a URL of socket, rfc2217, hwgrep, not of spy"
    )
    assert not asked


def test_small_requests_do_not_wait():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opened = open_port(f"socket://127.0.0.1:{listener.getsockname()[1]}")
        assert opened._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        close_port(opened)
        assert opened._socket is None or opened._socket.fileno() == -1
        close_port(opened)


def test_a_remote_port_is_asked_for_its_rate(monkeypatch):
    made = []

    def remote(*arguments, **options):
        made.append((arguments, options))
        return Port()

    monkeypatch.setattr(port, "RemotePort", remote)
    open_port("rfc2217://a:1", 3_000_000)
    assert made == [(("rfc2217://a:1",), {"baudrate": 3_000_000, "timeout": 0})]


def test_a_remote_line_is_agreed_upon_once_for_each_rate(monkeypatch):
    agreed = []
    monkeypatch.setattr(rfc2217.Serial, "_reconfigure_port", lambda self: agreed.append(self.baudrate))
    remote = RemotePort()
    for rate in (1_000_000, 1_000_000, 3_000_000, 3_000_000, 1_000_000):
        remote._baudrate = rate
        remote._reconfigure_port()
    assert agreed == [1_000_000, 3_000_000, 1_000_000]


def test_a_link_is_opened_as_it_was_asked_for(monkeypatch):
    opened, lines = [], []

    def note(line):
        lines.append(line)

    def open_one(*arguments):
        opened.append(arguments)
        return Port()

    monkeypatch.setattr(link, "open_port", open_one)
    asked = link.Link.open("here", timeout=3.0, retries=7, note=note)
    assert (asked.name, asked.timeout, asked.retries, asked._bauds) == ("here", 3.0, 7, BAUDS)
    asked._note("a line")
    assert lines == ["a line"]
    assert link.Link.open("there", baud=9600)._bauds == (9600,)
    assert opened == [("here", BAUDS[0]), ("there", 9600)]
