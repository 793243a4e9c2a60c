"""Arguments of flows from their signatures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from flowc.runtime.reading import bind_arguments
from flowc.testing import inputs, load
from flowc.testing.flows.targets import target_of
from tests.testing import shop

QUICK = settings(max_examples=150, derandomize=True, database=None, phases=[Phase.generate])

WIDE = """
record Node:
    name: str
    children: list[Node]
    data: json

enum Colour: red, green

flow main(
    a: int, b: float, c: bool, d: bytes, e: list[Node], f: dict[str, int?], g: Colour, h: f32[n, 3], i: i8[n],
    j: bf16[m], k: f16, l: u8, p: bool[m, n],
) -> int:
    return 1
"""


@given(inputs(shop.careful))
def test_arguments_are_the_classes_that_a_decorated_flow_is_annotated_with(arguments: dict[str, Any]) -> None:
    assert isinstance(arguments["letter"], shop.Letter)
    assert arguments["letter"].mood in (None, *shop.Mood)
    assert isinstance(arguments.get("amount", 1), int)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("wide") / "wide.flow"
    path.write_text(WIDE, encoding="utf-8")
    return load(path)


def test_arguments_of_every_type_fit_the_flow_and_arrays_agree(wide: Any) -> None:
    target = target_of(wide)

    @settings(max_examples=30)
    @given(inputs(wide))
    def holds(arguments: dict[str, Any]) -> None:
        bind_arguments(target.plan, target.function, arguments)
        assert arguments["h"].shape == (len(arguments["i"]), 3)
        assert arguments["p"].shape == (len(arguments["j"]), len(arguments["i"]))
        assert arguments["h"].dtype == np.float32

    holds()


@pytest.mark.parametrize(
    "wanted",
    [
        lambda found: found["i"].size == 0,
        lambda found: found["i"].size > 1,
        lambda found: found["a"] > 2**63,
        lambda found: any(each.children for each in found["e"]),
        lambda found: None in found["f"].values(),
        lambda found: found["g"] == "green",
        lambda found: np.isnan(found["h"]).any(),
    ],
)
def test_what_breaks_flows_is_among_them(wide: Any, wanted: Any) -> None:
    find(inputs(wide), wanted, settings=QUICK)


def test_a_parameter_can_be_given_a_value_or_a_strategy() -> None:
    fixed = inputs(shop.careful, amount=st.integers(1, 3), letter=shop.Letter("a", "b", None))

    @given(fixed)
    def holds(arguments: dict[str, Any]) -> None:
        assert arguments["amount"] in (1, 2, 3)
        assert arguments["letter"].sender == "a"

    holds()
    with pytest.raises(NoSuchExample):
        find(fixed, lambda found: found["amount"] > 3)
    with pytest.raises(ValueError, match="`careful` has no parameter `amont`; it has: letter, amount"):
        inputs(shop.careful, amont=3)


def test_a_default_is_left_to_the_flow_now_and_then() -> None:
    find(inputs(shop.careful), lambda found: "amount" not in found, settings=QUICK)
    find(inputs(shop.careful), lambda found: "amount" in found, settings=QUICK)


def test_only_flows_have_inputs(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a flow is wanted"):
        inputs(len)  # type: ignore[arg-type]
