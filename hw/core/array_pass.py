"""A pass of a neuron array over the words of its layer: the loop counters, delayed to each pipeline stage."""

from typing import Any, NamedTuple

from amaranth.hdl import Const, Signal

from nudge.golden.contract.config import Config
from nudge.golden.contract.shapes import Layer
from nudge.hw.lib.loops import counting


class At(NamedTuple):
    """Position of a pass at one pipeline stage."""

    #: High if the stage holds neurons.
    valid: Any
    #: Address in the state memory: word * turns + turn.
    part: Any
    #: Word of the layer.
    word: Any
    #: Turn within the word.
    turn: Any
    #: High in the word's last turn.
    last: Any


def pass_over(m, config: Config, layer: Layer, start, drives):
    """Build the loop counters of a pass, which ``start`` begins. A turn is processed in each cycle in which
    all streams of ``drives`` have a word; the words are taken in their last turn.

    Return the signal that is high while the pass runs, its position, and the word's channel group.
    """
    words, groups, turns = config.words(layer), config.groups(layer), config.turns(layer)
    running, word = Signal(), Signal(range(words))
    position, group = Signal(range(layer.positions)), Signal(range(groups))
    valid, part, turn, last = Signal(), word, Const(0), Const(1)
    if turns > 1:
        part, turn = Signal(range(words * turns), name="part"), Signal(range(turns), name="turn")
        last = Signal(name="last")
        m.d.comb += last.eq(turn == turns - 1)
    there = running
    for stream in drives:
        there &= stream.valid
    m.d.comb += valid.eq(there)
    for stream in drives:
        ready = running
        for other in drives:
            if other is not stream:
                ready &= other.valid
        m.d.comb += stream.ready.eq(ready & last)
    with m.If(valid):
        if turns > 1:
            m.d.sync += [part.eq(part + 1), turn.eq(turn + 1)]
        with m.If(last):
            m.d.sync += word.eq(word + 1)
            if turns > 1:
                m.d.sync += turn.eq(0)
            with counting(m, position, layer.positions):
                m.d.sync += group.eq(group + 1)
            with m.If(word == words - 1):
                m.d.sync += [word.eq(0), group.eq(0), running.eq(0)]
                if turns > 1:
                    m.d.sync += part.eq(0)
    with m.Elif(start):
        m.d.sync += running.eq(1)
    return running, At(valid, part, word, turn, last), group


def staged(m, number: int, before: At, turns: int) -> At:
    """Return the position of the pass at stage ``number``, one cycle after ``before``."""

    def held(name, value):
        if isinstance(value, Const):
            return value
        here = Signal.like(value, name=f"{name}{number}")
        m.d.sync += here.eq(value)
        return here

    at = before._replace(
        **{name: held(name, getattr(before, name)) for name in ("valid", "word", "turn", "last")}
    )
    return at._replace(part=at.word if turns == 1 else held("part", before.part))
