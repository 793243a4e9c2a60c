"""Vectors as sets: what is in them, each element once, and in rising order."""

from typing import Any

import numpy as np

FEW = 16
"""As many elements are compared with each of others one after the other, which is sooner than a search."""
SOME = 64
"""As many are compared with each of others while it is in a register, which is still sooner."""
ROOM = 8
"""Whole numbers have a table of all between the least and the greatest, if those are no more than so many for
each element."""
VECTORS = 32
"""A multiple of so many has nothing left over that is not a vector."""


def unique(
    ar: Any, return_index: Any = False, return_inverse: Any = False, return_counts: Any = False
) -> Any:
    """The elements in rising order, each once; where each comes first, which each is, and how often."""
    row = ar.ravel()
    ordered = np.sort(row)
    first = np.ones(ordered.shape, np.bool_)
    same = (ordered[1:] == ordered[:-1]) | ((ordered[1:] != ordered[1:]) & (ordered[:-1] != ordered[:-1]))
    first[1:] = ~same
    found = ordered[first]
    more: tuple[Any, ...] = ()
    if return_index:
        more = (np.argsort(row)[first],)
    if return_inverse:
        more = (*more, np.searchsorted(found, ar))
    if return_counts:
        starts = np.nonzero(first)[0]
        more = (*more, np.append(starts[1:], len(ordered)) - starts)
    return (found, *more) if more else found


def isin(element: Any, test_elements: Any) -> Any:
    """Whether each element is among others."""
    others = np.ravel(test_elements)
    if np.ndim(element) == 0:
        return _searched(element, np.sort(others))
    among = np.zeros(np.shape(element), np.bool_)
    if len(others) <= FEW:
        for number in range(len(others)):
            among |= element == others[number]
    elif len(others) <= SOME:
        whole = (len(others) + VECTORS - 1) // VECTORS * VECTORS
        places = np.minimum(np.arange(whole), len(others) - 1)
        among[...] = (element[..., None] == others[places]).any(axis=-1)
    elif _are_whole(element) and _are_whole(others) and _are_close(others, _room(element, others)):
        numbers = others.astype(np.int64)
        low = np.min(numbers)
        among[...] = _tabled(element.astype(np.int64) - low, numbers - low)
    else:
        among[...] = _searched(element, np.sort(others))
    return among


def _are_whole(x: Any) -> Any:
    return x.dtype.kind in "iu"


def _room(element: Any, others: Any) -> Any:
    return ROOM * (element.size + len(others))


def _are_close(others: Any, room: Any) -> Any:
    """Whether none of these whole numbers is `room` above another."""
    numbers = others.astype(np.int64)
    span = np.max(numbers) - np.min(numbers)
    return (span >= 0) & (span < room)  # below 0 where 64 bits do not hold it


def _tabled(places: Any, others: Any) -> Any:
    """Whether each place is among others from 0 on, for all of which a table has room."""
    last = np.max(others)
    table = np.empty(_room(places, others), np.bool_)
    table[: last + 1] = False
    table[others] = True
    return (places >= 0) & (places <= last) & table[np.clip(places, 0, last)]


def _searched(element: Any, ordered: Any) -> Any:
    places = np.searchsorted(ordered, element)
    found = np.concatenate((ordered, np.zeros(1, ordered.dtype)))[places]
    return (places < len(ordered)) & (found == element)


def intersect1d(ar1: Any, ar2: Any) -> Any:
    """The elements that are in both, in rising order."""
    found = np.unique(ar1)
    return found[isin(found, ar2)]


def union1d(ar1: Any, ar2: Any) -> Any:
    """The elements that are in one of two, in rising order."""
    return np.unique(np.concatenate((np.ravel(ar1), np.ravel(ar2))))


def setdiff1d(ar1: Any, ar2: Any) -> Any:
    """The elements of one that are not in the other, in rising order."""
    found = np.unique(ar1)
    return found[~isin(found, ar2)]


def setxor1d(ar1: Any, ar2: Any) -> Any:
    """The elements that are in one of two and not in the other, in rising order."""
    ordered = np.sort(np.concatenate((np.unique(ar1), np.unique(ar2))))
    alone = np.ones(len(ordered) + 1, np.bool_)
    alone[1:-1] = ordered[1:] != ordered[:-1]
    return ordered[alone[1:] & alone[:-1]]
