"""`python -m tests.fuzz`: the targets; one on files, on mutated inputs, or guided by coverage.

python -m tests.fuzz                              lists the targets
python -m tests.fuzz TARGET FILE...               gives a target these inputs
python -m tests.fuzz TARGET --seconds N           mutates its corpus so long (--seed S)
python -m tests.fuzz TARGET --atheris --seconds N lets libFuzzer choose; what reaches more goes into
                                                  build/fuzz-corpus/TARGET
"""

import argparse
import os
import sys
import time
from pathlib import Path
from random import Random

os.environ.update(FLOWC_HISTORY="none", FLOWC_JOURNAL="none")


def main() -> int:
    """The exit status: 1 where an input failed."""
    said = argparse.ArgumentParser("python -m tests.fuzz")
    said.add_argument("target", nargs="?")
    said.add_argument("files", nargs="*", type=Path)
    said.add_argument("--seconds", type=float, default=30.0)
    said.add_argument("--seed", type=int, default=0)
    said.add_argument("--atheris", action="store_true")
    given = said.parse_args()
    if given.atheris and given.target:
        from tests.fuzz.guided import guided

        return guided(given.target, given.seconds, given.seed)
    from tests.fuzz.registry import TARGETS

    if given.target not in TARGETS:
        print("\n".join(f"{name:16} {(each.run.__doc__ or '').splitlines()[0] if each.run.__doc__ else ''}"
                        for name, each in TARGETS.items()))  # fmt: skip
        return 0 if given.target is None else 2
    return (
        _files(given.target, given.files)
        if given.files
        else _mutated(given.target, given.seconds, given.seed)
    )


def _files(name: str, files: list[Path]) -> int:
    from tests.fuzz.contract import attempt, little_memory
    from tests.fuzz.registry import TARGETS

    bad = 0
    for path in files:
        with little_memory():
            failure = attempt(TARGETS[name], path.read_bytes())
        print(f"{path}: {'fine' if failure is None else failure.said}")
        bad += failure is not None
    return int(bad > 0)


def _mutated(name: str, seconds: float, seed: int) -> int:
    from tests.fuzz.contract import attempt, little_memory
    from tests.fuzz.keeping import kept, minimised
    from tests.fuzz.registry import TARGETS, corpus

    target, chance, inputs = TARGETS[name], Random(seed), corpus(name)
    places: set[str] = set()
    until, count = time.monotonic() + seconds, 0
    with little_memory():
        while time.monotonic() < until:
            count += 1
            failure = attempt(target, target.mutate(chance, inputs))
            if failure is not None and failure.place not in places:
                places.add(failure.place)
                print(kept(minimised(target, failure)), end="\n\n")
    print(f"{name}: {count:,} inputs, {len(places)} failures")
    return int(bool(places))


if __name__ == "__main__":
    sys.exit(main())
