"""Where models that this machine was tuned with are kept."""

import os
from pathlib import Path


def folder() -> Path:
    """Where `flowc tune` leaves models: in the user's data folder; FLOWC_MODEL_DIR moves it."""
    given = os.environ.get("FLOWC_MODEL_DIR")
    if not given:
        from platformdirs import user_data_dir

        given = user_data_dir("flowc")
    return Path(given)
