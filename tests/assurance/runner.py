"""Shares out time between campaigns, has their cases run in processes, and keeps the account."""

import tempfile
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shlex import quote

from attrs import define, field, frozen

from tests.assurance.campaign import COUNTED, Tally
from tests.assurance.listing import PACKAGE, Listed, Listing, from_json
from tests.assurance.seeds import case_seed
from tests.assurance.worker import LARGEST, Died, Late, Stopped, Worker

GRACE = 30.0
"""Seconds that cases still have at the end; what has not ended by then is counted as broken off."""
MOST = 20
"""A campaign that fails so often has said what it has to say."""


@frozen
class Failure:
    """What is wrong: `how` is wrong, died, time-out, import or driver; `seed` is that of the case."""

    campaign: str
    how: str
    text: str
    signature: str = ""
    seed: int | None = None

    @property
    def command(self) -> str:
        """What shows it again."""
        if self.how == "import":
            return f"python -c 'import {self.campaign}'"
        again = "" if self.seed is None else f" --case {self.seed}"
        return f"python -m tests.assurance {quote(self.campaign)}{again}"


@frozen
class Order:
    """What is run: `names` of campaigns (none: all), how long, from which seed, by how many processes, at
    most how many cases of each; `first`: only until something fails.
    """

    seconds: float
    seed: int
    names: tuple[str, ...] = ()
    workers: int = 2
    package: str = PACKAGE
    cases: int | None = None
    first: bool = False


@define(eq=False)
class Account:
    """What a run has come to."""

    order: Order
    campaigns: tuple[Listed, ...] = ()
    tally: Tally = field(factory=Tally)
    cases: Counter[str] = field(factory=Counter)
    seconds: dict[str, float] = field(factory=partial(defaultdict, float))  # of the processes
    failures: list[Failure] = field(factory=list)
    broken_off: list[str] = field(factory=list)  # the commands of cases that had not ended
    took: float = 0.0


Told = Callable[[Failure], None]


class UnknownCampaign(Exception):
    """A name that no campaign has, and the names that there are."""


@define(eq=False)
class Runner:
    """Threads, one a process, that take cases in turn."""

    order: Order
    told: Told
    account: Account
    due: float
    scratch: Path
    lock: threading.Lock = field(factory=threading.Lock)
    begun: dict[int, tuple[str, float]] = field(factory=dict)
    numbers: Counter[str] = field(factory=Counter)
    workers: list[Worker] = field(factory=list)
    over: bool = False

    def next_case(self, thread: int) -> tuple[Listed, int] | None:
        """The campaign that has had least of its share, and the seed of its next case."""
        with self.lock:
            now = time.monotonic()
            failed = Counter(each.campaign for each in self.account.failures)
            most = float("inf") if self.order.cases is None else self.order.cases
            left = [
                each
                for each in self.account.campaigns
                if failed[each.name] < MOST and self.numbers[each.name] < most
            ]
            if self.over or now >= self.due or not left or (self.order.first and failed):
                return None
            spent = defaultdict(float, self.account.seconds)
            for name, since in self.begun.values():
                spent[name] += now - since
            running = Counter(name for name, _ in self.begun.values())
            chosen = min(left, key=lambda each: (spent[each.name] / each.share, running[each.name]))
            self.begun[thread] = chosen.name, now
            number = self.numbers[chosen.name]
            self.numbers[chosen.name] += 1
            return chosen, case_seed(self.order.seed, chosen.name, number)

    def work(self, thread: int) -> None:
        """Runs cases until the time is over."""
        worker = Worker(self.order.package, self.scratch, f"worker-{thread}")
        self.workers.append(worker)
        try:
            while (case := self.next_case(thread)) is not None:
                self._case(worker, thread, *case)
        except Exception:  # the driver's own: without it a run would end well that has not run
            failure = Failure("driver", "driver", traceback.format_exc())
            self.account.failures.append(failure)
            self.told(failure)
        finally:
            worker.end()

    def _case(self, worker: Worker, thread: int, campaign: Listed, seed: int) -> None:
        begun = time.monotonic()
        failure, tally = run_case(worker, campaign, seed, self.due + GRACE)
        with self.lock:
            if self.over:
                return
            account = self.account
            self.begun.pop(thread)
            account.seconds[campaign.name] += time.monotonic() - begun
            account.cases[campaign.name] += 1
            account.tally.add(tally)
            if failure is not None and failure.how == "broken off":
                account.broken_off.append(failure.command)
            elif failure is not None:
                known = (failure.campaign, failure.signature)
                new = known not in {(each.campaign, each.signature) for each in account.failures}
                account.failures.append(failure)
                if new:
                    self.told(failure)


def run_case(
    worker: Worker, campaign: Listed, seed: int, until: float = float("inf")
) -> tuple[Failure | None, Tally]:
    """Runs a case in a process: what is wrong with it, if anything, and what it has reached."""
    name, tally = campaign.name, Tally()
    try:
        worker.load(campaign.module)
        said = worker.ask({"do": "case", "campaign": name, "seed": seed}, campaign.limit, until)
    except Died as death:
        return Failure(name, "died", str(death), str(death).partition("\n")[0], seed), tally
    except Late:
        return Failure(name, "time-out", f"no end after {campaign.limit:g} s", "time-out", seed), tally
    except Stopped:
        return Failure(name, "broken off", "", "", seed), tally
    for each in COUNTED:
        getattr(tally, each).update(said["tally"][each])
    if said["memory"] > LARGEST:
        worker.end()
    if said["failure"] is not None:
        return Failure(name, "wrong", said["failure"], said["signature"], seed), tally
    return None, tally


def listed(worker: Worker) -> Listing:
    """The campaigns that there are. A process of its own imports them: what dies there dies alone."""
    try:
        return from_json(worker.ask({"do": "list"}, 300.0))
    except (Died, Late) as error:
        return Listing(broken=((worker.package, f"the campaigns cannot be imported: {error}"),))


def chosen(listing: Listing, names: tuple[str, ...]) -> tuple[Listed, ...]:
    """The campaigns of these names; all of them for none. Raises UnknownCampaign."""
    known = {each.name: each for each in listing.campaigns}
    if unknown := [name for name in names if name not in known]:
        there = f"there is no campaign {', '.join(unknown)}; there are {', '.join(sorted(known))}"
        raise UnknownCampaign("\n".join([there, *(f"{module}: {text}" for module, text in listing.broken)]))
    return tuple(known[name] for name in names or known)


def run(order: Order, told: Told, progress: Callable[[Runner], None] | None = None) -> Account:
    """Runs campaigns as long as the order says; `told` hears of each new failure at once."""
    account = Account(order)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="flowc-assurance-") as folder:
        scratch = Path(folder)
        first = Worker(order.package, scratch, "listing")
        try:
            listing = listed(first)
        finally:
            first.end()
        account.campaigns = chosen(listing, order.names)
        if not order.names:
            account.failures += [Failure(module, "import", text, text) for module, text in listing.broken]
        for each in account.failures:
            told(each)
        runner = Runner(order, told, account, time.monotonic() + order.seconds, scratch)
        threads = [threading.Thread(target=runner.work, args=(each,)) for each in range(order.workers)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                if progress is not None:
                    progress(runner)
                threads[0].join(0.2) if threads[0].is_alive() else threads[-1].join(0.2)
        finally:  # reached early when somebody interrupts
            runner.over = True
            for worker in runner.workers:
                worker.kill()
            for thread in threads:
                thread.join()
    account.took = time.monotonic() - begun
    return account
