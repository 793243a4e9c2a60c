"""Sizes of files: those that are declared, and of what a run is still to write, what its tasks read.

Who plans before anything has run may not know what its tasks will write. A file that a task writes and whose
size is not declared is taken to be an equal part of what that task reads, as where work is split, handed on
and merged. For programs that pack or unpack that is wrong by a factor, but by the same one in all runs, and
forecasts compare tasks of one program.
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

MOST_SIZE = 2**63
"""No file has as many bytes."""


def expected_sizes(
    declared: Mapping[str, int],
    reads: Sequence[Sequence[str]],
    writes: Sequence[Sequence[str]],
    parents: Sequence[Sequence[int]],
) -> Mapping[str, int]:
    """The bytes of each file; what nobody writes and has no size counts as empty.

    Where tasks wait for each other in a ring, nothing is added: such a file is refused later.
    """
    if all(file in declared for files in writes for file in files):
        return declared
    sizes = dict(declared)
    try:
        order = list(TopologicalSorter(dict(enumerate(parents))).static_order())
    except CycleError:
        return declared
    for task in order:
        unknown = [file for file in writes[task] if file not in sizes]
        if unknown:
            read = sum(sizes.get(file, 0) for file in set(reads[task]))
            sizes.update(dict.fromkeys(unknown, min(read // len(writes[task]), MOST_SIZE - 1)))
    return sizes
