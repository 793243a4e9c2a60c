"""One process of a game: `python -m benchmarks.hanoi.child FOLDER DISKS SEED`. It goes on with the run in
FOLDER, or begins it, and says at the end what it came to.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks.hanoi.game import PROGRAM, Counts, solution, world
from flowc.compiler.driver import compile_text
from flowc.runtime.durable import runs
from flowc.runtime.execute import run

RUN = "hanoi"


def main() -> None:
    """Plays to the end, unless it is killed before."""
    folder, disks, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    journal = runs.journal_at(str(folder / "journal.db"))
    start = time.perf_counter()
    moves = 2**disks - 1
    if journal.store.find(RUN):
        keeper = runs.go_on(journal, RUN)
        plan = runs.plan_of(journal.store, keeper.past.head)
        _say(folder, {"read_s": time.perf_counter() - start, "records": keeper.past.records})
    else:
        plan = compile_text(PROGRAM, "hanoi.flow").plan
        keeper = runs.begin(journal, plan, "main", [disks, moves], {}, run=RUN)
    environment = world(Counts(folder / "counts"), seed)
    result = run(plan, "main", {"disks": disks, "moves": moves}, environment=environment, keeper=keeper)
    journal.close()
    solved = result.status == "ok" and result.result == solution(disks)
    _say(folder, {"solved": solved, "status": result.status, "problem": str(result.problem or "")})


def _say(folder: Path, said: dict[str, object]) -> None:
    """A line of the diary, which outlives the process, too."""
    with (folder / "diary").open("a", encoding="utf-8") as diary:
        diary.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
