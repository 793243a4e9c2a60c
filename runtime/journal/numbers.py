"""The numbers of runs, by which tables and locks know them."""

from collections.abc import Callable

from flowc.runtime.journal.failures import unknown


class Numbers:
    """Remembers the numbers that `look_up` gives for runs; None for one that is not there."""

    def __init__(self, look_up: Callable[[str], int | None]) -> None:
        self._look_up = look_up
        self._known: dict[str, int] = {}

    def of(self, run: str) -> int:
        """The number of a run. Raises E0914 where it is gone."""
        number = self._known.get(run) or self.looked_up(run)
        if number is None:
            raise unknown(run)
        return number

    def looked_up(self, run: str) -> int | None:
        """The number that a run has now; None where there is no such run."""
        number = self._look_up(run)
        if number is not None:
            self._known[run] = number
        return number

    def forget(self, run: str) -> int | None:
        """Lets go of a run, and gives its number if that was remembered."""
        return self._known.pop(run, None)
