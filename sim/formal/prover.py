"""Proofs by k-induction: the assertions about a component hold in every reachable state, for all inputs.

A proof is a `Module` that contains the component, `Assert`s and `Assume`s. Yosys' SAT solver shows that the
assertions hold in the first `depth` cycles after power-up (base case), and that they hold in a cycle if they
held in the `depth` cycles before it (induction step). Reset is assumed to stay low. Large memories may be
freed: a freed memory returns arbitrary data, so the proof holds for any contents.
"""

import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from nudge.boards.toolchain import tools

#: Time limit of a proof in seconds.
SECONDS = 900


class ProofError(AssertionError):
    """An assertion can fail, or couldn't be proved within the depth; with the end of Yosys' log."""


class Opened:
    """A component as a submodule `name` of `m`, with access to its inner signals by name: `opened["full"]`.

    Assertions about inner signals are invariants for the induction step; the claims of a proof are about the
    ports.
    """

    def __init__(self, m: Module, dut: wiring.Component, name: str = "dut"):
        self.dut = dut
        inner = dut.elaborate(None)
        #: Signals that the component itself drives, in the order of its source.
        self.signals = list(inner._driving)
        self._signals = {signal.name: signal for signal in self.signals}
        self._fsm = inner._generated.get("fsm")
        #: Its named submodules.
        self.parts = {name: part for name, (part, *_) in inner._named_submodules.items()}
        m.submodules[name] = inner
        m.d.comb += Assume(~ResetSignal("sync"))

    def __getitem__(self, name: str) -> Signal:
        return self._signals[name]

    def state(self, name: str) -> Value:
        """Return whether the component's state machine is in this state."""
        return self._fsm.state == self._fsm.encoding[name]

    @property
    def inputs(self) -> list[Value]:
        """The component's inputs."""
        return [
            Value.cast(value)
            for _, member, value in self.dut.signature.flatten(self.dut)
            if member.flow is In
        ]


def past(m: Module, value) -> Signal:
    """Return a value delayed by one cycle; 0 in the first cycle."""
    before = Signal.like(Value.cast(value), name="past")
    m.d.sync += before.eq(value)
    return before


def started(m: Module) -> Signal:
    """Return a signal that is low only in the first cycle, in which `past` has no value."""
    flag = Signal()
    m.d.sync += flag.eq(1)
    return flag


def keeps_its_offer(m: Module, stream) -> list:
    """Return a stream's rule as an assertion: valid and payload stay until ready is high."""
    held = past(m, stream.valid & ~stream.ready)
    payload = Value.cast(stream.payload)
    return [Assert(~held | (stream.valid & (payload == past(m, payload))))]


def prove(m: Module, inputs: list[Value], *, depth: int, free: tuple[str, ...] = ()) -> None:
    """Prove every assertion of `m`, or raise `ProofError`; `ToolError` if Yosys takes longer than `SECONDS`.

    depth: maximum length of the induction. free: names of memories that return arbitrary data.
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
        raise ProofError(output[output.rfind("Solving problem") :])
