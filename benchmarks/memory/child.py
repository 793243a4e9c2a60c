"""The peak of one call: `python -m benchmarks.memory.child LIBRARY KERNEL SMALL LARGE` (folders of inputs).

The kernel is compiled on the small inputs first; then the high-water mark is reset and one call runs on the
large ones. What the inputs and the result take is not counted.
"""

import contextlib
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import worker
from benchmarks.kernels.child import fresh, kernels, load


def main() -> None:
    """Says the peak beside inputs and outputs, and the inputs' size, in bytes."""
    library, name, small, large = sys.argv[1:5]
    channel = worker.claim_output()
    forms = kernels()[name].forms[library]
    fresh(forms(load(Path(small)), 2))()
    arrays = load(Path(large))
    call = fresh(forms(arrays, 2))
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmHWM")
    result = call()
    extra = _status("VmHWM") - before - _bytes(result)
    inputs = sum(np.asarray(value).nbytes for value in arrays.values())
    worker.serve(channel, {}, {}, {"extra": extra, "inputs": inputs})


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, f"/proc/self/status has no {field}"
    return int(found[1]) * 1024


def _bytes(result: Any) -> int:
    return sum(np.asarray(each).nbytes for each in (result if isinstance(result, tuple) else (result,)))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
