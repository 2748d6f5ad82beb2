# amaranth: UnusedElaboratable=no
"""A whole board of `tiny` with its real core, from pin to pin, at one clock cycle per bit."""

import zlib

import cocotb
import torch

from nudge.boards.virtual import VIRTUAL
from nudge.golden.contract.config import configuration
from nudge.golden.contract.presets import preset
from nudge.golden.contract.protocol import CRC_BYTES, REQUEST_BYTES, WINDOW, Command, Identity
from nudge.golden.model import weight_image
from nudge.golden.model.batch import infer, train_batch
from nudge.golden.model.difference import first_master
from nudge.golden.model.parameters import Parameters, accumulate, commit, initial
from nudge.golden.model.settings import Settings
from nudge.hw.link.weight_access import WEIGHTS_AT, max_words, word_bytes
from nudge.hw.top import Top
from sim.core.whole.check import digits
from sim.harness.wire import SerialWire, Wire, power_up, reply, request, words

CONFIG = configuration(preset("tiny"))
SPEC = CONFIG.spec
TOP = Top(CONFIG, clock_hz=VIRTUAL.clock_hz, divisor=1)


def images_of(parameters: Parameters) -> list[bytes]:
    """Return the content of each master memory as bytes."""
    return [image.astype("<i2").tobytes() for image in weight_image.pack_all(CONFIG, parameters)]


async def load(wire: Wire, memories: list[bytes]):
    """Write all masters in frames of the largest size, with `WINDOW` requests in flight."""
    frames = []
    for bundle, memory in zip(SPEC.bundles, memories, strict=True):
        size = word_bytes(CONFIG, bundle)
        most = (REQUEST_BYTES - WEIGHTS_AT - CRC_BYTES) // size
        starts = range(0, len(memory) // size, most)
        frames += [words(bundle.index, word, memory[word * size : (word + most) * size]) for word in starts]
    for n, payload in enumerate(frames):
        await wire.feed(request(wire.sequence + n, Command.WRITE_WEIGHTS, payload))
        if n >= WINDOW - 1:
            assert await wire.answer() == reply(wire.sequence + n - (WINDOW - 1), Command.WRITE_WEIGHTS)
    for n in range(max(len(frames) - (WINDOW - 1), 0), len(frames)):
        assert await wire.answer() == reply(wire.sequence + n, Command.WRITE_WEIGHTS)
    wire.sequence = (wire.sequence + len(frames)) % 256


async def check_weights(wire: Wire, memories: list[bytes]):
    """Compare all digests, all words of the first bundle, and the first and last words of the others."""
    for bundle, memory in zip(SPEC.bundles, memories, strict=True):
        digest = await wire.digest(bundle.index)
        assert digest == zlib.crc32(memory), (
            f"bundle {bundle.index}: digest {digest:#x}, golden has {zlib.crc32(memory):#x}"
        )
        size, most = word_bytes(CONFIG, bundle), max_words(CONFIG, bundle)
        depth = len(memory) // size
        starts = range(0, depth, most) if bundle.index == 1 else (0, depth - most)
        for word in starts:
            count = min(most, depth - word)
            got = await wire.call(Command.READ_WEIGHTS, words(bundle.index, word, bytes((count,))))
            assert got == memory[word * size : (word + count) * size], (
                f"bundle {bundle.index}, words from {word}"
            )


@cocotb.test()
async def trains_bit_for_bit(dut):
    wire = SerialWire(dut, "", CONFIG, TOP.identity.uart_divisor)
    await power_up(dut, wire)
    identity = Identity.decode(await wire.hello(7))
    assert identity == Identity(SPEC.name, SPEC.identity, VIRTUAL.clock_hz, 1, CONFIG.lanes)
    assert identity == TOP.identity

    window = SPEC.schedule.window
    settings = Settings.of(SPEC, free=window, nudged=window)
    values = {"free_steps": window, "nudged_steps": window, "beta": settings.beta}
    for bundle in SPEC.bundles:
        values[f"weight_rate_{bundle.index}"] = settings.weight_rates[bundle.index - 1]
        values[f"bias_rate_{bundle.index}"] = settings.bias_rates[bundle.index - 1]
    for name, value in values.items():
        await wire.write(name, value)
    assert await wire.read(*values) == list(values.values())

    generator = torch.Generator().manual_seed(1)
    biases = tuple(torch.randint(-2000, 2000, (b.post.channels,), generator=generator) for b in SPEC.bundles)
    parameters = initial(SPEC, 1)._replace(biases=biases)
    await load(wire, images_of(parameters))
    assert (await wire.call(Command.COMMIT))[:2] == b"\0\0"
    await check_weights(wire, images_of(parameters))

    images, labels = digits(2)
    result = train_batch(SPEC, settings, parameters, images[:1], labels[:1])
    sample = bytes((int(labels[0]),)) + images[0].tobytes()
    counted = [f"cycles_{phase}" for phase in ("static", "free", "plus", "minus", "update")]
    before = await wire.read(*counted)
    answer = await wire.call(Command.TRAIN, sample)
    spikes = await wire.read(*(f"spikes_{layer.index}" for layer in SPEC.layers[1:]))
    assert answer[0] == int(result.predictions[0]), (
        f"prediction {answer[0]}, golden has {int(result.predictions[0])}"
    )
    assert spikes == result.spikes, f"spikes {spikes}, golden has {result.spikes}"
    phases = [new - old for new, old in zip(await wire.read(*counted), before, strict=True)]
    cycles = int.from_bytes(answer[1:], "little")
    # the update goes on after the answer
    assert cycles == sum(phases[:-1]), f"{cycles} cycles, of which the phases {phases}"

    assert (await wire.call(Command.COMMIT))[:2] == b"\1\0"
    trained = commit(SPEC, accumulate(parameters, result.updates))
    assert first_master(trained, parameters) is not None, "nothing was learned, so nothing was checked"
    await check_weights(wire, images_of(trained))

    predictions, _ = infer(SPEC, settings, trained, images[1:2])
    answer = await wire.call(Command.INFER, bytes((int(labels[1]),)) + images[1].tobytes())
    assert answer[0] == int(predictions[0])
    wrong = [int(result.predictions[0]) != int(labels[0]), int(predictions[0]) != int(labels[1])]
    expected = {"samples": 2, "errors": sum(wrong)}
    assert await wire.counters() == {name: count for name, count in expected.items() if count}
    assert not dut.error.value
