"""What nobody waits for any more ends, to the last descendant: threads, tasks, descriptors, processes."""

import asyncio
import contextlib
import gc
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from flowc.compiler.driver import compile_text
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load, run, run_plan
from flowc.runtime.scheduler import given_up, subprocesses
from flowc.runtime.scheduler.descendants import SUPPORTED, children_of
from flowc.runtime.scheduler.given_up import Abandoned, Body, is_own

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="only Linux says which thread started a process")

TOOLS = "tool stuck(word: str) -> str reads world\ntool other(word: str) -> str reads world\n\n"
FLOW = "flow main(word: str) -> str:\n    return "
ENDINGS = {
    "the time of a call": "@timeout(100ms)\n" + TOOLS + FLOW + 'try stuck(word) else "late"\n',
    "the time of a flow": TOOLS + "@timeout(100ms)\n" + FLOW + "stuck(word)\n",
    "a race": TOOLS + FLOW + "race(stuck(word), other(word))\n",
    "a failure beside it": "@timeout(60s)\n" + TOOLS + FLOW + 'stuck(word) + other(word + "!")\n',
    "a failure beside it, without a limit": TOOLS + FLOW + 'stuck(word) + other(word + "!")\n',
    "a cancellation": TOOLS + FLOW + "stuck(word)\n",
}
TURNS = 1500
GRANDCHILD = ("sh", "-c", "sleep 60 & wait")
DEAF = ("sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60")


def other(word: str) -> str:
    """Wins the race, or fails."""
    time.sleep(0.1)
    if word.endswith("!"):
        raise ValueError(word)
    return word


class Stuck:
    """Tools that are stuck, each in its way; `pids` are the processes that they started, `ended` says that
    they have come to their end.
    """

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.codes: list[int] = []
        self.begun, self.ended = threading.Event(), threading.Event()

    def loop(self, word: str) -> str:
        """Goes round in code of its own."""
        self.begun.set()
        try:
            while True:
                sum(range(10))
        finally:
            self.ended.set()

    def child(self, word: str) -> str:
        """Waits for a child that has a child."""
        return self._wait(*GRANDCHILD)

    def deaf(self, word: str) -> str:
        """Waits for a child that takes no hint."""
        return self._wait(*DEAF)

    def _wait(self, *command: str) -> str:
        try:
            with subprocess.Popen(command) as child:
                self.pids.append(child.pid)
                self.begun.set()
                self.codes.append(child.wait())
        finally:
            self.ended.set()
        return "waited"

    async def coroutine(self, word: str) -> str:
        """Waits for two children at once, one of them by a task of its own."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._process(*GRANDCHILD))
                await self._process(*DEAF)
        finally:
            self.ended.set()
        return "waited"

    async def _process(self, *command: str) -> None:
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        self.pids.append(child.pid)
        self.begun.set()
        await child.communicate()


@pytest.fixture(autouse=True)
def interrupting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupts threads on every Python: nothing is traced here."""
    monkeypatch.setattr(given_up, "INTERRUPTS", True)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The grace of two seconds is a quarter of one here."""
    monkeypatch.setattr(given_up, "GRACE", 0.25)
    monkeypatch.setattr(subprocesses, "PATIENCE", 0.1)


@pytest.fixture(scope="module", autouse=True)
def collected() -> None:
    """What was there before is gone through once, not at every look for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """No test leaves a descriptor behind."""
    run(compile_text(TOOLS + FLOW + "other(word)\n", "main.flow").plan, "main", {"word": "a"},
        environment=Environment(tools={"stuck": other, "other": other}))  # fmt: skip
    gc.collect()
    before = open_files()
    yield
    gc.collect()
    assert eventually(lambda: open_files() <= before), open_files()


def eventually(holds: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something comes to hold."""
    until = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.01)
    return held


def open_files() -> int:
    """How many descriptors this process has."""
    return len([*Path("/proc/self/fd").iterdir()])


def family(process: int) -> set[int]:
    """A process and all below it."""
    found = {process}
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found |= family(int(child))
    return found


def runs(process: int) -> bool:
    """Whether a process has not ended; who takes note of that may be late."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def go(text: str, tools: dict[str, Any], begun: threading.Event) -> tuple[str, set[int], int]:
    """Runs it; cancels it where nothing else ends it. Gives how that went, all processes that were seen, and
    the tasks that are left.
    """
    loaded = load(compile_text(text, "main.flow").plan, Environment(tools=tools))
    before = family(os.getpid())  # other tests have servers
    task = asyncio.create_task(run_plan(loaded, "main", {"word": "a"}))
    while not begun.is_set():
        await asyncio.sleep(0.005)
    seen: set[int] = set()
    ending = "cancelled"
    for _ in range(2):
        seen |= family(os.getpid()) - before
        await asyncio.sleep(0.02)
    if text == ENDINGS["a cancellation"]:
        task.cancel()
        await asyncio.wait([task])
    else:
        ending = (await task).status
    return ending, seen, len(asyncio.all_tasks()) - 1


@pytest.mark.parametrize(
    ("way", "ending"),
    [*product(["loop", "deaf", "coroutine"], ENDINGS), ("child", "a race"), ("child", "the time of a call")],
)
def test_nothing_is_left_of_what_is_given_up(way: str, ending: str) -> None:
    stuck = Stuck()
    tools = {"stuck": getattr(stuck, way), "other": other}
    status, seen, tasks = asyncio.run(go(ENDINGS[ending], tools, stuck.begun))
    failed = "flow" in ending or "failure" in ending
    expected = "cancelled" if "cancel" in ending else "failed" if failed else "ok"
    assert (status, tasks) == (expected, 0)
    assert stuck.ended.wait(10), "the body has ended"
    seen.update(stuck.pids)
    assert eventually(lambda: not any(map(runs, seen))), "no process runs"
    assert eventually(lambda: not any(process in family(os.getpid()) for process in stuck.pids)), "none waits"


def test_what_an_earlier_call_has_started_goes_on() -> None:
    """A thread serves many bodies: only the children of the one that is given up are ended."""
    servers: list[subprocess.Popen[bytes]] = []

    def begin(word: str) -> str:
        servers.append(subprocess.Popen(["sleep", "60"]))
        return word

    stuck = Stuck()
    limited = "@timeout(150ms)\ntool stuck(word: str) -> str reads world\n"
    text = (
        "tool begin(word: str) -> str reads world\n" + limited + FLOW + 'try stuck(begin(word)) else "late"\n'
    )
    world = Environment(tools={"begin": begin, "stuck": stuck.child}, threads=1)
    plan = compile_text(text, "main.flow").plan
    try:
        for _ in range(3):
            stuck.ended.clear()
            assert run(plan, "main", {"word": "a"}, environment=world).result == "late"
            assert stuck.ended.wait(10)
        assert not any(map(runs, stuck.pids))
        assert all(server.poll() is None for server in servers)
    finally:
        for server in servers:
            server.kill()
            server.wait()


def test_a_failure_waits_for_a_write_and_does_not_break_it_off() -> None:
    stuck = Stuck()

    def write(word: str) -> str:
        return stuck._wait("sh", "-c", "sleep 0.3 & wait; exit 3")

    text = ENDINGS["a failure beside it, without a limit"].replace("str reads", "str writes", 1)
    world = Environment(tools={"stuck": write, "other": other})
    result = run(compile_text(text, "main.flow").plan, "main", {"word": "a"}, environment=world)
    assert result.status == "failed"
    assert stuck.ended.is_set()
    assert stuck.codes == [3], "nobody sent it a signal"


def test_a_write_in_a_transaction_ends_although_its_time_is_up_and_is_taken_back() -> None:
    stuck = Stuck()
    taken_back: list[str] = []

    def write(word: str) -> str:
        return stuck._wait("sh", "-c", "sleep 0.4 & wait; exit 3")

    text = """\
tool write(word: str) -> str writes box undo back
tool back(word: str) -> none writes box

@timeout(150ms)
flow inner(word: str) -> str:
    with transaction:
        kept = write(word)
    return kept

flow main(word: str) -> str:
    return try inner(word) else "late"
"""
    world = Environment(tools={"write": write, "back": taken_back.append})
    result = run(compile_text(text, "main.flow").plan, "main", {"word": "a"}, environment=world)
    assert (result.result, stuck.codes, taken_back) == ("late", [3], ["a"])


def test_an_interruption_never_reaches_what_its_thread_does_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that end about when they are interrupted, wherever they are, and after each a piece of work that
    must not be.
    """
    monkeypatch.setattr(given_up, "is_own", lambda file: True)
    chance, pause = random.Random(3), random.Random(4)
    bodies: SimpleQueue[Body] = SimpleQueue()
    done: SimpleQueue[None] = SimpleQueue()
    reached: list[str] = []

    def turn(length: int) -> None:
        body = Body()
        body.enter()

        def call() -> int:
            bodies.put(body)
            return sum(number * number for number in range(length))

        try:
            body.run(call)
        except Abandoned:
            reached.append("inside")
        done.get(timeout=10)

    def work() -> None:
        try:
            for _ in range(TURNS):
                turn(chance.randrange(6000))
        except BaseException as error:
            reached.append(type(error).__name__)

    thread = threading.Thread(target=work)
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        thread.start()
        for _ in range(TURNS):
            body = bodies.get(timeout=10)
            for _ in range(pause.randrange(60)):
                pass
            body.interrupt()
            done.put(None)
    finally:
        sys.setswitchinterval(switch)
    thread.join()
    assert {*reached} == {"inside"}, "some were reached, and nothing else was"
    assert len(reached) < TURNS, "some had ended"


def test_nothing_is_left_on_its_way_when_a_body_has_been_left() -> None:
    """While something is, profiling stands still in Python 3.11."""
    body, begun, seen = Body(), threading.Event(), 0

    def goes_on() -> None:
        begun.set()
        until = time.monotonic() + 20
        while time.monotonic() < until and not body.sent:
            pass

    def serves() -> None:
        with contextlib.suppress(Abandoned):
            given_up.serve(body, partial(given_up.within, goes_on))

    thread = threading.Thread(target=serves)
    thread.start()
    begun.wait()
    body.interrupt()
    thread.join()

    def count(*_: object) -> None:
        nonlocal seen
        seen += 1

    sys.setprofile(count)
    try:
        sum(map(abs, [1, 2, 3]))
        len([])
    finally:
        sys.setprofile(None)
    assert seen


def test_libraries_are_not_interrupted() -> None:
    assert is_own(__file__)
    for file in (
        threading.__file__,
        json.__file__,
        pytest.__file__,
        given_up.__file__,
        "<string>",
        "<frozen os>",
    ):
        assert not is_own(file)
    stop = threading.Event()
    body, ended = Body(), threading.Event()

    def wait() -> None:
        body.enter()
        body.run(lambda: stop.wait(10))
        ended.set()

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    body.interrupt()
    assert not body.sent
    stop.set()
    thread.join()
    assert ended.is_set()


def test_what_is_given_up_before_it_begins_does_not_begin() -> None:
    made: list[str] = []
    release = threading.Event()

    def first(word: str) -> str:
        release.wait(10)
        return word

    def second(word: str) -> str:
        made.append(word)
        return word

    text = (
        "@timeout(10s)\ntool first(word: str) -> str reads world\n"
        "@timeout(100ms)\ntool second(word: str) -> str writes world\n"
        + FLOW.replace(
            "    return ", '    a = first(word)\n    b = try second("x") else "late"\n    return a + b\n'
        )
    )
    world = Environment(tools={"first": first, "second": second}, threads=1)
    timer = threading.Timer(0.4, release.set)
    timer.start()
    result = run(compile_text(text.replace("writes", "reads"), "main.flow").plan, "main", {"word": "a"},
                 environment=world)  # fmt: skip
    timer.join()
    assert (result.result, made) == ("alate", [])


PROGRAM = """
import subprocess, sys
from flowc.compiler.driver import compile_text
from flowc.runtime.environment import Environment
from flowc.runtime.execute import run
from flowc.runtime.scheduler import given_up

given_up.GRACE = 0.3

def stuck(word: str) -> str:
    child = subprocess.Popen(["bash", "-c", "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"],
                             stdout=subprocess.PIPE)
    print(child.pid, int(child.stdout.readline()), flush=True)
    child.wait()
    return word

text = "tool stuck(word: str) -> str reads world\\nflow main(word: str) -> str:\\n    return stuck(word)\\n"
plan = compile_text(text, "main.flow").plan
print(run(plan, "main", {"word": "a"}, environment=Environment(tools={"stuck": stuck})).status, flush=True)
"""


def test_ctrl_c_ends_the_program_and_every_process_below_it() -> None:
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as program:
        assert program.stdout is not None
        ready, _, _ = select.select([program.stdout], [], [], 60)
        assert ready
        processes = [int(word) for word in program.stdout.readline().split()]
        assert all(map(runs, processes))
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "cancelled\n"
        assert program.wait(20) == 0
    assert eventually(lambda: not any(map(runs, processes)))


def test_no_thread_of_this_one_has_children_left() -> None:
    tasks = Path("/proc/self/task").iterdir()
    assert eventually(lambda: not any(children_of(int(task.name)) for task in tasks))
