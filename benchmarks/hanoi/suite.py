"""Games of several sizes, each killed at random places: `python -m benchmarks hanoi --disks 20`."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks.hanoi.game import ASKED, ASTRAY, WRONG, Counts
from benchmarks.measure import Row, Table
from benchmarks.rounds import ROOT, Options

LOOK = 0.0005
"""Seconds between two looks at how far a process has come."""
AHEAD = 5.0
"""Calls of the model for a move, at least."""


@frozen
class Game:
    """A game that is over. `diary` is what its processes said, `peak` the most memory of one, in bytes."""

    moves: int
    kills: int
    asked: int
    wrong: int
    astray: int
    seconds: float
    size: int
    peak: int
    diary: tuple[dict[str, Any], ...]

    @property
    def solved(self) -> bool:
        """Whether the last process came to the solution, by right moves alone."""
        return self.astray == 0 and bool(self.diary and self.diary[-1].get("solved"))


def run(options: Options) -> Table:
    """A row for each number of disks, the greatest last."""
    most = 6 if options.quick else options.disks
    sizes = sorted({max(4, most - 6), max(4, most - 4), max(4, most - 2), most})
    rows: list[Row] = []
    for disks in sizes:
        kills = (2 if options.quick else 10) if disks == most else 3
        with tempfile.TemporaryDirectory() as folder:
            game = play(Path(folder), disks, kills, seed=disks)
        rows.append(_row(disks, game))
        print(rows[-1], flush=True)
    note = (
        "Each move is a vote of a model that is wrong in 1 % of its answers; a process is killed (SIGKILL)\n"
        "when the model has been asked a number of times drawn at random, and another one goes on. The time\n"
        "includes starting the processes and reading the journal again."
    )
    return Table("hanoi", "The Tower of Hanoi, killed and gone on with", tuple(rows), note)


def _row(disks: int, game: Game) -> Row:
    reads = [each["read_s"] for each in game.diary if "read_s" in each]
    return {
        "disks": disks,
        "moves": game.moves,
        "kills": game.kills,
        "calls": game.asked,
        "wrong_answers": game.wrong,
        "wrong_moves": game.astray,
        "solved": "yes" if game.solved else "NO",
        "seconds": round(game.seconds, 1),
        "us_a_move": round(game.seconds / game.moves * 1e6, 1),
        "journal_bytes_a_move": round(game.size / game.moves),
        "peak_MB": round(game.peak / (1 << 20), 1),
        "longest_reading_s": round(max(reads, default=0.0), 2),
    }


def play(folder: Path, disks: int, kills: int, seed: int) -> Game:
    """Plays in one process after the other, each killed but the last."""
    moves = 2**disks - 1
    chance = random.Random(seed)
    places = sorted(chance.sample(range(1, int(moves * AHEAD)), kills))
    counts = Counts(folder / "counts")
    done = peak = 0
    start = time.perf_counter()
    for place in [*places, None]:
        killed, used = _process(folder, disks, seed, counts, place)
        done, peak = done + killed, max(peak, used)
    seconds = time.perf_counter() - start
    diary = (folder / "diary").read_text(encoding="utf-8").splitlines()
    return Game(
        moves,
        done,
        counts[ASKED],
        counts[WRONG],
        counts[ASTRAY],
        seconds,
        sum(each.stat().st_size for each in folder.glob("journal.db*")),
        peak,
        tuple(map(json.loads, diary)),
    )


def _process(folder: Path, disks: int, seed: int, counts: Counts, place: int | None) -> tuple[bool, int]:
    """One process, killed when the model has been asked so often, or let alone: whether it was; its peak."""
    command = [sys.executable, "-m", "benchmarks.hanoi.child", str(folder), str(disks), str(seed)]
    child = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"FLOWC_HISTORY": "none"})
    ended, status, usage = 0, 0, None
    while not ended and place is not None and counts[ASKED] < place:
        time.sleep(LOOK)
        ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    if not ended:
        if place is not None:
            child.kill()
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert usage is not None
    return child.returncode == -signal.SIGKILL, usage.ru_maxrss << 10
