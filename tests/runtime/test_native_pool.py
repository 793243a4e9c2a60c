"""The thread pool of kernels. What could crash or hang runs in a process of its own."""

import pytest

from tests.forked import run_forked

_AHEAD = "from tests.runtime.native_bodies import bodies; bodies()"
_START = """
import os, sys, threading, time
import numpy as np
from flowc.runtime import native
from tests.runtime.native_bodies import LONG, bodies
native.set_threads(4)
run = bodies()

def check(extent, grain, times=1, launch=None, work=LONG):
    words = np.zeros(extent + 2, np.int64)
    for _ in range(times):
        (launch or run.count)(words[1:].ctypes.data, extent, grain, work)
    assert words[0] == 0 and words[-1] == 0, "outside"
    assert (words[1:-1] == times).all(), (extent, grain)

before = set(os.listdir("/proc/self/task"))  # those of NumPy's BLAS

def eventually(holds):
    # Threads that start or end do so a moment later than who waits for them goes on.
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
    return True

def workers():
    return [task for task in os.listdir("/proc/self/task") if task not in before and int(task) != os.getpid()]
"""


def child(script: str) -> None:
    """Runs a script that has the launchers as `run`. Silence is required."""
    assert run_forked(_START + script, ahead=_AHEAD) == (0, "", "")


def printed(script: str) -> str:
    """What a script prints that has the launchers as `run`. Silence on stderr is required."""
    done = run_forked(_START + script, ahead=_AHEAD)
    assert (done.status, done.err) == (0, "")
    return done.out


def test_each_chunk_runs_once_whatever_the_extent_the_grain_and_the_number_of_threads() -> None:
    child("""
for threads in (1, 2, 3, 8):
    native.set_threads(threads)
    for extent in (0, 1, 2, 7, 64, 1000, 4097):
        for grain in (1, 2, 5, 64, 1000, 5000):
            check(extent, grain, times=20)
            check(extent, grain, work=0)
""")


def test_a_range_of_no_size_runs_nothing_and_a_grain_below_one_is_one() -> None:
    child("""
words = np.zeros(4, np.int64)
run.count(words.ctypes.data, -5, 1, LONG)
assert not words.any()
run.count(words.ctypes.data, 4, 0, LONG)
assert (words == 1).all()
""")


def test_a_launch_inside_a_launch_runs_each_chunk_once() -> None:
    child("""
words = np.zeros(64 * 100, np.int64)
for _ in range(200):
    run.rows(words.ctypes.data, 100, 3, LONG)
assert (words == 200).all()
words[:] = 0
run.rows(words.ctypes.data, 100, 100, LONG)  # one chunk outside: the threads are for those inside
assert (words == 1).all()
""")


def test_launches_from_several_python_threads_at_once_are_each_right() -> None:
    child("""
def launch():
    for k in range(300):
        check(1000 + k, 7, times=3)
threads = [threading.Thread(target=launch) for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert eventually(lambda: len(workers()) == 3), "one pool, however many launch"
""")


def test_a_launch_while_the_pool_is_taken_does_not_wait_for_it() -> None:
    child("""
word = np.ones(1, np.int64)
other = threading.Thread(target=run.stay, args=(word.ctypes.data, 2, 1, LONG))
other.start()
check(1000, 10, times=50)
assert word[0] == 1 and other.is_alive()
word[0] = 0
other.join()
check(1000, 10, times=50)
""")


def test_no_more_threads_are_made_than_asked_for() -> None:
    out = printed("""
for threads, expected in ((1, 0), (2, 1), (5, 4), (2, 4)):
    native.set_threads(threads)
    check(1000, 1, times=50)
    print(len(workers()) == expected)
""")
    assert out.split() == ["True"] * 4


_ASLEEP = """
def asleep(task):
    return open(f"/proc/self/task/{task}/stat").read().rpartition(")")[2].split()[0] == "S"
def processors():
    return {task: os.sched_getaffinity(int(task)) for task in workers()}
def launch_after_a_rest():
    assert eventually(lambda: all(map(asleep, workers())))
    check(1000, 1)
"""


def test_idle_workers_sleep_and_wake_again() -> None:
    child(_ASLEEP + "check(1000, 1, times=50)\nlaunch_after_a_rest()\ncheck(1000, 1, times=50)")


def test_workers_that_were_woken_may_use_the_processors_that_they_could_before() -> None:
    child(
        _ASLEEP
        + """
everywhere = os.sched_getaffinity(0)
check(1000, 1, times=50)
for _ in range(20):
    launch_after_a_rest()
    assert eventually(lambda: list(processors().values()) == [everywhere] * 3)
"""
    )


def test_workers_stay_on_the_processors_that_they_were_confined_to() -> None:
    child(
        _ASLEEP
        + """
allowed = sorted(os.sched_getaffinity(0))
check(1000, 1, times=50)
assert eventually(lambda: list(processors().values()) == [set(allowed)] * 3)
confined = {task: {allowed[k % len(allowed)]} for k, task in enumerate(workers())}
for task, places in confined.items():
    os.sched_setaffinity(int(task), places)
for here in allowed:
    os.sched_setaffinity(0, {here})  # the caller, now on, now off their processors
    for _ in range(5):
        launch_after_a_rest()
        assert eventually(lambda: processors() == confined)
"""
    )


def test_workers_take_no_signals_but_those_of_their_own_faults() -> None:
    child("""
import signal
check(1000, 1, times=50)
faults = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
others = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGALRM, signal.SIGPROF)
def blocked(task):
    mask = int(open(f"/proc/self/task/{task}/status").read().partition("SigBlk:")[2].split()[0], 16)
    return {number for number in (*faults, *others) if mask >> number - 1 & 1}
assert len(workers()) == 3
assert eventually(lambda: all(blocked(task) == set(others) for task in workers()))
assert blocked(os.getpid()) == set()
""")


def test_where_the_system_gives_no_threads_the_caller_does_the_work() -> None:
    out = printed("""
import resource
check(100, 1, work=0)
pages = int(open("/proc/self/statm").read().split()[0])
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (2 << 20), hard))
check(1000, 1, times=50)
print(len(workers()))
resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
check(1000, 1, times=50)
print(len(workers()))
native.set_threads(3)
check(1000, 1, times=50)
print(len(workers()))
""")
    assert out.split() == ["0", "0", "2"]


_FORK = """
def in_child(task):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            task()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_child_makes_its_own_threads_and_the_parent_keeps_its() -> None:
    child(
        _FORK
        + """
def task():
    assert not workers()
    check(1000, 1, times=100)
    assert len(workers()) == 3, workers()
check(1000, 1, times=100)
for _ in range(20):
    in_child(task)
    check(1000, 1, times=20)
in_child(lambda: in_child(task))
"""
    )


def test_a_fork_while_another_thread_is_inside_a_kernel_leaves_the_child_a_whole_pool() -> None:
    child(
        _FORK
        + """
import warnings
warnings.simplefilter("ignore")
word = np.ones(1, np.int64)
other = threading.Thread(target=run.stay, args=(word.ctypes.data, 4, 1, LONG))
other.start()
stop = threading.Event()
def launch():
    while not stop.is_set():
        native.free(native.allocate(3 << 20), 3 << 20)
        check(1000, 7)
busy = threading.Thread(target=launch)
busy.start()
def task():
    check(1000, 1, times=100)
    assert len(workers()) == 3
    block = native.allocate(3 << 20)
    native.free(block, 3 << 20)
for _ in range(30):
    in_child(task)
word[0] = 0
stop.set()
other.join(); busy.join()
check(1000, 1, times=100)
"""
    )


def test_processes_of_multiprocessing_launch() -> None:
    child("""
import multiprocessing
check(1000, 1, times=10)
context = multiprocessing.get_context("fork")
jobs = [context.Process(target=check, args=(1000, 3, 50)) for _ in range(4)]
[job.start() for job in jobs]
[job.join() for job in jobs]
assert [job.exitcode for job in jobs] == [0] * 4
""")


@pytest.mark.parametrize("at_the_end", ["", "sys.exit()", "os.kill(os.getpid(), 0)"])
def test_python_ends_while_workers_sleep(at_the_end: str) -> None:
    child(f"check(1000, 1, times=50)\n{at_the_end}")


def test_python_ends_while_daemon_threads_are_inside_kernels() -> None:
    for _ in range(3):
        child("""
word = np.ones(1, np.int64)
for _ in range(3):
    threading.Thread(target=run.stay, args=(word.ctypes.data, 4, 1, LONG), daemon=True).start()
def launch():
    while True:
        check(100_000, 100)
for _ in range(2):
    threading.Thread(target=launch, daemon=True).start()
check(1000, 1, times=40)
""")
