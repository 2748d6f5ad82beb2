# amaranth: UnusedElaboratable=no
"""A source of samples with the `Issuer` and possibly a core, for benches."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from nudge.hw.lib.ports import expose
from nudge.hw.link.interface import SampleSource
from nudge.hw.link.issuer import Issuer


class Issued(wiring.Component):
    """A source and the `Issuer`, connected as in `hw.system`. Its ports are theirs; those between them
    aren't.

    core: connected to the issuer, instead of the ports of a core; its ``spikes[0]`` and ``busy`` are the
    ports ``total`` and ``core_busy``. A second source then is the port ``other``.
    """

    def __init__(self, source, core=None):
        self.source, self.core, self.issuer = source, core, Issuer(source.config, 1 if core is None else 2)
        #: Ports of the issuer that aren't ports of this.
        self.inside = ["sources"]
        more = {}
        if core is not None:
            self.inside += [name for name in self.issuer.signature.members if name in core.signature.members]
            more = {"other": In(SampleSource(source.config)), "total": Out(32), "core_busy": Out(1)}
        parts = (source, ["issue"]), (self.issuer, self.inside)
        own = [
            (name, member)
            for part, out in parts
            for name, member in part.signature.members.items()
            if name not in out
        ]
        super().__init__(dict(own) | more)

    def elaborate(self, platform):
        m = Module()
        m.submodules.source, m.submodules.issuer = source, issuer = self.source, self.issuer
        connect(m, source.issue, issuer.sources[0])
        expose(m, self, source, "issue")
        expose(m, self, issuer, *self.inside)
        if self.core is not None:
            m.submodules.core = core = self.core
            connect(m, flipped(self.other), issuer.sources[1])
            expose(
                m, core, issuer, *(name for name in issuer.signature.members if name not in self.inside[1:])
            )
            m.d.comb += [self.total.eq(core.spikes[0]), self.core_busy.eq(core.busy)]
        return m
