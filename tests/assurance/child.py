"""A process that runs cases as it is told, a line of JSON each, and says after each what it has come to.

What cases print goes to the standard error: the standard output is the parent's.
"""

import faulthandler
import json
import os
import resource
import sys
import time
import traceback
from random import Random
from threading import Thread
from typing import Any, TextIO

from tests.assurance.campaign import COUNTED, Campaign, Tally
from tests.assurance.listing import campaigns_of, listing, to_json

FRAMES = -12
"""Of a traceback the last frames are told, with all that Hypothesis says."""
LONGEST = 20_000


def _streams() -> tuple[TextIO, TextIO]:
    """What is asked and what is answered, out of the way of what cases read and print."""
    asked, answered = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return asked, answered


def _one(campaign: Campaign, seed: int) -> dict[str, Any]:
    """Runs a case."""
    tally, failure, signature = Tally(), None, ""
    try:
        campaign.case(Random(seed), tally)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # what ends a process at another place is wrong here, too
        text = "".join(traceback.format_exception(error, limit=FRAMES))
        failure = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}\n...\n{text[-LONGEST // 2 :]}"
        signature = _signature(error)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    reached = {name: dict(getattr(tally, name)) for name in COUNTED}
    return {"tally": reached, "failure": failure, "signature": signature, "memory": memory}


def _signature(error: BaseException) -> str:
    """What failures of one cause share: the kind of error and where it was raised."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    last = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__} {last}"


def _end_with(parent: int) -> None:
    """Ends this process when its parent has ended, whatever it is at: it has a process group of its own."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main(package: str) -> None:
    """Answers until nothing more is asked."""
    asked, answered = _streams()
    faulthandler.enable()
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    loaded: dict[str, Campaign] = {}
    for line in asked:
        request = json.loads(line)
        if request["do"] == "list":
            answer = to_json(listing(package))
        elif request["do"] == "load":
            loaded |= {each.name: each for each in campaigns_of(request["module"])}
            answer = {}
        else:
            answer = _one(loaded[request["campaign"]], request["seed"])
        answered.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
