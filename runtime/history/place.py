"""Where the history is kept: cheap to ask, since every compilation does."""

import os
from pathlib import Path


def path() -> Path | None:
    """The file of the history, in the user's state folder; FLOWC_HISTORY names another, or is "none"."""
    chosen = os.environ.get("FLOWC_HISTORY")
    if chosen == "none":
        return None
    if chosen:
        return Path(chosen)
    from platformdirs import user_state_path

    return user_state_path("flowc") / "history.sqlite"


def is_there(where: Path) -> bool:
    """Whether there is something at a path; not where its name is too long or a folder may not be searched,
    at which `Path.exists` raises.
    """
    try:
        return where.exists()
    except OSError:
        return False
