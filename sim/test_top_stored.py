"""Samples in the board's memory, from serial pins to SDRAM pins: answers equal the model's, byte for byte."""

import random
from dataclasses import replace

import pytest

from nudge.boards.virtual import VIRTUAL_SDRAM, verilator
from nudge.boards.virtual.board import VirtualBoard
from nudge.boards.virtual.gateware import PowerOn
from nudge.boards.virtual.program import compile_board
from nudge.golden.contract import stored
from nudge.golden.contract.protocol import (
    ANSWER,
    ANSWER_HEADER,
    MAX_ASKED,
    MAX_DIGESTED,
    Asked,
    Command,
    RegisterRange,
    RegisterValue,
    Sample,
    SampleNumber,
    SampleRange,
    Status,
)
from nudge.golden.contract.stored import CAPACITY, LOG_AT, MAX_CODED, MAX_SAMPLES, Header
from nudge.golden.contract.stuffing import stuff
from nudge.host.link.link import Link, RefusedError
from nudge.hw.memory.timing import Cycles
from nudge.hw.top import Top
from nudge.plumbing.errors import LinkError, ToolError
from sim.rigs.modelled.beside_model import FuzzError, encoded
from sim.rigs.modelled.stored_pair import CONFIG, DIGITS, LABELS, REGISTERS, Pair, moves, records


@pytest.fixture
def pair():
    with VirtualBoard(CONFIG, board=VIRTUAL_SDRAM) as board, (both := Pair(board)).socket:
        yield both


def filled(pair: Pair, count: int = 24) -> None:
    for first in range(0, count, 4):
        assert pair.store(first, list(range(first, first + 4))) is Status.OK


def test_the_capacity_is_said(pair):
    assert pair.protocol.identity.capacity == CAPACITY == 32 << 20


def test_training_from_memory_is_training(pair):
    """Training from memory equals the model in predictions, weights and counters.

    Samples are shifted and mirrored, and streamed samples and inference come in between.
    """
    chance = random.Random(1)
    filled(pair)
    for first, count in ((0, 24), (5, 1), (23, 1)):
        assert pair.status(Command.STORE_DIGEST, SampleRange(first, count).encode()) is Status.OK
    for batch in range(3):
        assert pair.run(Command.TRAIN_STORED, moves(chance, 20 + batch, 24)) is Status.OK
        pair.registers()
        assert pair.status(Command.TRAIN, Sample(LABELS[30], DIGITS[30]).encode()) is Status.OK
        if batch:
            assert pair.run(Command.TRAIN_STORED, moves(chance, batch, 24)) is Status.OK
        else:
            assert pair.status(Command.COMMIT) is Status.OK
        assert pair.run(Command.INFER_STORED, moves(chance, 9, 24)) is Status.OK
    for bundle in CONFIG.spec.bundles:
        assert pair.status(Command.DIGEST, bytes([bundle.index])) is Status.OK
    pair.registers()


def test_the_answer_tells_the_time_in_which_the_core_had_samples(pair):
    filled(pair, 8)
    alone = [
        int.from_bytes(pair.call(Command.INFER_STORED, Asked(n).encode())[1][1:], "little") for n in range(4)
    ]
    together = pair.call(Command.INFER_STORED, b"".join(Asked(n).encode() for n in range(4)))[1]
    assert max(alone) < int.from_bytes(together[4:], "little") < sum(alone)


REFUSED = {
    "a STORE beyond the end": (
        Command.STORE,
        SampleNumber(25).encode() + records(25, [1])[0],
        Status.NOT_STORED,
    ),
    "half a record": (Command.STORE, SampleNumber(24).encode() + records(24, [1])[0][:-2], Status.BAD_RANGE),
    "a record and a half": (
        Command.STORE,
        SampleNumber(24).encode() + b"".join(records(24, [1, 2]))[:-1],
        Status.BAD_RANGE,
    ),
    "no coded bytes": (
        Command.STORE,
        SampleNumber(24).encode() + Header(0, 1, 0, 0).encode() + bytes(4),
        Status.BAD_RANGE,
    ),
    "a record that is too long": (
        Command.STORE,
        SampleNumber(24).encode() + Header(MAX_CODED + 1, 1, 0, 0).encode() + bytes(MAX_CODED + 2),
        Status.BAD_RANGE,
    ),
    "a label above 9": (
        Command.STORE,
        SampleNumber(0).encode() + Header(2, 10, 0, 0).encode() + b"\1\1",
        Status.BAD_RANGE,
    ),
    "a digest of none": (Command.STORE_DIGEST, SampleRange(0, 0).encode(), Status.BAD_RANGE),
    "a digest of too many": (
        Command.STORE_DIGEST,
        SampleRange(0, MAX_DIGESTED + 1).encode(),
        Status.BAD_RANGE,
    ),
    "a digest beyond the end": (Command.STORE_DIGEST, SampleRange(20, 5).encode(), Status.NOT_STORED),
    "a digest far away": (Command.STORE_DIGEST, SampleRange(0xFFFFFFFF, 2).encode(), Status.NOT_STORED),
    "an index never stored": (
        Command.INFER_STORED,
        Asked(3).encode() + Asked(24).encode(),
        Status.NOT_STORED,
    ),
    "an index that no table has": (Command.INFER_STORED, Asked(MAX_SAMPLES).encode(), Status.NOT_STORED),
    "half a sample": (Command.TRAIN_STORED, Asked(3).encode() + b"\0\0", Status.BAD_RANGE),
    "a move too far": (Command.TRAIN_STORED, Asked(3).encode() + bytes((0, 0, 0, 0x50)), Status.BAD_RANGE),
    "a move too far up": (Command.INFER_STORED, bytes((0, 0, 0, 0x0B)), Status.BAD_RANGE),
    "the first of two that are wrong": (
        Command.INFER_STORED,
        Asked(24).encode() + bytes((0, 0, 0, 0x50)),
        Status.NOT_STORED,
    ),
    "a batch that is too large": (Command.TRAIN_STORED, Asked(3).encode() * 65, Status.BAD_ORDER),
}


def test_refusals_change_nothing(pair):
    filled(pair)
    for what, (command, payload, status) in REFUSED.items():
        assert pair.status(command, payload) is status, what
    pair.registers()
    assert pair.status(Command.STORE_DIGEST, SampleRange(0, 24).encode()) is Status.OK
    # weights that aren't committed
    assert (
        pair.status(Command.WRITE_WEIGHTS, bytes([1, 0, 0, 0, 0]) + bytes(2 * CONFIG.lanes[1])) is Status.OK
    )
    assert pair.run(Command.INFER_STORED, [Asked(0)]) is Status.BAD_ORDER
    assert pair.status(Command.COMMIT) is Status.OK
    assert pair.run(Command.INFER_STORED, [Asked(0)]) is Status.OK


def store_of(index: int, *records: bytes) -> tuple[Command, bytes]:
    return Command.STORE, SampleNumber(index).encode() + b"".join(records)


def asked_for(command: Command, samples: int, more: bytes = b"") -> tuple[Command, bytes]:
    return command, Asked(0).encode() * samples + more


TRAIN_ALL, INFER_ALL, OVER = Command.TRAIN_STORED, Command.INFER_STORED, Command.STORE_DIGEST
#: Requests with several reasons for a refusal, and the status by docs/link.md, "All or nothing" and "State
#: machines". One sample is stored.
PRECEDENCE = [
    (*store_of(1, records(1, [1])[0][:9]), Status.BAD_LENGTH),
    (*store_of(1, Header(3, 1, 0, 0).encode(), b"\1\1"), Status.BAD_RANGE),
    (*store_of(2, Header(2, 10, 0, 0).encode(), b"\1\1"), Status.BAD_RANGE),
    (*store_of(2, *records(2, [1])), Status.NOT_STORED),
    (*store_of(MAX_SAMPLES, *records(2, [1])), Status.NOT_STORED),
    (TRAIN_ALL, b"", Status.BAD_LENGTH),
    (*asked_for(TRAIN_ALL, 0, bytes(3)), Status.BAD_LENGTH),
    (*asked_for(INFER_ALL, 0, bytes(3)), Status.BAD_LENGTH),
    (*asked_for(TRAIN_ALL, 1, bytes(1)), Status.BAD_RANGE),
    (*asked_for(TRAIN_ALL, 64, bytes(3)), Status.BAD_RANGE),
    (*asked_for(TRAIN_ALL, 65), Status.BAD_ORDER),
    (*asked_for(TRAIN_ALL, 65, bytes(1)), Status.BAD_ORDER),
    (*asked_for(TRAIN_ALL, MAX_ASKED + 1), Status.BAD_ORDER),
    (*asked_for(INFER_ALL, MAX_ASKED + 1), Status.BAD_RANGE),
    (*asked_for(INFER_ALL, 65), Status.OK),
    (OVER, SampleRange(9, 0).encode(), Status.BAD_RANGE),
    (OVER, SampleRange(9, MAX_DIGESTED + 1).encode(), Status.BAD_RANGE),
    (OVER, SampleRange(0, 2).encode(), Status.NOT_STORED),
    (OVER, SampleRange(0, 1).encode()[:-1], Status.BAD_LENGTH),
    (Command.WRITE_WEIGHTS, bytes([9]) + bytes(5), Status.BAD_LENGTH),
    (Command.WRITE_WEIGHTS, bytes([1]) + bytes(4 + 3), Status.BAD_RANGE),
]


def test_which_refusal_it_is_and_whether_it_uses_up_the_number(pair):
    """Board and model refuse as docs/link.md says; only BAD_LENGTH leaves the sequence number free."""
    pair.exchange([encoded(0, Command.HELLO)])
    (stored,) = pair.exchange([encoded(1, *store_of(0, *records(0, [0])))])
    assert stored[3] == Status.OK
    for number, (command, payload, status) in enumerate(PRECEDENCE, 2):
        (answer,) = pair.exchange([encoded(number, command, payload)])
        assert (answer[2], answer[3]) == (command | ANSWER, status), f"{command.name} {payload.hex()}"
        (again,) = pair.exchange([encoded(number, Command.READ_REGISTER, b"\0\1")])
        used_up = (
            (command | ANSWER, status)
            if status is not Status.BAD_LENGTH
            else (Command.READ_REGISTER | ANSWER, Status.OK)
        )
        assert (again[2], again[3]) == used_up, f"{command.name} {payload.hex()}"


def test_bytes_of_a_record_that_may_be_anything(pair):
    """The two free bytes of a record (docs/link.md) are stored, and change nothing but the digest."""
    number = next(n for n in range(20) if len(stuff(DIGITS[n])) % 2)
    one = stored.record(0, LABELS[number], DIGITS[number], stuff(DIGITS[number]))
    odd = one[:3] + b"\xa5" + one[4:-1] + b"\x5a"
    pair.exchange([encoded(0, Command.HELLO)])
    digest = OVER, SampleRange(0, 1).encode()
    requests = [store_of(0, odd), digest, asked_for(INFER_ALL, 1), store_of(0, one), digest]
    answers = [pair.exchange([encoded(n, *request)])[0] for n, request in enumerate(requests, 1)]
    assert [answer[3] for answer in answers] == [Status.OK] * len(requests)
    digests = [int.from_bytes(answers[n][ANSWER_HEADER:], "little") for n in (1, 4)]
    assert digests == [stored.record_digest([each]) for each in (odd, one)]


def test_the_counter_of_frames_runs_ahead(pair):
    """`frames` includes frames received behind the READ_REGISTER that reads it; exact if there are none."""
    frames = RegisterRange(REGISTERS["frames"].address, 1).encode()
    pair.exchange([encoded(0, Command.HELLO)])
    (before,) = pair.exchange([encoded(1, Command.READ_REGISTER, frames)])
    behind = [encoded(n, Command.READ_REGISTER, b"\0\1") for n in range(4, 12)]
    sample = Sample(LABELS[0], DIGITS[0]).encode()
    burst = [encoded(2, Command.INFER, sample), encoded(3, Command.READ_REGISTER, frames), *behind]
    told = pair.exchange(burst)[1]
    (after,) = pair.exchange([encoded(12, Command.READ_REGISTER, frames)])
    first, ahead, last = (
        int.from_bytes(answer[ANSWER_HEADER:], "little") for answer in (before, told, after)
    )
    assert last == first + len(burst) + 1
    assert first + 2 < ahead <= first + len(burst)


def test_damage_is_found_and_mended(pair):
    """A damaged sample ends a run after the samples before it; a new STORE repairs it.

    In the end a write to `forget` empties the store.
    """
    chance = random.Random(2)
    filled(pair)
    for number in range(12):
        used = [*range(2 * 24), *range(LOG_AT, pair.device.store.end)]
        word, bit = chance.choice(used), chance.randrange(16)
        pair.flip(word, bit)
        pair.run(Command.TRAIN_STORED if number % 2 else Command.INFER_STORED, moves(chance, 12, 24))
        pair.status(Command.STORE_DIGEST, SampleRange(0, 24).encode())
        damaged = [n for n in range(24) if pair.run(Command.INFER_STORED, [Asked(n)]) is not Status.OK]
        for n in damaged:
            assert pair.store(n, [n]) is Status.OK
        assert pair.run(Command.INFER_STORED, [Asked(n) for n in range(24)]) is Status.OK
        if number % 4 == 3:
            assert pair.status(Command.COMMIT) is Status.OK
    assert pair.endings["BAD_IMAGE"] > 0
    pair.registers()
    assert (
        pair.status(Command.WRITE_REGISTER, RegisterValue(REGISTERS["forget"].address, 1).encode())
        is Status.OK
    )
    assert pair.run(Command.INFER_STORED, [Asked(0)]) is Status.NOT_STORED
    assert pair.store(0, [7]) is Status.OK
    assert pair.run(Command.INFER_STORED, [Asked(0)]) is Status.OK


def test_lost_refreshes_are_found(pair):
    filled(pair, 8)
    pair.board.flip("sdram.chip.lose", 0, 13)  # each row loses one refresh, within 64 ms of board time
    asked = b"".join(Asked(n % 8).encode() for n in range(64))

    def until_one_is_damaged() -> None:
        for _ in range(100):
            pair.call(Command.INFER_STORED, asked)

    with pytest.raises(FuzzError, match=rf"board \w{{6}}{Status.BAD_IMAGE.value:02x}"):
        until_one_is_damaged()


def spoiled(**chip) -> VirtualBoard:
    """Return a virtual board with an SDRAM chip other than its gateware's. chip: arguments of `PowerOn`."""
    facts = VIRTUAL_SDRAM
    top = Top(CONFIG, clock_hz=facts.clock_hz, divisor=facts.uart_divisor, window=facts.window, sdram=True)
    program = compile_board(verilator.to_verilog(PowerOn(top, **chip), "top"), brief=True)
    return VirtualBoard(CONFIG, board=facts, program=program)


def test_without_its_memory_it_is_a_board_without():
    with spoiled(missing=True) as board, Link.open(board.url) as link:
        assert link.hello().capacity == 0
        assert link.call(Command.INFER, Sample(LABELS[0], DIGITS[0]).encode())
        for command, payload in (
            (Command.READ_REGISTER, RegisterRange(REGISTERS["stored"].address, 1).encode()),
            (Command.WRITE_REGISTER, RegisterValue(REGISTERS["forget"].address, 1).encode()),
        ):
            with pytest.raises(RefusedError, match="BAD_RANGE"):
                link.call(command, payload)
        link.resends = 2
        with pytest.raises(LinkError, match="an answer was BAD_COMMAND"):
            link.call(Command.STORE_DIGEST, SampleRange(0, 1).encode())


def test_a_broken_rule_ends_the_board():
    slow = replace(Cycles.of(VIRTUAL_SDRAM.clock_hz), rfc=5)
    with (
        pytest.raises(
            ToolError, match=r"^the virtual board broke a rule of its SDRAM: tRFC: .*, in cycle \d+, bank 0$"
        ),
        spoiled(cycles=slow) as board,
        Link.open(board.url) as link,
    ):
        link.hello()
