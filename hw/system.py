"""Link, registers and core: a board's logic except the serial receiver and transmitter."""

from amaranth.hdl import Module, Mux
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import (
    COUNTED,
    COUNTED_STORED,
    PHASES,
    BuildFacts,
    Command,
    Identity,
    payload_bytes,
    request_bytes,
)
from nudge.hw.compact.compact_core import CompactCore
from nudge.hw.core.core import Core
from nudge.hw.core.interface import samples_in_flight
from nudge.hw.link.decoder import Decoder
from nudge.hw.link.deframer import Deframer
from nudge.hw.link.framer import Framer
from nudge.hw.link.issuer import Issuer
from nudge.hw.link.line_samples import LineSamples
from nudge.hw.link.record_access import RecordAccess
from nudge.hw.link.register_access import RegisterAccess
from nudge.hw.link.registers import RegisterFile
from nudge.hw.link.stored_samples import StoredSamples
from nudge.hw.link.weight_access import WeightAccess
from nudge.hw.memory.image_store import ImageStore
from nudge.hw.memory.interface import Port


class System(wiring.Component):
    """Receives requests and sends answers as bytes: deframer -> decoder -> executors -> framer, around the
    core.

    Parameters
    ----------
    config : Config
    identity : Identity
        The answer to HELLO; its link window is the number of frame buffers and of stored answers.
    core : Component with `CoreSignature(config)`, optional
        Replaces the core that `config` selects.
    build : BuildFacts, optional
        Values of the registers that identify the build of the bitstream.

    Members
    -------
    i : In(stream.Signature(8))
        Bytes of requests, as in `Deframer`: ready again within `MAX_BYTE_CYCLES`. A frame that can't
        be stored is dropped and counted.
    o : Out(stream.Signature(8))
        Bytes of answers.
    framing : In(1)
        Strobe for each byte that the serial receiver dropped because of its stop bit.
    busy : Out(1)
        The core is busy.
    phase : Out(len(PHASES))
        The phase to which the core's cycles are counted; one hot, or 0.
    error : Out(1)
        A frame or byte was refused or dropped since reset or since the counters were cleared.
    memory : Out(Port()), tested : In(1), works : In(1)
        If ``identity`` has a capacity: ``port``, ``ready`` and ``works`` of the `hw.memory.memory.Memory` for
        samples.
    """

    def __init__(self, config: Config, identity: Identity, core=None, build: BuildFacts | None = None):
        self.config, self.identity, self.build = config, identity, build or BuildFacts()
        self.stores = identity.capacity > 0
        self.core = core or (CompactCore if config.compact else Core)(config)
        byte = stream.Signature(8)
        lights = {"busy": Out(1), "phase": Out(len(PHASES)), "error": Out(1)}
        memory = {"memory": Out(Port()), "tested": In(1), "works": In(1)} if self.stores else {}
        super().__init__({"i": In(byte), "o": Out(byte), "framing": In(1)} | lights | memory)

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core
        window, frame_bytes = self.identity.window, request_bytes(self.config.spec)
        payloads, in_flight = payload_bytes(self.config.spec), samples_in_flight(self.config)
        m.submodules.deframer = deframer = Deframer(window, frame_bytes)
        m.submodules.decoder = decoder = Decoder(
            self.identity.encode(), window, in_flight, payloads, frame_bytes, self.stores
        )
        m.submodules.registers = registers = RegisterFile(self.config, self.build, self.stores)
        m.submodules.register_access = register_access = RegisterAccess(frame_bytes)
        m.submodules.weight_access = weight_access = WeightAccess(self.config)
        m.submodules.line_samples = line = LineSamples(self.config)
        m.submodules.issuer = issuer = Issuer(self.config, 2 if self.stores else 1)
        m.submodules.framer = framer = Framer(window)

        connect(m, flipped(self.i), deframer.i)
        connect(m, deframer.o, decoder.i)
        connect(m, decoder.o, framer.i)
        connect(m, framer.o, flipped(self.o))
        connect(m, decoder.registers, register_access.execute)
        connect(m, decoder.weights, weight_access.execute)
        connect(m, decoder.samples, line.execute)
        connect(m, line.issue, issuer.sources[0])

        def wire(source, sink, *names):
            m.d.comb += [getattr(sink, name).eq(getattr(source, name)) for name in names]

        # the core reads the frame buffer while it needs an image; weights are accessed while the core is idle
        m.d.comb += [
            deframer.buffer.address.eq(Mux(core.holding, line.buffer.address, weight_access.buffer.address)),
            weight_access.buffer.data.eq(deframer.buffer.data),
            line.buffer.data.eq(deframer.buffer.data),
        ]
        wire(decoder, framer, "write", "slot", "address", "data")

        wire(register_access, registers, "address", "write", "write_data")
        wire(registers, register_access, "read_data", "exists", "writable")

        wire(registers, issuer, "batch", "pending")
        wire(weight_access, issuer, "written")
        m.d.comb += weight_access.pending.eq(registers.pending != 0)

        wire(issuer, core, "start", "operation", "label", "pixel")
        wire(core, issuer, "ready", "holding", "done", "busy", "prediction", "pixel_address")
        wire(weight_access, core, "bundle", "address", "lane", "write", "write_data")
        wire(core, weight_access, "read_data")
        wire(registers, core, "settings")
        m.d.sync += core.clear.eq(registers.clear)  # registered: a long wire whose latency doesn't matter
        for mine, theirs in zip(registers.spikes, core.spikes, strict=True):
            m.d.comb += mine.eq(theirs)
        for mine, theirs in zip(registers.phase_cycles, core.phase_cycles, strict=True):
            m.d.comb += mine.eq(theirs)

        # `pending` without delay; the others are registered: long wires whose latency doesn't matter
        increment = registers.increment
        m.d.comb += increment.pending.eq(issuer.trained)
        m.d.sync += [
            increment.frames.eq(deframer.good),
            increment.overruns.eq(deframer.overrun),
            increment.framing.eq(self.framing),
            increment.duplicates.eq(decoder.repeated),
            increment.samples.eq(issuer.sampled),
            increment.errors.eq(issuer.mistaken),
        ]
        m.d.comb += [
            registers.commit.eq(issuer.committed),
            self.busy.eq(core.busy),
            self.phase.eq(core.phase),
        ]
        for status in COUNTED + (COUNTED_STORED if self.stores else ()):
            refused = decoder.refused & (decoder.status == status)
            m.d.sync += getattr(increment, status.name.lower()).eq(refused)
        with m.If(core.clear):
            m.d.sync += self.error.eq(0)
        with m.If(decoder.refused | deframer.overrun | self.framing):
            m.d.sync += self.error.eq(1)
        if self.stores:
            self._store(m, wire, deframer, decoder, registers, issuer)
        return m

    def _store(self, m, wire, deframer, decoder, registers, issuer):
        """Adds the store of samples and its executors."""
        m.submodules.store = store = ImageStore()
        m.submodules.record_access = record_access = RecordAccess()
        m.submodules.stored_samples = stored = StoredSamples(self.config)
        connect(m, store.port, flipped(self.memory))
        connect(m, decoder.records, record_access.execute)
        connect(m, decoder.stored, stored.execute)
        for name in ("record", "data", "range"):
            connect(m, getattr(record_access, name), getattr(store, name))
        connect(m, stored.move, store.move)
        connect(m, store.found, stored.found)
        wire(store, record_access, "digest", "count", "end")
        connect(m, stored.issue, issuer.sources[1])
        wire(store, stored, "count", "pixel")
        wire(stored, store, "address")
        wire(registers, store, "forget")
        m.d.comb += [
            decoder.tested.eq(self.tested),
            decoder.works.eq(self.works),
            registers.works.eq(self.works),
            registers.stored.eq(store.count),
            registers.store_end.eq(store.end),
            record_access.buffer.data.eq(deframer.buffer.data),
            stored.buffer.data.eq(deframer.buffer.data),
        ]
        frame = deframer.buffer.address
        with m.If(decoder.i.payload.command == Command.STORE):
            m.d.comb += frame.eq(record_access.buffer.address)
        with m.Elif(
            (decoder.i.payload.command == Command.TRAIN_STORED)
            | (decoder.i.payload.command == Command.INFER_STORED)
        ):
            m.d.comb += frame.eq(stored.buffer.address)
