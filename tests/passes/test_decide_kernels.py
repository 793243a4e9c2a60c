"""What is decided about kernels: real ways, recorded as they are, and none where nothing is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import UnitAttr

from flowc.compiler.backends.llvm import Options, compile_kernels
from flowc.dialects.array.kernel import PRECISE, KernelOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.dialects.array.types import array_type
from flowc.passes import decide_kernels
from flowc.passes.cost import variant_model
from flowc.passes.cost.fingerprint import fingerprint
from flowc.passes.cost.forest import as_data, forest_of
from flowc.passes.cost.variant_features import FEATURES, difference, outline, row
from flowc.passes.cost.variant_model import UNKNOWN, ChosenVariants, VariantModel, change
from flowc.passes.decide_kernels import decided, decisions, judged
from flowc.passes.fuse_array import prepare_to_fuse
from flowc.passes.kernel_alternatives import alternatives, default_way, marks
from flowc.passes.kernel_choices import DEFAULT, Choices, choose
from flowc.passes.usual_sizes import sizes_of, usual_sizes
from flowc.runtime.kernels import load
from flowc.runtime.machine import this_machine
from flowc.testing.oracles.tolerance import assert_close
from flowc.testing.strategies.kernels import array_of, as_module, make_kernel, programs
from tests.kernels.differential import QUICK, drawn, examples
from tests.passes.test_kernel_choices import MATRIX, centred, product


def saying(ratio: float, spread: float = 0.0) -> VariantModel:
    """A model that knows everything, and says that every other way changes the time by this logarithm."""
    functions = [[{"features": [-1], "numbers": [ratio + by]}] for by in (-spread, 0.0, spread)]
    everything = np.full(len(FEATURES), 1e9)
    return VariantModel(this_machine(), forest_of(functions), -everything, everything, 7)


@pytest.fixture
def decider(monkeypatch: pytest.MonkeyPatch) -> Any:
    def decide_by(model: VariantModel | None) -> None:
        monkeypatch.setattr(decide_kernels, "chosen", lambda: ChosenVariants(model))

    return decide_by


def ready(body: Any = centred, **types: Any) -> KernelOp:
    kernel = make_kernel(types or {"x": MATRIX}, body)
    prepare_to_fuse(as_module(kernel))
    return kernel


def test_alternatives_are_ways_that_differ() -> None:
    kernel = ready()
    usual = default_way(kernel)
    found = alternatives(kernel, usual)
    fusions = [marks(way.kernel) for way in (usual, *found) if way.choice in ("", "recompute")]
    assert len(set(fusions)) == len(fusions) > 1
    assert {way.choice for way in found} == {"recompute", "strip"}
    assert all(way.choices != DEFAULT for way in found)


@pytest.mark.parametrize("bound", ["precise", "chosen"])
def test_what_is_bound_has_no_other_way(bound: str) -> None:
    kernel = ready()
    if bound == "precise":
        kernel.attributes[PRECISE] = UnitAttr()
    else:
        choose(kernel, Choices(strip=64))
    assert alternatives(kernel, default_way(kernel)) == []


def test_a_way_that_is_expected_to_be_faster_is_taken(decider: Any) -> None:
    decider(saying(-0.5))
    kernel = ready()
    assert decided(kernel) != DEFAULT
    for each in decisions(kernel, sizes_of([(100, 100)]), 2.0):
        assert each.choice != each.default.name
        assert each.chosen.ms == pytest.approx(2.0)
        assert each.default.ms == pytest.approx(2.0 * 2**0.5)
        assert each.gain == pytest.approx(each.default.ms - each.chosen.ms)
        assert each.sure


@pytest.mark.parametrize(
    "model", [None, saying(0.0), saying(0.5), saying(-0.01), saying(-0.5, 8.0)], ids=lambda _: ""
)
def test_all_stays_as_usual_where_nothing_better_is_sure(decider: Any, model: VariantModel | None) -> None:
    decider(model)
    kernel = ready()
    assert decided(kernel) == DEFAULT
    for each in decisions(kernel, sizes_of([(100, 100)]), 2.0):
        assert each.choice == each.default.name
        assert each.gain == 0
        assert not each.sure


def test_records_name_each_real_way_once(decider: Any) -> None:
    decider(saying(-0.1))
    kernel = ready()
    names = [way.name for way in alternatives(kernel, default_way(kernel))]
    found = decisions(kernel, sizes_of([(100, 100)]), 1.0)
    assert sorted(names) == sorted(each.name for record in found for each in record.alternatives[1:])
    only = decisions(kernel, sizes_of([(100, 100)]), 1.0, asked=set())
    assert [record.what for record in only] == ["fusion"]


def test_features_grow_with_the_sizes_and_are_finite() -> None:
    kernel = ready(product, a=array_type("f32", ("n", "k")), b=array_type("f32", ("k", "m")))
    usual = default_way(kernel)
    known = outline(usual)
    for way in alternatives(kernel, usual):
        few, many = (row(known, difference(usual, way), sizes_of([(n, n), (n, n)])) for n in (10, 1000))
        assert len(few) == len(FEATURES)
        assert np.isfinite([few, many]).all()
        assert many[FEATURES.index("elements")] > few[FEATURES.index("elements")]
        assert many[FEATURES.index("right")] == pytest.approx(np.log2(4 * 1000 * 1000))


def test_a_way_beyond_what_was_measured_is_unknown() -> None:
    model = saying(-1.0)
    near = VariantModel(model.machine, model.forest, np.zeros(len(FEATURES)), np.ones(len(FEATURES)), 7)
    assert change(near, [0.5] * len(FEATURES)).known
    assert change(near, [*[0.5] * (len(FEATURES) - 1), 1e6]) == UNKNOWN


@examples(0.1)
@given(st.data(), st.sampled_from([-64.0, -1.0, 64.0]))
def test_an_absurd_model_changes_no_result(data: st.DataObject, ratio: float) -> None:
    program = data.draw(programs())
    copy = program.kernel.clone()
    prepare_to_fuse(as_module(copy))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decide_kernels, "chosen", lambda: ChosenVariants(saying(ratio)))
        choose(program.kernel, decided(copy))
        assert all(np.isfinite(each.change.middle) for each in judged(copy, usual_sizes(copy)))
    drawn(data, program, QUICK)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine's own models lie."""
    monkeypatch.setenv("FLOWC_MODEL_DIR", str(tmp_path))
    return tmp_path


def _leaves(*numbers: float) -> dict[str, Any]:
    return as_data(forest_of([[{"features": [-1], "numbers": [number]}] for number in numbers]))


def _text(**changes: Any) -> str:
    zeros = [0.0] * len(FEATURES)
    whole = {
        "version": variant_model.VERSION, "features": list(FEATURES), "machine": this_machine(),
        "samples": 10**9, "lowest": zeros, "highest": zeros, "forest": _leaves(-0.1, 0.0, 0.1),
    }  # fmt: skip
    return json.dumps(whole | changes)


DAMAGED = {
    "cut": _text()[:-20],
    "empty": "",
    "deep": "[" * 100_000,
    "version": _text(version=99),
    "features": _text(features=["colour"]),
    "infinite": _text(lowest=[float("inf")] * len(FEATURES)),
    "boundless": _text(forest=_leaves(1e9, 1e9, 1e9)),
    "two": _text(forest=_leaves(0.1, 0.1)),
    "strange": _text(forest=_leaves(0.1, 0.1, 0.1) | {"roots": [10_000, -2, -3]}),
}


@pytest.mark.alike(3)
@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_model_is_left_alone_and_kernels_compile(folder: Path, text: str) -> None:
    (folder / "choices.json").write_text(text)
    assert "is no model that can be used" in variant_model.chosen().problem
    _compiles()


def test_the_model_of_another_machine_is_left_alone(folder: Path) -> None:
    (folder / "choices.json").write_text(_text(machine="another x 3"))
    assert "another machine" in variant_model.chosen().problem
    _compiles()


def test_the_model_of_this_machine_decides(folder: Path) -> None:
    (folder / "choices.json").write_text(_text())
    found = variant_model.chosen()
    assert not found.problem
    assert found.model is not None
    assert change(found.model, [0.0] * len(FEATURES)).middle == 0.0


def _compiles() -> None:
    kernel = make_kernel({"x": MATRIX}, centred)
    code = compile_kernels(as_module(kernel), Options(cached=False))
    x = array_of("f32", (20, 30), 1)
    (wanted,) = evaluate_kernel(kernel, [x])
    assert_close(load(code.object_code, code.signatures)["k"](x), wanted, "f32", 8)


def test_a_model_that_changes_on_disk_decides_from_then_on(folder: Path) -> None:
    """Code is kept under the fingerprint of the models, so what decides must be what it says."""
    names = []
    for number in (0.1, 0.2):
        (folder / "choices.json").write_text(_text(forest=_leaves(number, number, number)))
        found = variant_model.chosen().model
        assert found is not None
        assert found.forest.leaves[0] == number
        names.append(fingerprint())
    assert names[0] != names[1]
