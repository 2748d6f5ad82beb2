"""The register file, generated from `protocol.registers`."""

from dataclasses import astuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from nudge.golden.contract import protocol
from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import Access, BuildFacts
from nudge.hw.core.interface import settings_layout
from nudge.hw.memory.interface import ADDRESS_BITS, INDEX_BITS

from .counters import Counters


def counter_names(config: Config, stores: bool = False) -> tuple[str, ...]:
    """Names of the counters that are kept in the register file."""
    more = tuple(status.name.lower() for status in protocol.COUNTED_STORED) if stores else ()
    return protocol.register_names(config.spec, protocol.COUNTERS) + more


class RegisterFile(wiring.Component):
    """Settings, the link's counters and the core's counters, at the addresses of `protocol.registers`.

    Latency: `exists` and `read_data` belong to the `address` of the cycle before, `writable` to `address` and
    `write_data` of the two cycles before; both must be unchanged until the cycle of the write. A
    written value is visible in the next cycle, and so is a change of `pending`. The other counters follow
    within `Counters.settling` cycles; they are 32 bits wide and wrap. If a clear and an increment come in the
    same cycle, the increment counts. There is no error state: a read of an address without a register gives
    0, a write without `writable` does nothing.

    Members
    -------
    address : In(8), write : In(1), write_data : In(32), read_data : Out(32)
    exists : Out(1)
        The `address` of the cycle before has a register.
    writable : Out(1)
        The register at the `address` of the two cycles before isn't read-only, and their `write_data` is
        within its low..high.
    settings : Out(settings_layout(config)), batch : Out(7)
        Values of the registers of these names.
    increment : In(one bit for each counter)
    commit : In(1)
        Sets `pending` to 0.
    pending : Out(7)
        Value of the register of this name, at most `batch`.
    clear : Out(1)
        High in the cycle of a write to `clear`.
    spikes : In(32) x layers 1..N, phase_cycles : In(32) x PHASES
        The core's counters.
    works : In(1), stored : In(18), store_end : In(24), forget : Out(1)
        With memory for samples: ``works``: its registers exist; ``stored``, ``store_end``: values of the
        registers of these names; ``forget``: high in the cycle of a write to `forget`.
    """

    def __init__(self, config: Config, build: BuildFacts | None = None, stores: bool = False):
        self.config, self.build, self.stores = config, build or BuildFacts(), stores
        store = {
            "works": In(1),
            "stored": In(INDEX_BITS + 1),
            "store_end": In(ADDRESS_BITS),
            "forget": Out(1),
        }
        batch = unsigned(config.spec.formats.max_batch.bit_length())
        super().__init__(
            {
                "address": In(8),
                "write": In(1),
                "write_data": In(32),
                "read_data": Out(32),
                "exists": Out(1),
                "writable": Out(1),
                "settings": Out(settings_layout(config)),
                "batch": Out(batch),
                "increment": In(data.StructLayout(dict.fromkeys(counter_names(config, stores), 1))),
                "commit": In(1),
                "pending": Out(batch),
                "clear": Out(1),
                "spikes": In(32).array(len(config.spec.bundles)),
                "phase_cycles": In(32).array(len(protocol.PHASES)),
            }
            | (store if stores else {})
        )

    def elaborate(self, platform):
        spec = self.config.spec
        registers = protocol.registers(spec, self.stores)
        stored = {
            r.name: Signal(range(r.high + 1), init=r.reset, name=r.name)
            for r in registers
            if r.access is Access.READ_WRITE
        }
        values = dict(stored) | {"pending": self.pending}
        values |= {
            name: Const(value, 32) for name, value in zip(protocol.BUILD, astuple(self.build), strict=True)
        }
        values |= {f"spikes_{layer.index}": self.spikes[layer.index - 1] for layer in spec.layers[1:]}
        values |= {f"cycles_{phase}": self.phase_cycles[n] for n, phase in enumerate(protocol.PHASES)}

        if self.stores:
            values |= {"stored": self.stored, "store_end": self.store_end}

        counted = counter_names(self.config, self.stores)
        for r in registers:
            if r.access is not Access.ACTION and r.name not in values and r.name not in counted:
                raise ValueError(f"register {r.name}: RegisterFile has neither a value nor a counter for it")

        m = Module()
        # one pair of comparators for all registers
        low, high = Signal(32), Signal(32)
        m.d.sync += self.writable.eq((self.write_data >= low) & (self.write_data <= high))
        m.d.sync += [low.eq(1), high.eq(0)]  # not writable
        shown = Signal(32)
        m.d.sync += [shown.eq(0), self.exists.eq(0)]
        with m.Switch(self.address):
            for r in registers:
                with m.Case(r.address):
                    of_the_store = r.address in protocol.STORED
                    m.d.sync += self.exists.eq(self.works if of_the_store else 1)
                    if r.access is not Access.READ:
                        highest = Mux(self.works, r.high, 0) if of_the_store else r.high
                        m.d.sync += [low.eq(r.low), high.eq(highest)]
                    if r.access is Access.ACTION:
                        m.d.comb += getattr(self, r.name).eq(self.write & self.writable)
                    elif r.name in values:
                        m.d.sync += shown.eq(values[r.name])
                    if r.access is Access.READ_WRITE:
                        with m.If(self.write & self.writable):
                            m.d.sync += values[r.name].eq(self.write_data)

        # `pending` decides about refusals, so it must be current; all other counters are in a memory
        m.d.sync += self.pending.eq(Mux(self.commit, 0, self.pending) + self.increment.pending)
        names = [name for name in counted if name != "pending"]
        m.submodules.counters = counters = Counters(len(names))
        place, counting = Signal(range(len(names))), Signal()
        m.d.comb += [
            counters.increment.eq(Cat(self.increment[name] for name in names)),
            counters.clear.eq(self.clear),
            counters.address.eq(place),
            self.read_data.eq(Mux(counting, counters.value, shown)),
        ]
        addresses = {r.name: r.address for r in registers}
        m.d.sync += counting.eq(0)
        with m.Switch(self.address):
            for n, name in enumerate(names):
                with m.Case(addresses[name]):
                    m.d.comb += place.eq(n)
                    m.d.sync += counting.eq(1)

        m.d.comb += [
            self.settings.free_steps.eq(stored["free_steps"]),
            self.settings.nudged_steps.eq(stored["nudged_steps"]),
            self.settings.beta.eq(stored["beta"]),
            self.batch.eq(stored["batch"]),
        ]
        for bundle in spec.bundles:
            m.d.comb += [
                self.settings.weight_rate[bundle.index - 1].eq(stored[f"weight_rate_{bundle.index}"]),
                self.settings.bias_rate[bundle.index - 1].eq(stored[f"bias_rate_{bundle.index}"]),
            ]
        return m
