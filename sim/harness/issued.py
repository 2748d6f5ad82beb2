# amaranth: UnusedElaboratable=no
"""A source of samples with the `Issuer` and possibly a core, for benches."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.hw.core.interface import CoreSignature
from nudge.hw.link.interface import SampleSource
from nudge.hw.link.issuer import Issuer


class Issued(wiring.Component):
    """A source and the `Issuer`, connected as in `hw.system`. Its ports are theirs; those between them aren't.

    core: connected to the issuer, instead of the ports of a core; its ``spikes[0]`` and ``busy`` are the ports
    ``total`` and ``core_busy``. A second source then is the port ``other``.
    """

    def __init__(self, source, core=None):
        self.source, self.core, self.issuer = source, core, Issuer(source.config, 1 if core is None else 2)
        issuer, self.between = self.issuer.signature.members.items(), []
        ports = {name: member for name, member in source.signature.members.items() if name != "issue"}
        if core is not None:
            self.between = [name for name, _ in issuer if name in CoreSignature(source.config).members]
            ports |= {"other": In(SampleSource(source.config)), "total": Out(32), "core_busy": Out(1)}
        super().__init__(ports | {name: member for name, member in issuer if name not in (*self.between, "sources")})

    def elaborate(self, platform):
        m = Module()
        m.submodules.source, m.submodules.issuer = source, issuer = self.source, self.issuer
        connect(m, source.issue, issuer.sources[0])
        if self.core is not None:
            m.submodules.core = core = self.core
            connect(m, flipped(self.other), issuer.sources[1])
            m.d.comb += [self.total.eq(core.spikes[0]), self.core_busy.eq(core.busy)]
        for part in (source, issuer):
            for name, member in part.signature.members.items():
                outside = self.core if name in self.between and part is issuer else self
                if name in ("issue", "sources"):
                    continue
                if member.is_signature:
                    connect(m, flipped(getattr(self, name)), getattr(part, name))
                    continue
                mine, theirs = getattr(part, name), getattr(outside, name)
                m.d.comb += theirs.eq(mine) if member.flow is Out else mine.eq(theirs)
        return m
