"""All that a GPU is for, in stages: `python -m benchmarks.gpu [STAGE ...]`, and `make gpu`.

`tests` runs the tests of kernels on the card, `sanitizer` a sample of them under compute-sanitizer, where
that is installed, and `benchmark` measures and writes benchmarks/results/gpu.json. Without a GPU the first
two have nothing to do.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.rounds import ROOT
from flowc.runtime.device.presence import absence

STAGES = ("tests", "sanitizer", "benchmark")
TESTS = ("tests/cuda",)
SAMPLE = ("tests/cuda/test_comparing.py", "tests/cuda/test_scans.py")
TOOLS = ("memcheck", "racecheck")
FOUND = 66
"""How compute-sanitizer ends where it has something to report."""


def main(words: Sequence[str]) -> int:
    """Runs stages; gives the exit status, 1 where tests fail or the sanitizer reports something."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"of: {', '.join(STAGES)}; else all")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="which has the peers")
    parsed = parser.parse_args(words)
    unknown = set(parsed.stages) - set(STAGES)
    if unknown:
        parser.error(f"no stage is called {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    stages = parsed.stages or STAGES
    missing = absence()
    if missing is not None:
        stages = [each for each in stages if each == "benchmark"]  # it says itself what is missing
        if not stages:
            print(f"No kernel runs on a GPU here: {missing.problem.message}.", flush=True)
    commands = [command for stage in stages for command in orders(stage, parsed.peers)]
    ends = [run(command, environment) for command, environment in commands]
    return 1 if any(ends) else 0


def orders(stage: str, peers: str) -> list[tuple[list[str], dict[str, str]]]:
    """The commands of a stage, each with what it adds to the environment."""
    tests = [sys.executable, "-m", "pytest", "-q", "-n", "0"]
    if stage == "tests":
        return [([*tests, *TESTS, "--timeout", "1200"], {"FLOWC_TEST_DEVICE": "card"})]
    if stage == "benchmark":
        return [([sys.executable, "-m", "benchmarks", "gpu", "--peers", peers], {})]
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        print("compute-sanitizer is not installed: its stage is left out.", flush=True)
        return []
    watched = [sanitizer, "--target-processes", "all", "--error-exitcode", str(FOUND)]
    sample = [*tests, *SAMPLE, "--timeout", "3600"]
    return [([*watched, "--tool", tool, *sample], {"FLOWC_TEST_DEVICE": "sanitized"}) for tool in TOOLS]


def run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Runs a command at the root of the repository; gives its exit status."""
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
