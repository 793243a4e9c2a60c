"""The pytest plugin: `--flowc-record`, `--flowc-seed`, the fixtures `recorded` and `flowc_seed`.

It is loaded into every run of pytest where flowc is installed, so it imports nothing of flowc but numbers.
"""

import re
import secrets
from collections.abc import Generator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from flowc.testing.flows import seeds

if TYPE_CHECKING:
    from flowc.testing.flows.recording import Recording

RECORDINGS = "recordings"
"""The folder beside a test that holds its recordings."""
LONGEST_NAME = 100
"""Characters of a recording's name that are the test's own."""
_USED = pytest.StashKey[int]()
_SEED = "flowc_seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of flowc."""
    group = parser.getgroup("flowc", "tests of flows")
    group.addoption(
        "--flowc-record",
        action="store_true",
        help="make the calls of tests that use `recorded` for real, and write their recordings anew",
    )
    group.addoption(
        "--flowc-seed",
        metavar="N",
        default="0",
        help="the seed of checks that are given none (default: 0); `random` draws one",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Sets the seed of this session."""
    said = str(config.getoption("--flowc-seed"))
    if said == "random":
        workers_seed = getattr(config, "workerinput", {}).get(_SEED)  # that of the process which began them
        said = str(secrets.randbelow(2**32)) if workers_seed is None else str(workers_seed)
    if not said.isdigit():
        raise pytest.UsageError(f"--flowc-seed takes a number or `random`, not {said!r}")
    seeds.set_session_seed(int(said))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Gives a worker of pytest-xdist the seed of this session: it reads the same command line, and would
    draw another.
    """
    node.workerinput[_SEED] = seeds.session_seed()


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Says the seed where it is not the usual one."""
    return [f"flowc seed: {seeds.session_seed()}"] if seeds.session_seed() else []


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Notes how often the seed was used before a test."""
    item.stash[_USED] = seeds.used()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Adds to the report of a failed test the one command that repeats it, where its seed was the
    session's.
    """
    report = yield
    if report.failed and seeds.used() > item.stash.get(_USED, seeds.used()):
        seed = f"--flowc-seed {seeds.session_seed()}"
        report.sections.append(("flowc: again", _command(item.nodeid, seed)))
    return report


def _command(nodeid: str, options: str) -> str:
    name = nodeid.replace("'", "'\\''")
    return f"pytest '{name}' {options}"


def recording_name(stem: str, nodeid: str) -> str:
    """The name of a test's recording: no two tests of a file have the same, in whatever class and with
    whatever parameters, on systems of files that know no capitals either.
    """
    own = f"{stem}.{nodeid.partition('::')[2].replace('::', '.')}"
    plain = re.sub(r"[^\w.-]+", "_", own, flags=re.ASCII).strip("_")
    if plain == own and len(own) <= LONGEST_NAME:
        return own
    return f"{plain[:LONGEST_NAME]}.{sha256(own.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


@pytest.fixture
def flowc_seed() -> int:
    """The seed of this session, for what a test draws by itself."""
    return seeds.chosen(None)


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> "Recording":
    """The recording of this test, in `recordings/` beside it: `recorded.check(flow, arguments)`."""
    from flowc.testing.flows.recording import Recording

    name = recording_name(request.path.stem, request.node.nodeid)
    return Recording(
        request.path.parent / RECORDINGS / f"{name}.jsonl",
        writes=bool(request.config.getoption("--flowc-record")),
        again=_command(request.node.nodeid, "--flowc-record"),
    )
