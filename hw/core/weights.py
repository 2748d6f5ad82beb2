"""The weights of a bundle: their memory and its commit, with the host's access by lanes."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from nudge.golden.contract.config import Config
from nudge.golden.contract.protocol import MASTER_BITS
from nudge.golden.contract.shapes import Bundle
from nudge.hw.lib.ports import expose

from .centred_commit import CentredCommit
from .commit import Commit
from .weight_memory import WeightMemory


class Weights(wiring.Component):
    """A `WeightMemory` with a `Commit`, or with a `CentredCommit` if the network's commits are centred.

    Members: those of both, except ``masters``, which connects them.
    """

    def __init__(self, config: Config, bundle: Bundle):
        self.config, self.bundle = config, bundle
        self.memory = WeightMemory(config, bundle)
        self.engine = (CentredCommit if config.spec.schedule.centred else Commit)(config, bundle)
        self.lanes, self.depth = self.memory.lanes, self.memory.depth
        members = dict(self.memory.signature.members) | dict(self.engine.signature.members)
        super().__init__({name: member for name, member in members.items() if name != "masters"})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory, m.submodules.commit = self.memory, self.engine
        connect(m, self.engine.masters, self.memory.masters)
        for part in (self.memory, self.engine):
            expose(m, self, part, "masters")
        return m

    def serve_lanes(self, m, host, address):
        """Build the host's access, one lane at a time, in the module that contains this memory.

        Words are assembled and split next to their memory, so only single lanes cross the part. ``host`` has
        the `CoreSignature`; ``address`` is its address, one cycle later.
        """
        n = self.bundle.index
        mine = host.bundle == n - 1
        gathered = Signal.like(self.write_data, name=f"gathered_{n}", reset_less=True)
        chosen = Signal(MASTER_BITS, name=f"chosen_{n}", reset_less=True)
        store = Signal(name=f"store_{n}")
        m.d.comb += [self.address.eq(address), self.write_data.eq(gathered), self.write.eq(store)]
        m.d.sync += store.eq(host.write & mine & ~host.busy & (host.lane == self.lanes - 1))
        for lane in range(self.lanes):
            with m.If(host.write & mine & (host.lane == lane)):
                m.d.sync += gathered[lane].eq(host.write_data.as_signed())
        with m.Switch(host.lane):
            for lane in range(self.lanes):
                with m.Case(lane):
                    m.d.sync += chosen.eq(self.read_data[lane].as_unsigned())
        with m.If(mine):
            m.d.sync += host.read_data.eq(chosen)
