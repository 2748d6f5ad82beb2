"""Sweeps on real worker processes: every run has the weights that `nudge train` alone gives it."""

import os
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from nudge.golden.training import checkpoint
from nudge.host.cli.main import main
from nudge.host.sweep import sweep_file, table
from nudge.host.sweep.sweep import Display, Sweep, best, sweep
from nudge.host.sweep.table import RUNS, TABLE, Row, State
from nudge.plumbing import cluster as plumbing_cluster
from nudge.plumbing.cluster import Cluster
from nudge.plumbing.errors import ClusterError, PlanError

TRAIN = {"preset": "tiny", "data": "embedded", "samples": 200, "epochs": 2, "held-out": 50}
GRID = {"train": TRAIN, "vary": {"learning.gain": [0.7, 1.0], "seed": [1, 2]}}


class Recorder(Display):
    """Remembers what is shown."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.before = 0

    def begin(self, folder: Path, total: int, rows: list[Row], dashboard: str) -> None:
        self.before = len(rows)

    def told(self, name: str, said: dict[str, Any]) -> None:
        self.said.append((name, said))

    def ended(self, row: Row) -> None:
        self.rows.append(row)


def carried_out(
    cluster: Cluster,
    document: dict[str, Any],
    out: Path,
    display: Display | None = None,
    resume: bool = False,
):
    return Sweep(sweep_file.of(document), out, resume=resume).carry_out(cluster, display or Display())


def weights(run: Path) -> list[Any]:
    _, parameters, _ = checkpoint.load(checkpoint.find(run))
    return [tensor.tolist() for tensor in (*parameters.weights, *parameters.biases)]


def alone(run: Path, out: Path) -> list[Any]:
    """Return the weights of the command that the run records, trained into another folder."""
    _, _, found = checkpoint.load(checkpoint.find(run))
    program, *words = shlex.split(found.command)
    assert program == "nudge"
    assert main([*words, "--out", str(out)]) == 0
    return weights(out)


def test_a_grid_has_the_weights_of_single_runs(tmp_path, cluster):
    shown = Recorder()
    rows = carried_out(cluster, GRID, tmp_path / "sweep", shown)
    assert [row.values for row in rows] == [
        {"learning.gain": g, "seed": s} for g in (0.7, 1.0) for s in (1, 2)
    ]
    assert {row.state for row in rows} == {State.DONE}
    assert sorted(row.run for row in shown.rows) == sorted(row.run for row in rows)
    for row in rows:
        # held out: the test set isn't asked
        assert (row.figures.epochs, row.figures.test_percent) == (2, None)
        run = tmp_path / "sweep" / RUNS / row.run
        assert weights(run) == alone(run, tmp_path / row.run)
    found = best(rows)
    assert found is not None
    assert found.figures.held_out_percent == min(row.figures.held_out_percent for row in rows)
    assert [row.run for row in table.read(tmp_path / "sweep" / TABLE)] == [row.run for row in rows]


def test_a_run_that_fails_is_a_row_and_is_tried_again(tmp_path, cluster):
    document = {"train": TRAIN | {"epochs": 1}, "vary": {"seed": [1, 2]}}
    names = [row.run for row in carried_out(cluster, document, tmp_path / "first")]
    (tmp_path / "second" / RUNS).mkdir(parents=True)
    (tmp_path / "second" / RUNS / names[0]).write_text("in the way")
    rows = carried_out(cluster, document, tmp_path / "second")
    assert [row.state for row in rows] == [State.FAILED, State.DONE]
    assert names[0] in rows[0].error
    (tmp_path / "second" / RUNS / names[0]).unlink()
    shown = Recorder()
    rows = carried_out(cluster, document, tmp_path / "second", shown, resume=True)
    assert [row.state for row in rows] == [State.DONE, State.DONE]
    assert (shown.before, [row.run for row in shown.rows]) == (1, names[:1])
    assert weights(tmp_path / "second" / RUNS / names[0]) == weights(tmp_path / "first" / RUNS / names[0])


class Killer(Recorder):
    """Kills a worker process as soon as a run has told of progress."""

    def __init__(self, cluster: Cluster):
        super().__init__()
        self._pids, self.killed = list(cluster._client.run(os.getpid).values()), 0

    def told(self, name: str, said: dict[str, Any]) -> None:
        super().told(name, said)
        if not self.killed and said["done"] > 0:
            self.killed = self._pids[0]
            os.kill(self.killed, signal.SIGKILL)


def test_the_runs_of_a_killed_worker_are_made_again(tmp_path, cluster):
    document = {"train": TRAIN | {"samples": 900, "epochs": 12}, "vary": {"seed": [1, 2]}}
    killer = Killer(cluster)
    rows = carried_out(cluster, document, tmp_path / "killed", killer)
    assert killer.killed
    assert [row.state for row in rows] == [State.DONE, State.DONE]
    run = tmp_path / "killed" / RUNS / rows[0].run
    assert weights(run) == alone(run, tmp_path / "alone")


def test_a_search_goes_on_where_it_was_interrupted(tmp_path, cluster):
    class Interrupts(Recorder):
        def ended(self, row: Row) -> None:
            super().ended(row)
            if len(self.rows) == 2:
                raise KeyboardInterrupt

    train = TRAIN | {"samples": 100, "epochs": 1}
    vary = {"lr-scale": {"low": 0.5, "high": 2.0, "log": True}, "learning.rates": [[0.5, 0.16], [0.3, 0.1]]}
    document = {"train": train, "search": {"trials": 6, "seed": 3}, "vary": vary}
    out = tmp_path / "search"
    with pytest.raises(KeyboardInterrupt):
        carried_out(cluster, document, out, Interrupts())
    first = table.read(out / TABLE)
    assert len(first) == 2
    rows = carried_out(cluster, document, out, resume=True)
    assert [row.run for row in rows] == [f"trial-{n}" for n in range(6)]
    assert len({str(row.values) for row in rows}) == 6
    assert {row.run for row in first} <= {row.run for row in rows}
    found = best(rows)
    assert found is not None
    assert weights(out / RUNS / found.run) == alone(out / RUNS / found.run, tmp_path / "alone")


def test_a_search_prunes_runs_that_are_worse_than_the_median(tmp_path, cluster):
    train = TRAIN | {"samples": 60, "epochs": 4}
    search = {"trials": 16, "prune": True}
    document = {"train": train, "search": search, "vary": {"lr-scale": [0.001, 0.002, 0.003, 1.0]}}
    rows = carried_out(cluster, document, tmp_path / "search")
    assert len(rows) == 16
    pruned = [row for row in rows if row.state is State.PRUNED]
    assert pruned
    for row in pruned:
        assert row.values["lr-scale"] < 1
        assert row.figures.epochs < 4
    found = best(rows)
    assert found is not None
    assert found.values == {"lr-scale": 1.0}


def test_what_cannot_be_trained_is_refused_before_anything_is(tmp_path, cluster):
    with pytest.raises(PlanError, match="2 of 4 combinations are the same run"):
        carried_out(cluster, {"vary": {"seed": [1, 1], "epochs": [1, 2]}}, tmp_path / "twice")
    with pytest.raises(PlanError, match=r"--samples must be 1..1000"):
        carried_out(cluster, {"vary": {"samples": [10, 1001]}}, tmp_path / "many")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / TABLE).write_text("run,state\n")
    with pytest.raises(PlanError, match="has a sweep already: --resume continues it"):
        carried_out(cluster, GRID, tmp_path / "there")
    with pytest.raises(PlanError, match="needs out"):
        sweep(GRID)


def test_a_worker_of_another_version_is_refused_by_name(cluster, monkeypatch):
    monkeypatch.setattr(plumbing_cluster, "version", lambda: "0.0.1 (00000000)")
    with pytest.raises(ClusterError, match=r"worker tcp.* has nudge 0.2.0 .*, not 0.0.1 .00000000.: install"):
        Cluster(cluster._client, None)._check()


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(plumbing_cluster, "CONNECT_SECONDS", 1)
    with (
        pytest.raises(ClusterError, match=r"--scheduler tcp://127.0.0.1:9: "),
        plumbing_cluster.opened(None, "tcp://127.0.0.1:9"),
    ):
        pass
