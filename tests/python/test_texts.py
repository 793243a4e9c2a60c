"""Values as text in Python functions read as Python writes them."""

import pytest

import flowc


def written(flag: bool, number: int, share: float, names: list[str], missing: str | None) -> str:
    return f"{flag} {number} {share} {names} {missing}" + str(flag) + str(missing) + str(names)


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("share", [0.5, 1e16, float("inf")])
@pytest.mark.parametrize("level", [0, 2])
def test_texts_equal_those_of_the_undecorated_function(flag: bool, share: float, level: int) -> None:
    decorated = flowc.flow(written).using(optimisation=level)
    for missing in (None, "x"):
        arguments = (flag, 3, share, ["a", "b"], missing)
        assert decorated(*arguments) == written(*arguments)
