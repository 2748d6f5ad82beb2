"""The modelled board follows docs/link.md: sequence numbers, incomplete frames, order of weights.

Fuzzing compares the gateware with the modelled board (`sim/rigs/link/test_virtual.py`).
"""

import numpy as np
import pytest

from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import ANSWER, Command, Status, WordAddress, Words
from nudge.golden.model import weight_image
from nudge.golden.model.parameters import initial
from nudge.host.link import frame
from sim.rigs.modelled.golden_device import GoldenDevice

CONFIG = configuration(preset("tiny"))
#: Payload that writes 7 to register 0, `scratch`.
WRITE = b"\0" + (7).to_bytes(4, "little")


class Line:
    """A board at a line, which takes bytes and returns answers."""

    def __init__(self):
        self.device, self.rest = GoldenDevice(CONFIG), b""

    def say(self, data: bytes) -> list[tuple[int, int, Status, bytes]]:
        """Send bytes; return sequence number, command, status and payload of each answer."""
        *pieces, self.rest = (self.rest + data).split(b"\0")
        bodies = [self.device.protocol.answer(piece) for piece in pieces if piece]
        return [(body[1], body[2] - ANSWER, Status(body[3]), body[4:]) for body in bodies]

    def ask(self, number: int, command: Command, payload: bytes = b"") -> Status:
        return self.say(frame.request(number, command, payload))[0][2]


@pytest.fixture
def line():
    line = Line()
    assert line.ask(10, Command.HELLO) is Status.OK
    return line


def test_a_refused_command_uses_up_its_number(line):
    wrong = b"\xff" + bytes(4)  # no such register
    assert line.ask(11, Command.WRITE_REGISTER, wrong) is Status.BAD_RANGE
    assert line.ask(11, Command.WRITE_REGISTER, WRITE) is Status.BAD_RANGE, (
        "the stored answer, whatever it asks now"
    )
    assert line.device.values["scratch"] == 0
    assert line.ask(12, Command.WRITE_REGISTER, WRITE) is Status.OK
    masters = WordAddress(1, 0).encode() + bytes(2 * CONFIG.lanes[1])
    assert line.ask(13, Command.WRITE_WEIGHTS, masters) is Status.OK
    assert line.ask(14, Command.INFER, bytes(785)) is Status.BAD_ORDER
    assert line.ask(15, Command.COMMIT) is Status.OK


def test_every_other_refusal_leaves_it_free(line):
    whole = frame.request(11, Command.WRITE_REGISTER, WRITE)
    damaged = whole[:5] + bytes((whole[5] ^ 2,)) + whole[6:]
    for refused, status in (
        (damaged, Status.BAD_CRC),
        (whole[:4] + b"\0", Status.BAD_FRAME),
        (frame.request(11, Command.WRITE_REGISTER, WRITE[:-1]), Status.BAD_LENGTH),
        (frame.request(200, Command.WRITE_REGISTER, WRITE), Status.BAD_SEQUENCE),
    ):
        found = line.say(refused)[0][2]
        assert found is status or {found, status} <= {Status.BAD_CRC, Status.BAD_FRAME, Status.BAD_LENGTH}
        assert line.device.values["scratch"] == 0
    assert line.ask(11, Command.WRITE_REGISTER, WRITE) is Status.OK
    assert line.device.values["scratch"] == 7


def test_a_request_that_lacks_only_its_end_is_executed_by_the_next_hosts_zero(line):
    assert line.say(frame.request(11, Command.WRITE_REGISTER, WRITE)[:-1]) == []
    answers = line.say(b"\0" + frame.request(99, Command.HELLO))
    assert [(number, command, status) for number, command, status, _ in answers] == [
        (11, Command.WRITE_REGISTER, Status.OK),
        (99, Command.HELLO, Status.OK),
    ]
    assert line.device.values["scratch"] == 7


@pytest.mark.parametrize("cut", [1, 2, 5, 8])
def test_any_other_half_of_a_request_is_refused(line, cut):
    line.say(frame.request(11, Command.WRITE_REGISTER, WRITE)[: -1 - cut])
    first, hello = line.say(b"\0" + frame.request(99, Command.HELLO))
    assert first[2] in (Status.BAD_FRAME, Status.BAD_CRC, Status.BAD_LENGTH)
    assert hello[2] is Status.OK
    assert line.device.values["scratch"] == 0


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_weights_come_in_the_documented_order(name):
    config = configuration(preset(name))
    device = GoldenDevice(config)
    parameters = initial(config.spec, 3)
    device.images = weight_image.pack_all(config, parameters)
    for bundle, weight, bias in zip(config.spec.bundles, parameters.weights, parameters.biases, strict=True):
        lanes, before = config.lanes[bundle.index], config.lanes[bundle.index - 1]
        image = device.images[bundle.index - 1]
        random = np.random.default_rng(bundle.index)
        for _ in range(100):
            place = tuple(int(random.integers(size)) for size in weight.shape)
            if bundle.kind == "dense":
                post, (pre, position) = place[0], divmod(place[1], bundle.pre.positions)
                tile = (pre // before) * bundle.pre.positions + position
                tile = tile * (weight.shape[0] // lanes) + post // lanes
            else:
                post, pre, ky, kx = place
                k = weight.shape[2]
                tile = ((post // lanes) * (weight.shape[1] // before) + pre // before) * k * k + ky * k + kx
            word = tile * before + pre % before
            status, answer = device.execute(Command.READ_WEIGHTS, Words(bundle.index, word, 1).encode())
            assert status is Status.OK
            assert np.frombuffer(answer, "<i2")[post % lanes] == int(weight[place])
        assert np.array_equal(image[-(bias.numel() // lanes) :].reshape(-1), bias.numpy())
