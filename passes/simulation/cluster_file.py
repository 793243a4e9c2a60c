"""A cluster as TOML: workers, speeds, bandwidth, failures."""

from pathlib import Path

from flowc.passes.simulation.cluster import MOST_WORKERS, Cluster, Worker, identical
from flowc.runtime.bounded import read_up_to
from flowc.runtime.errors import FlowError, fail
from flowc.runtime.sections import parsed

SMALLEST, LARGEST = 1e-6, 1e18
"""Between them lie all numbers but a `repair` of zero; more seconds than 1e18 there have not been."""
MOST_BYTES = 2**20
_HELP = "a cluster is `bandwidth = BYTES_PER_SECOND` and [[workers]] with count, speed, mtbf, repair"
_TOP = ("bandwidth", "workers")
_WORKER = ("count", "speed", "mtbf", "repair")


def read_cluster(path: Path, workers: int) -> Cluster:
    """The cluster that a file describes; `workers` are taken where it lists none.

    Raises FlowError E0658 with what is wrong.
    """
    try:
        data = read_up_to(path, MOST_BYTES)
        if len(data) > MOST_BYTES:
            raise _wrong(f"the file has more than {MOST_BYTES // 2**20} MB", path)
        content = parsed(data.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise fail("E0658", f"{path} cannot be read", why=str(error), help=_HELP) from None
    _known(content, _TOP, "", path)
    bandwidth = _number(content, "bandwidth", None, path)
    listed = content.get("workers", [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise _wrong("`workers` must be sections: [[workers]]", path)
    found: list[Worker] = []
    for each in listed:
        _known(each, _WORKER, " in [[workers]]", path)
        count = each.get("count", 1)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_WORKERS:
            raise _wrong(f"count must be a whole number from 1 to {MOST_WORKERS:,}, not {count!r:.40}", path)
        repair = _number(each, "repair", 0.0, path, zero=True)
        speed = _number(each, "speed", 1.0, path)
        found += [Worker(speed or 1.0, _number(each, "mtbf", None, path), repair or 0.0)] * count
        if len(found) > MOST_WORKERS:
            raise _wrong(f"a cluster has at most {MOST_WORKERS:,} workers", path)
    return Cluster(tuple(found) or identical(workers).workers, bandwidth)


def _known(members: dict[str, object], names: tuple[str, ...], place: str, path: Path) -> None:
    for name in members:
        if name not in names:
            raise _wrong(f"there is no setting `{name}`{place}", path)


def _number(
    members: dict[str, object], name: str, default: float | None, path: Path, *, zero: bool = False
) -> float | None:
    """A number of a sensible size; with `zero`, zero is one too."""
    value = members.get(name, default)
    if value is None:
        return None
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (SMALLEST <= value <= LARGEST or (zero and value == 0))
    ):
        return float(value)
    sizes = f"from {SMALLEST:g} to {LARGEST:g}" + (", or 0" if zero else "")
    raise _wrong(f"{name} must be a number {sizes}, not {value!r:.40}", path)


def _wrong(title: str, path: Path) -> FlowError:
    return fail("E0658", title, why=f"read in {path}", help=_HELP)
