"""Proofs by k-induction: what is asserted of a component holds in every state that it can reach, for any inputs.

A proof is a `Module` with the component in it and `Assert`s and `Assume`s beside it. Yosys' SAT solver shows that the
assertions hold for the first `depth` cycles after power-up (base case), and that after any `depth` cycles in which they held
they hold in the next (induction step). Reset is assumed to stay low. Large memories may be freed: then they return
anything at all, and what is proved holds whatever they hold.
"""

import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from boards.toolchain import tools

#: Seconds after which a proof has gone wrong.
SECONDS = 900


class ProofError(AssertionError):
    """An assertion can fail, or could not be shown not to within the depth; the message holds Yosys' last lines."""


class Opened:
    """A component as a submodule of `m`, named `dut` or else, with its inner signals by name: `opened["full"]`.

    What is asserted about the inner state makes the induction go through; the claims are about the ports.
    """

    def __init__(self, m: Module, dut: wiring.Component, name: str = "dut"):
        self.dut = dut
        inner = dut.elaborate(None)
        #: All that it drives itself, in the order in which that is written.
        self.signals = list(inner._driving)
        self._signals = {signal.name: signal for signal in self.signals}
        self._fsm = inner._generated.get("fsm")
        #: Its own parts, by name.
        self.parts = {name: part for name, (part, *_) in inner._named_submodules.items()}
        m.submodules[name] = inner
        m.d.comb += Assume(~ResetSignal("sync"))

    def __getitem__(self, name: str) -> Signal:
        return self._signals[name]

    def state(self, name: str) -> Value:
        """Whether its state machine is in this state."""
        return self._fsm.state == self._fsm.encoding[name]

    @property
    def inputs(self) -> list[Value]:
        """The component's inputs."""
        return [Value.cast(value) for _, member, value in self.dut.signature.flatten(self.dut) if member.flow is In]


def past(m: Module, value) -> Signal:
    """A value as it was in the cycle before; 0 in the first."""
    before = Signal.like(Value.cast(value), name="past")
    m.d.sync += before.eq(value)
    return before


def started(m: Module) -> Signal:
    """Low in the first cycle alone: there is no cycle before it."""
    flag = Signal()
    m.d.sync += flag.eq(1)
    return flag


def keeps_its_offer(m: Module, stream) -> list:
    """The rule of streams: what is offered stays, payload too, until it is taken."""
    held = past(m, stream.valid & ~stream.ready)
    payload = Value.cast(stream.payload)
    return [Assert(~held | (stream.valid & (payload == past(m, payload))))]


def prove(m: Module, inputs: list[Value], *, depth: int, free: tuple[str, ...] = ()) -> None:
    """`ProofError` unless every assertion of `m` is proved; `ToolError` if Yosys isn't done in time.

    free: names of memories that may return anything.
    """
    with tempfile.TemporaryDirectory(prefix="nudge-proof-") as folder:
        text = rtlil.convert(m, name="top", ports=inputs, emit_src=False)
        (Path(folder) / "proof.il").write_text(text)
        steps = ["read_rtlil proof.il", "hierarchy -top top", "proc", "flatten", "memory_collect"]
        steps += [f"delete t:$mem_v2 c:*{name}* %i" for name in free]
        steps += ["memory_map", "opt -fast", "async2sync", "chformal -lower", "opt_clean"]
        steps += [f"sat -tempinduct -prove-asserts -set-assumes -seq 1 -maxsteps {depth} -verify"]
        log = Path(folder) / "yosys.log"
        failure = tools.run(["yosys", "-p", "; ".join(steps)], "yowasp", Path(folder), log, seconds=SECONDS)
        output = log.read_text(errors="replace")
    if failure or "Induction step proven: SUCCESS!" not in output:
        raise ProofError("\n".join(output.splitlines()[-70:]))
