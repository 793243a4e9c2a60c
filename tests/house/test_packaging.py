"""What is packaged is what is there."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("compiler", "dialects", "grammar", "passes", "runtime")
OWN = ("cli", "testing")
"""Rooms that stand in the package itself: they are for people, and nothing is built on them."""


def _package_folders() -> set[str]:
    places = [(room, ROOT / room) for room in ROOMS] + [(room, ROOT / "src/flowc" / room) for room in OWN]
    found = {"flowc"}
    for name, place in places:
        for module in place.rglob("*.py"):
            parts = module.parent.relative_to(place).parts
            found.add(".".join(("flowc", name, *parts)))
    return found


def test_every_folder_with_code_is_listed_as_a_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert sorted(settings["packages"]) == sorted(_package_folders() | {"flowc.compiler.errors"})


def test_every_package_says_what_it_is_for() -> None:
    for name in _package_folders():
        parts = name.split(".")[1:]
        place = ROOT / "src/flowc" if not parts or parts[0] in OWN else ROOT
        module = place.joinpath(*parts, "__init__.py")
        assert module.read_text().startswith('"""'), f"{module} has no docstring"


def test_the_rooms_are_reached_by_relative_links() -> None:
    for room in ROOMS:
        link = ROOT / "src/flowc" / room
        assert link.is_symlink(), room
        assert link.readlink() == Path("../..") / room
