"""The seed of checks that are given none, and whether the test that runs has used it: read by the plugin."""

_SESSION = {"seed": 0, "used": 0}


def session_seed() -> int:
    """What `--flowc-seed` says, else 0."""
    return _SESSION["seed"]


def set_session_seed(seed: int) -> None:
    """From now on checks that are given no seed take this one."""
    _SESSION["seed"] = seed


def chosen(seed: int | None) -> int:
    """The seed of a check: the given one, else the session's, which is noted as used."""
    if seed is not None:
        return seed
    _SESSION["used"] += 1
    return _SESSION["seed"]


def used() -> int:
    """How often the session's seed was used."""
    return _SESSION["used"]
