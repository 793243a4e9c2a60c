"""What goes wrong with a journal, as coded errors."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from flowc.runtime.errors import FlowError, Problem, fail
from flowc.runtime.json_members import MISREAD

CLOSED = Problem("E0912", "the journal is closed", help="runs end before the journal that they are kept in")
INTERRUPTED = Problem(
    "E0912",
    "the journal cannot be written",
    "writing was interrupted, and what of it went down is not known",
    "what is acknowledged is kept: `flowc resume` goes on",
)


def damaged(run: str, number: int, why: str) -> FlowError:
    """A record of a run that is not what was written."""
    help = "the records before it are whole; restore the journal from a copy, or run the program again"
    return fail("E0910", f"record {number} of run {run} is damaged", why=why, help=help)


def damaged_journal(where: str, why: str) -> FlowError:
    """A journal that is not what was written, in a place that belongs to no single record."""
    help = "restore it from a copy, or move it away: the next run begins a new one"
    return fail("E0910", f"the journal {where} is damaged", why=why, help=help)


@contextmanager
def understood(what: str) -> Iterator[None]:
    """Reads what flowc has written. What is sound by its checksums and still says what no flowc writes is
    damage, too: E0910.
    """
    try:
        yield
    except (*MISREAD, zlib.error) as error:
        title = f"what is kept of {what} cannot be understood"
        why = f"it is sound, but nothing that this flowc writes ({type(error).__name__}: {error})"
        help = "restore the journal from a copy; a newer flowc may be able to read it"
        raise fail("E0910", title, why=why[:300], help=help) from error


def lost_run(where: str, run: str) -> FlowError:
    """A run that had begun, and of which nothing is left but the mark beside the journal."""
    return damaged_journal(where, f"run {run} began in it, and is there no more")


def lost_blob(where: str, digest: bytes, *, missing: bool) -> FlowError:
    """A blob that records refer to, and that is not what its address says."""
    return damaged_journal(
        where, f"value {digest.hex()} is {'missing' if missing else 'not what was written'}"
    )


def unusable(where: str, why: str) -> FlowError:
    """Something that is no journal of ours."""
    help = "name another place for the journal: --journal or FLOWC_JOURNAL"
    return fail("E0911", f"{where} is no journal that can be used", why=why, help=help)


def unwritable(where: str, why: str) -> FlowError:
    """A journal that cannot be written to; what was not written was not acknowledged."""
    help = "what is acknowledged is kept: make room or mend what is named here, then `flowc resume` goes on"
    return fail("E0912", f"the journal {where} cannot be read or written", why=why, help=help)


def busy(where: str, why: str) -> FlowError:
    """A journal that another process holds for longer than one waits."""
    help = "another program has it locked: end that, or wait, and try again"
    return fail("E0913", f"the journal {where} is busy", why=why, help=help)


def overtaken(run: str) -> FlowError:
    """A run that goes on elsewhere; this process must not go on as well."""
    return fail(
        "E0914",
        f"run {run} is continued elsewhere",
        why="the journal has records of it that this process did not write",
        help=f"this process stops here; `flowc show {run}` tells how the run goes on",
    )


def unknown(run: str) -> FlowError:
    """A run that is to go on and is not there."""
    return fail(
        "E0914",
        f"the journal has no run {run}",
        why="it was removed or replaced while the run was under way",
        help="`flowc runs` lists the runs that it has",
    )


def exists(run: str) -> FlowError:
    """A run that is begun a second time."""
    return fail("E0915", f"the journal has a run {run} already", help=f"go on with it: `flowc resume {run}`")


def no_driver() -> FlowError:
    """PostgreSQL without the package that speaks to it."""
    return fail(
        "E0916", "a journal in PostgreSQL needs the package `psycopg`", help="pip install 'flowc[postgres]'"
    )


def unreachable(where: str, why: str) -> FlowError:
    """A server that does not answer, or refuses."""
    help = "start the server, or mend the URL; without --journal and FLOWC_JOURNAL a file is taken"
    return fail("E0916", f"the journal {where} cannot be reached", why=why, help=help)
