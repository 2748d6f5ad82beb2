# amaranth: UnusedElaboratable=no
"""Proofs about the decoder, for all inputs and all time."""

import pytest
from amaranth.hdl import Assert, Assume, Module, Mux, Signal, Value

from nudge.golden.contract.protocol import PAYLOAD_BYTES, STORED_PAYLOAD_BYTES, VALUE_BYTES, Command
from nudge.hw.link.decoder import Decoder

from .prover import Opened, ProofError, keeps_its_offer, past, prove


class PlayedSamples:
    """A `SampleExecutor` with its contract as assumptions. `flight`: number of taken samples without an
    answer yet; `speaking`: an answer is being sent; `alone`: the request was started while the executor was
    idle."""

    def __init__(self, m: Module, dut: Decoder, running: Value):
        samples, request = dut.samples, dut.i.payload
        self.flight, self.speaking, alone = Signal(4), Signal(), Signal()
        # taken or done comes once after start; a request that was started beside samples ends with taken, and
        # only samples do
        sample = (request.command == Command.INFER) | (request.command == Command.TRAIN)
        waits = dut.i.valid & ~dut.i.ready
        steady = past(m, waits & past(m, waits))
        m.d.comb += [
            Assume(~samples.taken | (running & sample & ~self.speaking)),
            Assume(~(samples.taken & (samples.done | samples.o.valid))),
            Assume(~(samples.done | samples.o.valid) | (running & alone) | self.speaking),
            # `fits` is about a sample offered in the two cycles before, and stays
            Assume(~(samples.fits & steady) | sample),
            Assume(~past(m, samples.fits & steady & waits & ~samples.start) | samples.fits),
            # `finished` stays until `say`
            Assume(~samples.finished | (self.flight != 0) & ~self.speaking),
            Assume(~past(m, samples.finished & ~samples.say) | samples.finished),
            Assume(~samples.idle | (self.flight == 0)),
            # the core rests until something is started
            Assume(~past(m, samples.idle & ~samples.start) | samples.idle),
        ]
        with m.If(samples.start):
            m.d.sync += alone.eq(samples.idle)
        with m.If(samples.say):
            m.d.sync += self.speaking.eq(1)
        with m.Elif(self.speaking & samples.done):
            m.d.sync += self.speaking.eq(0)
        ends = self.speaking & samples.done
        m.d.sync += self.flight.eq(self.flight + samples.taken - ends)
        # the decoder's part of the contract
        m.d.comb += [
            Assert(~samples.say | samples.finished & ~running),
            Assert(~(samples.start & ~samples.idle) | samples.fits & steady),
            Assert(~(self.speaking & running)),
            Assert(~self.speaking | (self.flight != 0)),
        ]
        self.alone = alone


def request_ends(dut: Decoder, name: str) -> Value:
    """Return whether an executor ends its request: with `done`, or the one of samples with `taken` too."""
    executor = getattr(dut, name)
    return executor.done | executor.taken if name == "samples" else executor.done


def running_executors(m: Module, dut: Decoder) -> Signal:
    """Return a signal with a bit for each executor that runs. Assume the contract of executors, except of
    that of samples: done comes once after start, and payload only while running."""
    running = Signal(len(dut.executors))
    for n, name in enumerate(dut.executors):
        executor = getattr(dut, name)
        if name != "samples":
            m.d.comb += Assume(~(executor.done | executor.o.valid) | running[n])
        with m.If(executor.start):
            m.d.sync += running[n].eq(1)
        with m.Elif(request_ends(dut, name)):
            m.d.sync += running[n].eq(0)
    return running


def decoder(
    window: int = 2, in_flight: int = 4, stores: bool = False
) -> tuple[Module, Opened, Decoder, Signal, PlayedSamples]:
    """Return a module with the assertions, the opened decoder in it, the decoder, a signal with a bit for
    each executor that runs, and the `PlayedSamples`."""
    m = Module()
    identity = b"id" + bytes(4 * stores)
    opened = Opened(m, dut := Decoder(identity, window, in_flight, stores=stores))
    if stores:
        # the contract of the memory's test: `tested` rises once, and `works` then stays
        tested = past(m, dut.tested)
        m.d.comb += Assume(~tested | dut.tested & (dut.works == past(m, dut.works)))
    mine = list(dut.executors).index("samples")
    starts = sum(getattr(dut, name).start for name in dut.executors)
    begun = Signal()
    m.d.comb += begun.eq(starts != 0)
    running = running_executors(m, dut)
    played = PlayedSamples(m, dut, running[mine])
    # the contract of the deframer: an offered frame stays until it is taken
    held = past(m, dut.i.valid & ~dut.i.ready)
    m.d.comb += Assume(
        ~held | (dut.i.valid & (dut.i.payload.as_value() == past(m, dut.i.payload.as_value())))
    )

    request, known, last = dut.i.payload, Signal(), Signal(8)
    execute, say, saying = opened.state("EXECUTE"), opened.state("SAY"), request.command == Command.HELLO
    hello = opened["saying"]  # the identity is being written
    with m.If(hello | begun):
        m.d.sync += [known.eq(1), last.eq(request.sequence)]
    m.d.comb += Assert(~begun | (known & (request.sequence == (last + 1)[:8]) & (starts == 1)))
    m.d.comb += keeps_its_offer(m, dut.o)
    answers_in_order(m, opened, played)
    # invariants for the induction step
    executed, upcoming, taken = opened["executed"], opened["upcoming"], opened["taken"]
    flight, done = played.flight, opened["done"]
    m.d.comb += [Assert(executed <= window), Assert(sum(running) <= 1), Assert(known | (executed == 0))]
    m.d.comb += [
        Assert((running == 0) | execute),
        Assert(~played.speaking | say),
        Assert(taken == flight + (say & done)),
    ]
    m.d.comb += Assert(~say | Mux(played.speaking, ~done, done))
    m.d.comb += Assert(execute | (executed == 0) | (upcoming == (last + 1)[:8]))
    m.d.comb += Assert((flight == 0) | (executed >= taken))
    length = opened["length"]
    current = known & (last == request.sequence)
    whole = len(identity)
    if stores:
        whole = Mux(dut.works, whole, whole - VALUE_BYTES)
    said = (running == 0) & (length <= whole) & ((length == 0) | current)
    m.d.comb += [
        Assert(~execute | Mux(saying, said & ~done, ((running != 0) ^ done) & current)),
        Assert(~done | execute | say),
    ]
    m.d.comb += Assert(~execute | (taken < dut.most_taken))
    # if samples are in flight, the running request is a sample that was started beside them
    m.d.comb += Assert(~execute | (flight == 0) | (running[mine] & ~played.alone))
    checked, judged = opened.state("SEQUENCE"), opened.state("JUDGE")
    m.d.comb += Assert(opened["saying"] == (execute & saying & (length != whole)))
    if stores:
        m.d.comb += Assert(~(judged | checked | execute) | tested)
    states = ("CHECK", "JUDGE", "SEQUENCE", "EXECUTE", "SAY", "ANSWER")
    m.d.comb += Assert(sum(opened.state(name) for name in states) == 1)
    sizes = PAYLOAD_BYTES | (STORED_PAYLOAD_BYTES if stores else {})
    legal = sum(request.command == command for command in sizes) != 0
    m.d.comb += Assert(~(execute | checked) | (dut.i.valid & legal))
    m.d.comb += Assert(~judged | dut.i.valid & ((opened["why"] != 0) | legal))
    m.d.comb += Assert(~(judged | checked) | (length == 0))
    m.d.comb += Assert(~(judged | checked | execute) | (opened["answered"] == request.sequence))
    m.d.comb += Assert(~say | (opened["answered"] == (upcoming - taken)[:8]))
    # in SEQUENCE the comparisons made in JUDGE are current
    m.d.comb += Assert(~checked | (opened["following"] == ((executed != 0) & (request.sequence == upcoming))))
    return m, opened, dut, running, played


def answers_in_order(m: Module, opened: Opened, played: PlayedSamples) -> None:
    """Assert that each answer belongs to the oldest unanswered request, and that a refusal or repetition is
    sent only when no request is unanswered.

    Unanswered requests are counted from the starts and from the answers that are passed to the framer.
    """
    dut, answer, request = opened.dut, opened.dut.o.payload, opened.dut.i.payload
    execute, offered = opened.state("EXECUTE"), opened.state("ANSWER")
    begun = execute & ~past(m, execute)
    aside = past(m, (dut.refused & ~execute) | dut.repeated)
    replied = offered & ~past(m, offered)
    answered = replied & ~aside
    owed, oldest = Signal(4), Signal(8)
    m.d.sync += owed.eq(owed + begun - answered)
    with m.If(begun & (owed == 0)):
        m.d.sync += oldest.eq(request.sequence)
    with m.Elif(answered):
        m.d.sync += oldest.eq(oldest + 1)
    m.d.comb += Assert(~(replied & aside) | (owed == 0))
    m.d.comb += Assert(~answered | ((owed != 0) & (answer.sequence == oldest)))
    # invariants for the induction step
    taken, upcoming = opened["taken"], opened["upcoming"]
    alone = execute & ~begun
    m.d.comb += [
        Assert(owed == taken + alone + answered),
        Assert(((taken == 0) & ~answered) | ((oldest + taken + answered)[:8] == upcoming)),
        Assert(~alone | (taken != 0) | (oldest == request.sequence)),
        Assert(~execute | (request.command == Command.HELLO) | (request.sequence == upcoming)),
        Assert(~execute | (request.command != Command.HELLO) | (taken == 0)),
        Assert(~(replied & aside) | (taken == 0)),
    ]


@pytest.mark.parametrize(
    ("window", "in_flight", "stores"),
    [(1, 4, False), (2, 4, False), (8, 1, False), (8, 4, False), (2, 4, True)],
)
def test_decoder(window, in_flight, stores):
    """Each request is started at most once, in the order of sequence numbers; answers stay until taken and
    have the order of their requests; each taken sample gets one answer, and at most `most_taken` samples are
    in flight."""
    m, opened, dut, _, played = decoder(window, in_flight, stores)
    m.d.comb += [Assert(played.flight <= dut.most_taken), Assert(opened["taken"] <= dut.most_taken)]
    prove(m, opened.inputs, depth=5)


def test_samples_do_overlap_in_what_is_assumed_of_them():
    """The assumptions allow `most_taken` samples in flight."""
    m, opened, dut, _, played = decoder()
    m.d.comb += Assert(played.flight < dut.most_taken)
    with pytest.raises(ProofError, match="model found for base case"):
        prove(m, opened.inputs, depth=40)


@pytest.mark.parametrize("stores", [False, True])
def test_decoder_never_waits_for_ever(stores):
    """Each frame is taken within a few cycles, if framer, executors and core take only a few."""
    m, opened, dut, running, played = decoder(stores=stores)
    m.d.comb += Assume(dut.o.ready)
    if dut.stores:
        m.d.comb += Assume(dut.tested)
    for n, name in enumerate(dut.executors):
        m.d.comb += Assume(
            request_ends(dut, name) == (running[n] | (played.speaking if name == "samples" else 0))
        )
    under_way = (played.flight != 0) & ~played.speaking
    m.d.comb += Assume(~(under_way & past(m, under_way)) | dut.samples.finished)
    m.d.comb += Assume(dut.samples.idle == (played.flight == 0))
    waited = Signal(8)
    m.d.sync += waited.eq(Mux(dut.i.valid & ~dut.i.ready, waited + 1, 0))
    m.d.comb += Assert(waited <= 24)
    prove(m, opened.inputs, depth=32)
