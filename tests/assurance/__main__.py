"""The long form of the property-based suite: `python -m tests.assurance [NAME ...]`.

ASSURE_SECONDS and ASSURE_SEED bound and seed it where no option does. The last line of the output is the
summary, and the exit status is not zero where anything has failed.
"""

import argparse
import os
import secrets
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.assurance import ledger, report
from tests.assurance.listing import PACKAGE
from tests.assurance.progress import shown
from tests.assurance.runner import Account, Failure, Order, UnknownCampaign, chosen, listed, run, run_case
from tests.assurance.worker import Worker


def options(arguments: list[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.assurance", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="campaigns; all of them if none is named")
    seconds = float(os.environ.get("ASSURE_SECONDS") or 600)
    parser.add_argument("--seconds", type=float, default=seconds, help="how long cases are begun")
    seed = os.environ.get("ASSURE_SEED")
    parser.add_argument("--seed", type=int, default=int(seed) if seed else None, help="drawn if not given")
    parser.add_argument("--case", type=int, metavar="SEED", help="run one case of one campaign again")
    parser.add_argument("--cases", type=int, metavar="N", help="no more than so many cases of a campaign")
    parser.add_argument("--first", action="store_true", help="end with the first failure")
    parser.add_argument("--workers", type=int, default=2, help="processes that run cases at the same time")
    parser.add_argument("--ledger", action="store_true", help="add what was tried to the committed ledger")
    parser.add_argument("--package", default=PACKAGE, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.case is not None and len(chosen.names) != 1:
        parser.error("--case needs the one campaign that it is of")
    return chosen


def main(arguments: list[str]) -> int:
    """Runs what the command line says; gives the exit status."""
    given = options(arguments)
    names = tuple(given.names)
    seed = secrets.randbelow(1 << 32) if given.seed is None else given.seed
    try:
        if given.case is not None:
            return again(given.package, names[0], given.case)
        order = Order(given.seconds, seed, names, given.workers, given.package, given.cases, given.first)
        print(f"assure: {order.seconds:g} s from the seed {order.seed}", flush=True)
        with shown() as progress:
            account = run(order, tell, progress)
    except UnknownCampaign as error:
        print(error, file=sys.stderr)
        return 2
    return ended(account, add=given.ledger)


def ended(account: Account, *, add: bool) -> int:
    """Writes the report, and the ledger's line; the exit status."""
    if add:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        tried, failures = dict(account.tally.tried), len(account.failures)
        ledger.append(
            ledger.Entry(now, report.commit(), account.order.seed, round(account.took), tried, failures)
        )
    known = report.write(account)
    print(f"the report is {report.FOLDER / 'report.md'}")
    nothing = not account.failures and not account.cases.total()
    print("assure: nothing has run" if nothing else report.summary(known), flush=True)
    return 1 if account.failures or nothing else 0


def again(package: str, name: str, seed: int) -> int:
    """Runs one case."""
    with tempfile.TemporaryDirectory(prefix="flowc-assurance-") as folder:
        worker = Worker(package, Path(folder), "again")
        try:
            campaign = chosen(listed(worker), (name,))[0]
            failure, tally = run_case(worker, campaign, seed)
        finally:
            worker.end()
    if failure is not None:
        tell(failure)
    tried = ", ".join(f"{number:,} {kind}" for kind, number in tally.tried.items())
    print(f"assure: {'no failure' if failure is None else '1 failure'}; {tried or 'nothing tried'}")
    return 0 if failure is None else 1


def tell(failure: Failure) -> None:
    """Says what is wrong, at once."""
    print(report.told(failure), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
