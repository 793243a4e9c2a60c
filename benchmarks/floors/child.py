"""The calibration's child: `python -m benchmarks.floors.child THREADS ELEMENTS`."""

import contextlib
import sys

import numpy as np

from benchmarks import floors, worker

STEPS = 500_000


def main() -> None:
    """Serves the loops; the facts say how many bytes or operations one call is."""
    threads, elements = (int(word) for word in sys.argv[1:3])
    channel = worker.claim_output()
    worker.keep_to(threads)
    a, b, c = (floors.aligned((elements,), np.dtype(np.float32)) for _ in range(3))
    for value in (a, b, c):
        value[:] = 1
    calls = {
        "read": (lambda: floors.call("read_all", a, elements, threads), a.nbytes),
        "copy": (lambda: floors.call("copy", a, c, elements, threads, 0), 2 * a.nbytes),
        "copy streaming": (lambda: floors.call("copy", a, c, elements, threads, 1), 2 * a.nbytes),
        "triad": (lambda: floors.call("triad", a, b, c, elements, threads, 0), 3 * a.nbytes),
        "triad streaming": (lambda: floors.call("triad", a, b, c, elements, threads, 1), 3 * a.nbytes),
        "operations": (lambda: floors.call("multiply_add", STEPS, threads), STEPS * 16 * 16 * 2 * threads),
    }
    variants = {name: worker.repeated(call) for name, (call, _) in calls.items()}
    for call, _ in calls.values():
        call()
    worker.serve(channel, variants, {}, {name: amount for name, (_, amount) in calls.items()})


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
