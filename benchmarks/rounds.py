"""Comparisons between processes: every contestant lives in a child of its own and runs when it is told to.

Runtimes with thread pools disturb each other inside one process, so there is one process for each library
and number of threads. Rounds go through all of them in turn, and a round waits for a quiet machine.
"""

import json
import math
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from attrs import define, field, frozen

ROOT = Path(__file__).parent.parent
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "FLOWC_THREADS",
)


@frozen
class Options:
    """What the command line asks of a benchmark. `peers`: the interpreter that has the peers installed;
    `seconds`: for how long, where that is for whoever measures to say; `disks`: of the Tower of Hanoi.
    """

    quick: bool = False
    peers: str = sys.executable
    only: tuple[str, ...] = ()
    threads: tuple[int, ...] = (1, 2)
    least: bool = False
    seconds: float | None = None
    disks: int = 14

    def estimate(self, samples: Sequence[float]) -> float:
        """The median; on a machine that others use too, the least."""
        return min(samples) if self.least else statistics.median(samples)

    @property
    def estimator(self) -> str:
        """What `estimate` takes, in a word."""
        return "least" if self.least else "medians"

    @property
    def patience(self) -> float:
        """Seconds to wait for a quiet machine before a block."""
        return 0.0 if self.least or self.quick else 1.0


@frozen
class Command:
    """A child: which interpreter runs which module with which arguments, on how many threads."""

    python: str
    module: str
    arguments: tuple[str, ...]
    threads: int
    environment: tuple[tuple[str, str], ...] = ()


PEERS = ("numpy", "numba", "jax", "torch", "numexpr", "faiss-cpu", "simsimd", "scikit-learn", "pandas")
VERSIONS = """
import sys
from importlib import metadata
names = {d.metadata["Name"]: d.version for d in metadata.distributions()}
print(", ".join(f"{name} {names[name]}" for name in sys.argv[1:] if name in names))
"""


def versions(python: str, names: Sequence[str] = PEERS) -> str:
    """Which of the peers an interpreter's environment has, with their versions."""
    done = subprocess.run([python, "-c", VERSIONS, *names], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class WorkerFailed(Exception):
    """A child ended, or took too long."""


@define
class Worker:
    """A running child and what it said when it was ready."""

    command: Command
    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]
    ready: tuple[str, ...] = ()
    problems: dict[str, str] = field(factory=dict)
    facts: dict[str, Any] = field(factory=dict)
    samples: dict[str, list[float]] = field(factory=dict)

    def ask(self, request: Mapping[str, object], timeout: float) -> dict[str, Any]:
        """Sends one line, waits for one line."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerFailed(self._last_words()) from None
        return self.listen(timeout)

    def listen(self, timeout: float) -> dict[str, Any]:
        """The next answer."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            self.stop()
            raise WorkerFailed(f"no answer within {timeout:.0f} s")
        line = self.process.stdout.readline()
        if not line:
            raise WorkerFailed(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """Ends the child."""
        with suppress(OSError):
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            with suppress(OSError):
                pipe and pipe.close()

    def _last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"ended with {code}: {lines[-1][:200]}"


def start(command: Command, timeout: float) -> Worker:
    """A child that is ready, all its variants compiled, checked and warm. Raises WorkerFailed."""
    environment = (
        os.environ | dict.fromkeys(THREAD_VARIABLES, str(command.threads)) | dict(command.environment)
    )
    # As where it is installed: what Python has compiled of a module is kept for the next process.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if command.threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    descriptor, name = tempfile.mkstemp()
    Path(name).unlink()
    errors = os.fdopen(descriptor, "w+b")
    process = subprocess.Popen(
        [command.python, "-m", command.module, *command.arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        cwd=ROOT,
        env=environment,
    )
    worker = Worker(command, process, errors)
    try:
        said = worker.listen(timeout)
    except BaseException:
        worker.stop()
        raise
    worker.ready, worker.problems, worker.facts = tuple(said["ready"]), said["problems"], said["facts"]
    return worker


@contextmanager
def started(
    commands: Sequence[Command],
    timeout: float,
    failed: Callable[[Command, str], None],
    at_once: int = 1,
) -> Iterator[list[Worker]]:
    """Starts children, so many at once; tells `failed` of those that do not come up; ends them all."""
    workers: list[Worker] = []

    def begin(command: Command) -> None:
        try:
            workers.append(start(command, timeout))
        except WorkerFailed as failure:
            failed(command, str(failure))

    try:
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(begin, commands))
        yield workers
    finally:
        for worker in workers:
            worker.stop()


def interleave(
    workers: Sequence[Worker], rounds: int, seconds: float, patience: float, *, far: float = math.inf
) -> int:
    """Fills the workers' samples: every variant of every child, one block a round.

    A variant that takes `far` times as long as the quickest sits out the rounds after its first. One that
    fails is moved to its worker's problems. Each block waits until the threads of the one before, which many
    libraries let spin for a while, are at rest. Gives how many blocks began on a busy machine.
    """
    busy = 0
    for _ in range(rounds):
        known = (min(samples) for worker in workers for samples in worker.samples.values())
        most = far * min(known, default=math.inf)
        for worker in workers:
            for name in worker.ready:
                if name not in worker.problems and min(worker.samples.get(name, [0.0])) <= most:
                    busy += not wait_until_quiet(patience)
                    _run_block(worker, name, seconds)
    return busy


def _run_block(worker: Worker, name: str, seconds: float) -> None:
    try:
        answer = worker.ask({"run": name, "seconds": seconds}, 60 + 20 * seconds)
    except WorkerFailed as failure:
        answer = {"problem": str(failure)}
    if "problem" in answer:
        worker.problems[name] = answer["problem"]
        worker.samples.pop(name, None)
    else:
        worker.samples.setdefault(name, []).extend(answer["samples"])


def wait_until_quiet(patience: float, *, share: float = 0.15) -> bool:
    """Waits until others use less than `share` of one core; False where they go on beyond `patience`."""
    if not patience:
        return False
    end = time.monotonic() + patience
    while True:
        before, start = _busy_seconds(), time.monotonic()
        time.sleep(0.1)
        if _busy_seconds() - before < share * (time.monotonic() - start):
            return True
        if time.monotonic() >= end:
            return False


def _busy_seconds() -> float:
    """Processor seconds that all processes have used; a system without /proc is taken as quiet."""
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _, _, *interrupts = (int(word) for word in words[:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
