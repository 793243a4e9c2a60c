"""The model that this machine was tuned with, on disk; where there is none, the one that comes with flowc."""

import tempfile
from functools import lru_cache
from pathlib import Path

from attrs import frozen

from flowc.passes.cost.fingerprint import fingerprint
from flowc.passes.cost.kernel_model import MOST_BYTES, KernelModel, ModelError, from_json, shipped
from flowc.passes.cost.place import folder
from flowc.runtime.machine import this_machine
from flowc.runtime.whole_files import write_whole


@frozen(eq=False)
class Chosen:
    """A model, whether it is this machine's own, and what was wrong with that one, if anything."""

    model: KernelModel
    tuned: bool
    problem: str = ""


def path() -> Path:
    """Where `flowc tune` leaves its model."""
    return folder() / "kernels.json"


def chosen() -> Chosen:
    """The model to go by. One that is damaged, or another machine's, is left alone, which the answer says."""
    return _chosen(fingerprint())


@lru_cache(1)
def _chosen(_: str) -> Chosen:
    """`chosen`, as long as the fingerprint of the models is this one: code is kept under it."""
    where = path()
    try:
        if not where.is_file():
            return _shipped()
        if where.stat().st_size > MOST_BYTES:
            raise ModelError(f"more than {MOST_BYTES:,} bytes")
        model = from_json(where.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ModelError) as error:
        return _shipped(f"{where} is no model that can be used: {error}")
    return Chosen(model, tuned=True) if _fits(model) else _shipped(f"{where} was measured on another machine")


def _shipped(problem: str = "") -> Chosen:
    return Chosen(shipped(), _fits(shipped()), problem)


def _fits(model: KernelModel) -> bool:
    return all(machine.name == this_machine() for machine in model.machines.values())


def prepare() -> None:
    """Makes the folder for a model; raises OSError where that, or writing there, is not possible."""
    there = path().parent
    there.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=there):
        pass


def store(text: str) -> Path:
    """Stores a model for later runs, whole or not at all; gives its place."""
    where = path()
    write_whole(where, text.encode())
    return where
