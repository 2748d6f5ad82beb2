"""A board at a serial port of another machine (RFC 2217), behind pyserial's own server side."""

import socket
import threading

import pytest
import serial
import torch
from serial.rfc2217 import PortManager

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.training.data import load
from nudge.host.devices.golden import GoldenBoard
from nudge.host.devices.serial import SerialBoard
from nudge.host.link import frame
from nudge.plumbing.errors import LinkError
from sim.rigs.modelled.golden_device import GoldenDevice

# pyserial starts its reader thread with deprecated functions
pytestmark = pytest.mark.filterwarnings(
    "ignore:setDaemon:DeprecationWarning", "ignore:setName:DeprecationWarning"
)

CONFIG = configuration(preset("tiny"))


class Telnet:
    """The connection that `PortManager` writes to."""

    def __init__(self, connection: socket.socket):
        self.connection = connection

    def write(self, data: bytes) -> None:
        self.connection.sendall(data)


def serve(listener: socket.socket) -> None:
    """Serve one session of a modelled board over RFC 2217."""
    connection, _ = listener.accept()
    with connection, serial.serial_for_url("loop://") as settings:
        manager, device, rest = PortManager(settings, Telnet(connection)), GoldenDevice(CONFIG), b""
        while data := connection.recv(4096):
            *pieces, rest = (rest + b"".join(manager.filter(data))).split(b"\0")
            for piece in filter(None, pieces):
                answer = frame.encode_answer(device.protocol.answer(piece))
                connection.sendall(b"".join(manager.escape(answer)))


def test_a_board_at_another_machines_port_trains_as_the_model_does():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        digits = load("embedded")
        images, labels = digits.train_images[:4], digits.train_labels[:4]
        model = GoldenBoard(CONFIG)
        with SerialBoard(f"rfc2217://127.0.0.1:{listener.getsockname()[1]}", CONFIG.spec) as board:
            assert board.train(images, labels).tolist() == model.train(images, labels).tolist()
            assert board.commit() == model.commit() == len(images)
            pairs = zip(*map(list, (board.read().weights, model.read().weights)), strict=True)
            assert all(torch.equal(*pair) for pair in pairs)
        thread.join(30)


def test_who_does_not_speak_it_is_named():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rfc2217://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(LinkError, match=rf"^{url}: .*does.* not seem to support RFC2217"):
            SerialBoard(url, CONFIG.spec)
