"""Where models that this machine was tuned with are kept, and what tells machines apart."""

import os
from pathlib import Path

from flowc.runtime import processor
from flowc.runtime.native.width import usable_cores


def folder() -> Path:
    """Where `flowc tune` leaves models: in the user's data folder; FLOWC_MODEL_DIR moves it."""
    given = os.environ.get("FLOWC_MODEL_DIR")
    if not given:
        from platformdirs import user_data_dir

        given = user_data_dir("flowc")
    return Path(given)


def this_machine() -> str:
    """What tells machines apart whose kernels take different times: the processor, and the cores that may be
    used of it.
    """
    return f"{processor.host().cpu} x {usable_cores()}"
