"""Independent jobs on several processes or machines, carried out by Dask.

Without a scheduler's address, Dask's local cluster is started: `workers` processes of one thread each, which
end with this one. A job is a function of a module and its arguments, both of which are pickled. It must be
repeatable: Dask runs it again if its worker dies, and `Cluster.results` if the scheduler restarts.
"""

import hashlib
import importlib.metadata
import logging
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from nudge.plumbing import DISTRIBUTION, install, progress
from nudge.plumbing.cache import ROOT
from nudge.plumbing.errors import ClusterError, ToolError, UsageError
from nudge.plumbing.progress import note

if TYPE_CHECKING:
    import distributed

#: Timeout in seconds of the first connection to a scheduler.
CONNECT_SECONDS = 20

#: Seconds without a scheduler, or without any worker, after which the jobs are given up.
LOST_SECONDS = 300

#: Seconds that jobs have to save and end after they are cancelled.
END_SECONDS = 20

#: Seconds between two looks at the running jobs, and between two counts of the workers.
POLL_SECONDS, COUNT_SECONDS = 0.05, 1.0

#: Name of the events by which jobs tell their progress.
TOPIC = "nudge"

#: Endings of the files that determine a result.
SOURCES = (".py", ".cpp", ".h")


@dataclass(frozen=True)
class Job:
    """A call that any worker can make."""

    #: Name, unique among the jobs of a call of `Cluster.results`.
    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


#: Takes a job's name and the values that it sends.
Told = Callable[[str, dict[str, Any]], None]


@cache
def version() -> str:
    """Return this installation's version with a digest of its sources; equal ones compute equal results."""
    digest = hashlib.sha256()
    for folder, below, names in os.walk(ROOT / "nudge", followlinks=True):
        below.sort()
        for name in sorted(name for name in names if name.endswith(SOURCES)):
            with open(os.path.join(folder, name), "rb") as file:  # noqa: PTH118, PTH123 (names of os.walk)
                digest.update(name.encode() + file.read())
    try:
        number = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        number = "not installed"
    return f"{number} ({digest.hexdigest()[:8]})"


def its_version() -> str:
    """Return `version` where this is called: on a worker."""
    return version()


@contextmanager
def opened(workers: int | None = None, scheduler: str | None = None) -> Iterator["Cluster"]:
    """Enter with a `Cluster` of local processes, or of the scheduler at this address, such as
    tcp://HOST:8786.

    workers: number of local processes; None: one for each core. Raises `ToolError` without Dask, `UsageError`
    for both options, and `ClusterError` if the scheduler doesn't answer or a worker has another version.
    """
    if workers is not None and scheduler is not None:
        raise UsageError(f"--workers {workers}: not with --scheduler, whose workers are already running")
    if workers is not None and workers < 1:
        raise UsageError(f"--workers must be at least 1, not {workers}")
    try:
        import distributed
    except ImportError as error:
        raise ToolError(f"several workers need the package {error.name}: {install('sweep')}") from None
    for name in ("client", "comm", "core"):  # all that matters is raised or noted here
        logging.getLogger(f"distributed.{name}").setLevel(logging.CRITICAL)
    if scheduler is not None:
        with Cluster(connected(scheduler), scheduler) as cluster:
            yield cluster
        return
    count = workers or len(os.sched_getaffinity(0))
    local = distributed.LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        memory_limit=None,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        preload=__name__,
    )
    with local, Cluster(distributed.Client(local), None) as cluster:
        yield cluster


def dask_setup(_: object) -> None:
    """Have a local worker, which imports this module first, leave Ctrl-C to the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def connected(address: str) -> "distributed.Client":
    """Return a client of the scheduler at this address; `ClusterError` if it doesn't answer."""
    import distributed

    try:
        return distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError, TypeError) as error:  # TypeError: no such protocol
        why = str(error).partition("\n")[0] or f"no answer in {CONNECT_SECONDS} s"
        raise ClusterError(
            f"--scheduler {address}: {why}; such as tcp://HOST:8786, where `dask scheduler` runs"
        ) from None


class Cluster:
    """Workers that carry out jobs. Close it by leaving its context."""

    def __init__(self, client: "distributed.Client", address: str | None):
        self._client = client
        #: The scheduler's address; None: a local cluster, which can't be lost.
        self._address = address
        self._told: Told | None = None
        self._slots, self._counted = 0, 0.0

    def __enter__(self) -> "Cluster":
        self._listen()
        self._check()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def dashboard(self) -> str:
        """Address of Dask's own page about workers and jobs."""
        return str(self._client.dashboard_link)

    def results(
        self, jobs: Iterator[Job], told: Told | None = None
    ) -> Generator[tuple[Job, Any], None, None]:
        """Yield each job with its result, or the exception that it raised, in the order in which they end.

        `jobs` is read as workers become free, so it may depend on earlier results. told: called, in another
        thread, with a job's name and the values that it sends by `tell`. If the generator is closed early,
        running jobs are cancelled: their `wanted` returns False, and they have `END_SECONDS` to end. Raises
        `ClusterError` if there is no scheduler, or no worker, for `LOST_SECONDS`.
        """
        self._told = told
        running: dict[distributed.Future, Job] = {}
        again: list[Job] = []
        attempt = 0
        try:
            while True:
                if self._client.status != "running":
                    again += running.values()
                    running = {}
                    self._reconnect()
                while len(running) < self._workers():
                    job = again.pop() if again else next(jobs, None)
                    if job is None:
                        break
                    attempt += 1
                    running[self._submit(job, attempt)] = job
                if not running:
                    return
                ended = [future for future in running if future.done()]
                for future in ended:
                    job = running.pop(future)
                    if future.status in ("cancelled", "lost"):
                        again.append(job)  # the scheduler was restarted, and forgot it
                    else:
                        yield job, future.exception() if future.status == "error" else future.result()
                if not ended:
                    time.sleep(POLL_SECONDS)
        finally:
            self._told = None
            self._end(list(running))

    def _submit(self, job: Job, attempt: int) -> "distributed.Future":
        # a key of its own: Dask would take a job of the same key for one that it knows already
        key = f"{job.name}-{attempt}-{os.getpid()}"
        return self._client.submit(_carried_out, job, version(), key=key, pure=False)

    def _end(self, running: "list[distributed.Future]") -> None:
        """Cancel jobs, and wait until they have ended."""
        if not running or self._client.status != "running":
            return
        with suppress(OSError, TimeoutError):
            keys = {future.key for future in running}
            self._client.cancel(running)
            end = time.monotonic() + END_SECONDS
            while time.monotonic() < end:
                busy = self._client.run(_executing)
                if not keys & {key for found in busy.values() for key in found}:
                    return
                time.sleep(POLL_SECONDS)

    def _workers(self) -> int:
        """Return the number of threads of all workers, counted once a second; wait until there is one."""
        if time.monotonic() - self._counted < COUNT_SECONDS and self._slots:
            return self._slots
        end, silent = time.monotonic() + LOST_SECONDS, True
        while time.monotonic() < end:
            with suppress(OSError, TimeoutError):
                self._slots, self._counted = sum(self._client.nthreads().values()), time.monotonic()
            if self._slots or self._client.status != "running":
                return self._slots
            if silent:
                note("no worker: waiting for one")
                silent = False
            time.sleep(COUNT_SECONDS)
        raise ClusterError(f"no worker for {LOST_SECONDS} s: start some (`dask worker ADDRESS`), then resume")

    def _reconnect(self) -> None:
        """Wait for a lost scheduler."""
        if self._address is None:
            raise ClusterError("the local cluster has ended: resume")
        note(f"{self._address} is lost: waiting for it")
        end = time.monotonic() + LOST_SECONDS
        while time.monotonic() < end:
            with suppress(ClusterError):
                self._client.close()
                self._client, self._slots = connected(self._address), 0
                self._listen()
                return
            time.sleep(COUNT_SECONDS)
        raise ClusterError(f"{self._address} has been lost for {LOST_SECONDS} s: start it, then resume")

    def _listen(self) -> None:
        def handle(event: tuple[float, dict[str, Any]]) -> None:
            told, (_, said) = self._told, event
            if told is not None:
                told(said["job"], said)

        self._client.subscribe_topic(TOPIC, handle)

    def _check(self) -> None:
        """Raise `ClusterError` if the scheduler or a worker has another version of nudge, or none."""
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
            found = {
                f"worker {name}": its
                for name, its in self._client.run(its_version, on_error="return").items()
            }
            found["the scheduler"] = self._client.run_on_scheduler(its_version)
        except (OSError, TimeoutError):
            raise ClusterError(
                f"no worker in {CONNECT_SECONDS} s: start some (`dask worker ADDRESS`)"
            ) from None
        except ImportError as error:
            found["the scheduler"] = error
        for place, its in found.items():
            if its != version():
                raise ClusterError(another(place, its, version()))


def another(place: str, its: object, asked: str) -> str:
    """Return the message about a worker or scheduler of another version."""
    return f"{place} has nudge {its}, not {asked}: install the same version there, and restart it"


def _carried_out(job: Job, asked: str) -> Any:
    """Carry out a job on a worker, without notes. A worker that has joined later may have another version."""
    import distributed

    if version() != asked:
        raise ClusterError(another(f"worker {distributed.get_worker().address}", version(), asked))
    progress.silence()
    return job.function(*job.arguments)


def _executing(dask_worker: "distributed.Worker") -> list[str]:
    """Return the keys of the jobs in a worker's threads, also of cancelled ones."""
    return list(map(str, dask_worker.active_threads.values()))


def wanted() -> bool:
    """On a worker: return False once the running job was cancelled. Elsewhere: True."""
    import distributed

    try:
        worker = distributed.get_worker()
        task = worker.state.tasks.get(worker.get_current_task())
    except (ValueError, AttributeError):
        return True
    return task is not None and task.state == "executing"


def tell(job: str, **said: Any) -> None:
    """On a worker: send values about the running job to `Cluster.results`. Elsewhere: do nothing."""
    import distributed

    with suppress(ValueError, AttributeError):
        distributed.get_worker().log_event(TOPIC, {"job": job, **said})
