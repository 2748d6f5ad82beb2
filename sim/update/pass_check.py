"""Compare update engines with the golden model: whole passes over the weights and biases of a bundle."""

import random

import torch

from nudge.golden.contract import layout
from nudge.golden.contract.formats import Formats
from nudge.golden.model import ops
from nudge.hw.update.interface import post_word, pre_word, update_word
from sim.harness.random_values import generator, integers
from sim.harness.streams import Monitor, Port, serve_memory
from sim.harness.units import expect, run_part
from sim.harness.words import layer_words, master_image

#: Number of passes; more for a bundle of at most `FEW` master words, in which each pass covers less.
PASSES, PASSES_OF_FEW, FEW = 8, 32, 64

#: Number of random rates that `finest_rate` chooses from, and of sums that it considers.
RATES, SUMS = 4096, 256


async def check(dut, name, unit, least: int, most: int):
    """Run passes over random sums, back to back; each is busy for `least` to `most` cycles."""
    config, bundle, spec = unit.config, unit.bundle, unit.config.spec
    f, port, monitor = spec.formats, Port(dut, name), Monitor(dut, f"{name}__updates")
    pre_memory: list[int] = []
    post_memory: list[int] = []
    serve_memory(dut, f"{name}__pre_address", f"{name}__pre", pre_memory)
    serve_memory(dut, f"{name}__post_address", f"{name}__post", post_memory)
    word, total = update_word(config, bundle), layout.master_words(config, bundle)
    top, top_rate = f.one << spec.schedule.window_log2, (1 << f.rate_bits) - 1
    fine = bool(spec.schedule.fine)

    for number in range(PASSES if total > FEW else PASSES_OF_FEW):
        pre, post = ([integers(0, top, layer.shape) for _ in range(2)] for layer in (bundle.pre, bundle.post))
        if number < 2:
            # the bounds of g: all sums at their maximum in one phase, 0 in the other
            for sums in (pre, post):
                sums[number], sums[1 - number] = torch.full_like(sums[0], top), torch.zeros_like(sums[0])
        if fine:
            pre, post = (differing(top, layer.shape, number) for layer in (bundle.pre, bundle.post))
        if bundle.on_image:
            pixel_top = (1 << f.pixel_bits) - 1
            pre = [integers(pixel_top if number < 2 else 0, pixel_top, bundle.pre.shape)] * 2
            # the image has no difference between the phases
            factors = (
                (pre[0], post[1], pre[0], torch.zeros_like(post[1]))
                if fine
                else (pre[0], post[0], pre[1], post[1])
            )
        else:
            changed = torch.zeros_like(pre[1]) if spec.schedule.vector_field else pre[1]
            factors = (pre[0], post[1], changed, -post[0]) if fine else (pre[0], post[0], pre[1], post[1])
        weight_g, bias_g = ops.correlation(bundle, *(x[None] for x in factors))
        g = (weight_g, post[1].sum(dim=(1, 2))[None]) if fine else (weight_g, bias_g)
        shifts = spec.weight_shift(bundle), spec.bias_shift
        if number < 2:
            rates = [top_rate, top_rate]
        elif number % 2:
            rates = [random.choice((0, 1, top_rate, random.randint(2, top_rate))) for _ in range(2)]
        else:
            rates = [finest_rate(f, *each) for each in zip(g, shifts, strict=True)]
        port.weight_rate.value, port.bias_rate.value = rates
        post_memory[:] = sums_words(config, bundle.post, post, post_word(config, bundle))
        word_below = pre_word(config, bundle)
        pre_memory[:] = (
            pixel_words(word_below, pre[0])
            if bundle.on_image
            else sums_words(config, bundle.pre, pre, word_below)
        )

        done = len(monitor.words)
        busy = await run_part(port)
        assert least <= busy <= most, (
            f"{name}, pass {number}: busy for {busy} cycles, expected {least}..{most}"
        )
        got = monitor.words[done:]
        for _ in range(random.choice((0, 0, 9))):
            await port.edge
        assert len(monitor.words) == done + len(got), f"{name}, pass {number}: updates came while not busy"

        weight, bias = (ops.update(*each, f.update_bound)[0] for each in zip(g, rates, shifts, strict=True))
        expected = master_image(config, bundle, weight, bias)
        words = sorted((word.from_bits(bits) for bits in got), key=lambda w: w.address)
        expect(f"{name}, pass {number}, address", [w.address for w in words], range(total), ("update",))
        expect(f"{name}, pass {number}, update", [list(w.update) for w in words], expected)


def differing(top: int, shape, number: int) -> list[torch.Tensor]:
    """Draw the mean and the difference of a layer's deviations; at their bounds for `number` 0 and 1."""
    difference = [2 * top, -2 * top][number] if number < 2 else None
    mean = torch.full(shape, top) if number < 2 else integers(0, top, shape)
    return [mean, integers(-2 * top, 2 * top, shape) if difference is None else torch.full(shape, difference)]


def finest_rate(f: Formats, g, shift: int) -> int:
    """Return the random rate for which updates are most sensitive to the sums ``g`` and to the rate itself.

    A sum counts once if a change of the sum by one changes its update, and once if a change of the rate by
    one does. For most rates, rounding or clipping of the product hides the lowest bits.
    """
    rates = torch.from_numpy(generator().integers(1, 1 << f.rate_bits, RATES))
    g = g.flatten()[:SUMS, None]
    rest = (g * rates + (1 << shift - 1)) % (1 << shift)
    telling = sum(((rest < step) | (rest >= (1 << shift) - step)).long() for step in (rates, g.abs()))
    return int(rates[(telling * ((g * rates >> shift).abs() < f.update_bound)).sum(0).argmax()])


def sums_words(config, layer, sums, shape) -> list[int]:
    """Return the window sums of both phases, or means and differences, as words of the layer's array."""
    names = ("mean", "difference") if config.spec.schedule.fine else ("plus", "minus")
    rows = {name: layer_words(config, layer, each).tolist() for name, each in zip(names, sums, strict=True)}
    return [
        shape.const({name: rows[name][n] for name, _ in shape}).as_bits() for n in range(config.words(layer))
    ]


def pixel_words(shape, image) -> list[int]:
    """Return the image as words of its memory."""
    return [shape.const({"pixel": pixel}).as_bits() for pixel in image.flatten().tolist()]
