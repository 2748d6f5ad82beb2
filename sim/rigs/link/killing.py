"""A training run whose process is killed at random moments and started again, until the run ends."""

import multiprocessing
import random
import signal
import time
from pathlib import Path

from nudge.golden.contract.presets import preset
from nudge.golden.training.data import load
from nudge.golden.training.plan import Plan
from nudge.golden.training.recover import train
from nudge.golden.training.run import Run
from nudge.golden.training.stop import Stop
from nudge.host.devices.open import open_board

SPEC = preset("tiny")


def carry_on(out: Path, board: str, plan: Plan, started) -> None:
    """Train as `nudge train` does, or `nudge resume` if there is a checkpoint; save at each commit."""
    run = Run.resume(out) if (out / "weights.safetensors").exists() else Run.begin(plan, SPEC, out)
    run.every, run.picture = 0.0, False
    with open_board(board, SPEC) as device:
        started.set()
        train(run, device, load("embedded"), Stop())


def wait(weights: Path, seconds: float, commits: int) -> None:
    """Wait for some seconds, or for `commits` new checkpoints on a machine so fast that the run would end."""
    deadline, saved, seen = time.monotonic() + seconds, written(weights), 0
    while time.monotonic() < deadline and seen < commits:
        time.sleep(0.001)
        if (now := written(weights)) != saved:
            saved, seen = now, seen + 1


def written(weights: Path) -> int:
    """Return the time of the last checkpoint in nanoseconds; 0 if there is none."""
    return weights.stat().st_mtime_ns if weights.exists() else 0


def killed_again_and_again(
    out: Path, board: str, plan: Plan, *, kills: int, longest: float, seed: int
) -> int:
    """Kill the run `kills` times, each up to `longest` seconds after it opened the board, then let it end.

    Returns the number of kills that hit a running process.
    """
    commits = plan.samples * plan.epochs // plan.batch // (2 * kills)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    chooser, alive = random.Random(seed), 0
    for number in range(kills + 1):
        started = context.Event()
        process = context.Process(target=carry_on, args=(out, board, plan, started))
        process.start()
        if number < kills:
            assert started.wait(60), "the board did not open"
            wait(out / "weights.safetensors", chooser.uniform(0, longest), commits)
            process.kill()
        process.join(300)
        assert process.exitcode is not None, "still running after 300 s"
        alive += process.exitcode == -signal.SIGKILL
    assert process.exitcode == 0
    return alive
