"""How many threads kernels may use."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from flowc.runtime.errors import FlowError, fail
from flowc.runtime.settings import number

MOST = 4096
"""More threads than that are a mistake, not a wish."""

VARIABLE = "FLOWC_THREADS"


class _Setting:
    """Plain, since every process that runs a kernel waits for this module."""

    chosen: int | None = None


_setting = _Setting()


def threads() -> int:
    """How many threads a kernel may use: what was chosen, else FLOWC_THREADS, else the cores there are.

    Raises E0790 where FLOWC_THREADS is no number of threads.
    """
    if _setting.chosen is not None:
        return _setting.chosen
    return number(VARIABLE, 1, MOST, _not_a_number_of_threads) or usable_cores()


def choose(count: int) -> None:
    """Sets what `threads` gives from now on; raises E0790 where it is no number of threads."""
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST:
        raise _not_a_number_of_threads(f"set_threads({count!r})")
    _setting.chosen = count


def _not_a_number_of_threads(text: str) -> FlowError:
    return fail(
        "E0790",
        f"`{text}` is no number of threads",
        why=f"kernels run on 1 to {MOST} threads",
        help="leave it out for one thread on each core",
    )


def usable_cores(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The cores that this process may run on: by its affinity, and by the quotas of its control groups."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [max(1, round(quota)) for quota in _quotas(dict.fromkeys(_folders(groups, own)))]
    return min([affinity, *quotas])


def _folders(groups: Path, own: Path) -> Iterator[Path]:
    """The folders of the control groups that the process is in, its own first and the root's last."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        root = groups / "cpu" if "cpu" in controllers.split(",") else groups
        if controllers == "" or root != groups:
            here = root / path.lstrip("/")
            yield here
            yield from (parent for parent in here.parents if parent.is_relative_to(root))
    yield from (groups, groups / "cpu")


def _quotas(folders: Iterable[Path]) -> Iterator[float]:
    """The cores' worth of time that each control group allows, in both versions of the interface."""
    for folder in folders:
        try:
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()[:2]
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
            if quota not in ("max", "-1"):
                yield int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
