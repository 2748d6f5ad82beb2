# amaranth: UnusedElaboratable=no
"""The deframer against the host's codec in every cycle: good and damaged frames, garbage, full buffers."""

import random
from collections.abc import Iterator

import cocotb

from nudge.golden.contract.protocol import CRC_BYTES, FULL_BLOCK, REQUEST_BYTES, REQUEST_HEADER, Status
from nudge.host.link import frame
from nudge.hw.link.deframer import Deframer
from nudge.hw.link.interface import ARGUMENT_BYTES, Request
from sim.harness.streams import Port, start

#: Number of frame buffers, few so that they fill up.
WINDOW = 2
UNITS = {"deframer": Deframer(WINDOW)}

HEAD_BYTES = REQUEST_HEADER + ARGUMENT_BYTES


def decode(piece: bytes) -> tuple[bytes, bool]:
    """Decode COBS with zero runs; True if the last block is cut short (its bytes are included)."""
    out, at, zero = bytearray(), 0, False
    while at < len(piece):
        code = piece[at]
        if code > FULL_BLOCK:
            out += bytes(zero) + bytes(code - FULL_BLOCK + 1)
            at, zero = at + 1, False
            continue
        block = piece[at + 1 : at + code]
        out += bytes(zero) + block
        if len(block) < code - 1:
            return bytes(out), True
        at, zero = at + code, code != FULL_BLOCK
    return bytes(out), False


def zeros(piece: bytes, byte: int) -> int:
    """Return the number of zeros that `byte` encodes after `piece`, one cycle each; 0 if none."""
    data, cut = decode(piece)
    return byte - FULL_BLOCK + 1 if byte > FULL_BLOCK and not cut and len(data) <= REQUEST_BYTES else 0


def expected(piece: bytes) -> tuple[dict[str, int], bytes]:
    """Return the request that must be offered for the bytes before a zero, and the content of its buffer."""
    data, cut = decode(piece)
    if cut:
        status = Status.BAD_FRAME
    else:
        assert data == frame.unstuff(piece), "the reference itself is wrong"
        try:
            frame.decode(piece)
            status = Status.OK
        except frame.FrameError:
            status = Status.BAD_CRC
        if not REQUEST_HEADER + CRC_BYTES <= len(data) <= REQUEST_BYTES:
            status = Status.BAD_LENGTH
    head = data[:HEAD_BYTES].ljust(HEAD_BYTES, b"\0")
    fields = {"status": status, "length": min(len(data), REQUEST_BYTES + 1)}
    fields |= {"version": head[0], "sequence": head[1], "command": head[2]}
    fields["arguments"] = int.from_bytes(head[REQUEST_HEADER:], "little")
    return fields, data[:REQUEST_BYTES]


#: Damage that rarely occurs by chance: truncated blocks, empty blocks, and frames that are too long as well.
DAMAGED = (
    b"\x05abc",
    b"\x05",
    b"\x01",
    b"\x02a",
    frame.encode(b"ab")[:-1],
    frame.encode(b"abc")[:-1].replace(b"b", b"B"),
    frame.encode(bytes(REQUEST_BYTES - CRC_BYTES + 1))[:-1],
    frame.encode(bytes(3 * REQUEST_BYTES))[:-1],
    b"\x09" * 5000,
)


def pieces(count: int) -> Iterator[bytes]:
    """Draw frames without the final zero: mostly whole, many lengths, few or many zeros; or random bytes."""
    most = REQUEST_BYTES - CRC_BYTES
    for _ in range(count):
        low = random.choice((0, 0, 1, 254))
        length = random.choice(
            (0, 1, 2, 3, 4, 8, 9, 10, 30, 218, 219, 220, 221, 222, 223, 224, 250, 442, 443)
        )
        if random.random() < 0.15:
            length = random.choice((most - 1, most, most + 1, most + 300))
        body = bytes(random.choice((low, random.randint(low, 255))) for _ in range(length))
        piece = bytearray(frame.encode(body)[:-1])
        match random.randrange(8):
            case 0:
                piece[random.randrange(len(piece))] = random.randint(1, 255)
            case 1:
                del piece[random.randrange(len(piece))]
            case 2:
                piece = bytearray(
                    random.choice((1, 2, 3, 5, FULL_BLOCK, 255)) for _ in range(random.randint(1, 12))
                )
        yield bytes(piece)


@cocotb.test()
@cocotb.parametrize(hurry=[0.02, 1.0])
async def every_cycle_equals_the_model(dut, hurry):
    """hurry: probability per cycle that a frame is released before it is read; if low, buffers fill up."""
    await start(dut)
    port = Port(dut, "deframer")
    queue: list[tuple[dict[str, int], bytes]] = []
    events = [*(s.name for s in Status if s <= Status.BAD_LENGTH), "overrun", "cut and too long"]
    seen: dict[str, int] = dict.fromkeys(events, 0)
    damaged = DAMAGED if hurry == 1.0 else ()
    stream = [
        byte for piece in (*damaged, *pieces(150)) for byte in (*piece, *[0] * random.choice((1, 1, 1, 3)))
    ]
    at, piece, dropping = 0, bytearray(), False
    due = None  # byte taken in the cycle before, which is decoded in this one
    run = 0  # zeros left to be stored, one a cycle
    # the buffer of a frame is free a cycle after the transfer; the next frame is offered two cycles later
    offered, freed = False, False
    # for the offered frame: the next address to read, and the address of the previous cycle
    cursor, asked, released = 0, None, False
    while at < len(stream) or due is not None or queue:
        whole = queue and cursor >= len(queue[0][1])
        ready = random.random() < (hurry if not whole else 0.5)
        # with hurry = 1, bytes arrive more slowly than they are read
        valid = at < len(stream) and random.random() < (0.5 if hurry == 1.0 else 0.75)
        byte = stream[at] if valid else random.randrange(256)
        port.i__valid.value, port.i__payload.value, port.o__ready.value = int(valid), byte, int(ready)
        port.buffer__address.value = min(cursor, REQUEST_BYTES - 1)
        await port.edge

        where = f"byte {at} of {len(stream)}"
        free = run == 0 and due is None
        assert port.i__ready.value == free, f"{where}: ready is {port.i__ready.value}, {run} zeros to come"
        run = max(run - 1, 0)
        assert port.o__valid.value == offered, (
            f"{where}: valid is {port.o__valid.value} with {len(queue)} frames"
        )
        if offered:
            fields, content = queue[0]
            assert port.o__payload.value == Request.const(fields).as_bits(), f"{where}: {fields}"
            if asked is not None and asked < len(content):
                got = int(port.buffer__data.value)
                assert got == content[asked], (
                    f"{where}, address {asked}: got {got:#x}, expected {content[asked]:#x}"
                )
            asked, cursor = cursor, cursor + 1
        released = offered and ready
        offered = not ready if offered else bool(queue) and not freed

        finished = due == 0 and bool(piece) and not dropping
        overrun = bool(due) and not piece and len(queue) == WINDOW
        result = expected(bytes(piece)) if finished else None
        good = result is not None and result[0]["status"] == Status.OK
        assert port.good.value == good, f"{where}: good is {port.good.value}"
        assert port.overrun.value == overrun, f"{where}: overrun is {port.overrun.value}"
        if freed:
            queue.pop(0)
        freed = released
        if released:
            asked, cursor = None, 0
        if result is not None:
            queue.append(result)
            seen[Status(result[0]["status"]).name] += 1
            seen["cut and too long"] += (
                result[0]["status"] == Status.BAD_FRAME and result[0]["length"] > REQUEST_BYTES
            )
        if overrun:
            seen["overrun"] += 1
        if due is not None:
            dropping = due != 0 and (dropping or overrun)
            run = 0 if dropping else zeros(piece, due)
            piece = piece + bytes((due,)) if due else bytearray()
        due = byte if valid and free else None
        at += due is not None
    unseen = {name for name, count in seen.items() if not count}
    assert unseen <= ({"overrun"} if hurry == 1.0 else {"cut and too long"}), (
        f"these never happened: {unseen}"
    )
