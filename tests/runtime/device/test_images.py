"""Which code a card loads, how it travels, and what a library of products is asked for."""

import json
from itertools import product
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from flowc.runtime.device.architectures import parse_architecture
from flowc.runtime.device.blas import Factor, order_of, suits_bytes
from flowc.runtime.device.code import DeviceCode, device_code_in, device_members
from flowc.runtime.device.failures import damaged
from flowc.runtime.device.images import best_cubin, image_for
from flowc.runtime.device.product import Matrices, Product
from flowc.runtime.device.site import Library
from flowc.runtime.errors import FlowError
from tests.runtime.device.stand_in import AFFINE_SIGNATURE, RecordingDevice

CODE = DeviceCode(
    b"host",
    (AFFINE_SIGNATURE,),
    ("k_0", "k_1"),
    {"sm_80": b"eighty", "sm_90": b"ninety", "sm_90a": b"ninety a"},
    b"ptx",
    "sm_80",
    "text",
)


@pytest.mark.parametrize(
    ("card", "wanted"),
    [
        ("sm_80", "sm_80"),
        ("sm_86", "sm_80"),
        ("sm_89", "sm_80"),
        ("sm_90", "sm_90a"),
        ("sm_100", None),
        ("sm_75", None),
    ],
)
def test_a_card_gets_machine_code_of_its_generation(card: str, wanted: str | None) -> None:
    assert best_cubin(CODE.cubins, card) == wanted


def test_code_of_a_lesser_minor_number_is_taken_and_of_a_greater_one_not() -> None:
    assert best_cubin(["sm_80", "sm_86", "sm_89"], "sm_86") == "sm_86"
    assert best_cubin(["sm_89"], "sm_86") is None


@pytest.mark.parametrize("text", ["", "sm_", "sm_9", "gfx906", "sm_90 ", "sm_90b"])
def test_what_is_no_architecture_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an architecture"):
        parse_architecture(text)


def test_a_younger_card_gets_what_its_driver_compiles() -> None:
    assert image_for(CODE, "a card", "sm_120", None) == b"ptx"


def test_an_older_card_gets_code_that_is_made_now() -> None:
    def recompile(text: str, card: str) -> bytes:
        return f"{text} for {card}".encode()

    assert image_for(CODE, "a card", "sm_75", recompile) == b"text for sm_75"


@pytest.mark.parametrize("text", ["", "text"])
def test_a_card_without_any_code_is_named(text: str) -> None:
    with pytest.raises(FlowError) as error:
        image_for(evolve(CODE, text=text), "a card", "sm_75", None)
    problem = error.value.problem
    assert problem.code == "E0786"
    assert "a card, which is sm_75" in problem.message
    assert "sm_80" in problem.why


def test_a_device_loads_code_once_and_each_its_own() -> None:
    loads: list[bytes] = []

    class Device(RecordingDevice):
        def load(self, image: bytes, functions: Any) -> Any:
            loads.append(image)
            return super().load(image, functions)

    library = Library(CODE)
    first, second = Device(number=0), Device(number=1, architecture="sm_90")
    assert library.on(first) is library.on(first)
    assert library.on(second) is not library.on(first)
    assert loads == [b"eighty", b"ninety a"]


def test_code_that_a_driver_refuses_is_loaded_again_at_the_next_call() -> None:
    class Device(RecordingDevice):
        refusals = 1

        def load(self, image: bytes, functions: Any) -> Any:
            if self.refusals:
                self.refusals -= 1
                raise damaged("no kernel image")
            return super().load(image, functions)

    library, device = Library(CODE), Device()
    with pytest.raises(FlowError, match="E0695"):
        library.on(device)
    library.on(device)


def test_code_travels_in_the_members_of_an_artifact() -> None:
    members = device_members(CODE)
    assert device_code_in({**members, "native.o": b"", "signatures.json": b"[]"}) == CODE
    assert device_code_in({"native.o": b""}) is None


@pytest.mark.parametrize("name", ["kernels.json", "host.o", "kernels.cu"])
@pytest.mark.parametrize("content", [None, b"\xff", b"[]", b"{}"])
def test_members_that_are_missing_or_broken_are_refused(name: str, content: bytes | None) -> None:
    members = device_members(CODE)
    if content is None:
        del members[f"cuda/{name}"]
    elif name == "kernels.json":
        members[f"cuda/{name}"] = content
    else:
        return
    with pytest.raises(FlowError, match="E0644"):
        device_code_in(members)


@pytest.mark.parametrize(
    ("name", "content"),
    [("host.o", b"hose"), ("kernels.cu", b"texts"), ("sm_80.cubin", b"ninety"), ("sm_80.ptx", b"ptz"),
     ("sm_86.cubin", b"more"), ("sm_90.cubin", None)],
)  # fmt: skip
def test_one_checksum_is_over_all_members(name: str, content: bytes | None) -> None:
    members = device_members(CODE)
    members.pop(f"cuda/{name}", None)
    if content is not None:
        members[f"cuda/{name}"] = content
    with pytest.raises(FlowError, match="checksum does not fit"):
        device_code_in(members)


def test_functions_are_those_that_host_code_was_made_with() -> None:
    members = device_members(CODE)
    head = json.loads(members["cuda/kernels.json"])
    head["functions"] = head["functions"][:1]
    members["cuda/kernels.json"] = json.dumps(head).encode()
    with pytest.raises(FlowError, match="checksum does not fit"):
        device_code_in(members)


def test_a_signature_with_a_line_beyond_all_numbers_is_refused() -> None:
    beyond: Any = float("inf")
    signature = evolve(AFFINE_SIGNATURE, sites=(beyond,))
    with pytest.raises(FlowError, match=r"E0644.*cannot be read"):
        device_code_in(device_members(evolve(CODE, signatures=(signature,))))


@pytest.mark.parametrize(
    "code", [evolve(CODE, cubins={"zz": b"code"}), evolve(CODE, ptx_architecture="gfx906")]
)
def test_members_of_no_architecture_are_refused(code: DeviceCode) -> None:
    with pytest.raises(FlowError, match=r"E0644.*not an architecture"):
        device_code_in(device_members(code))


@pytest.mark.parametrize("axes", [(0,), (0, None, None, 2), (-1, None, None, 0), (0, 0, 0, 0)])
def test_axes_that_arrays_do_not_have_are_refused(axes: tuple[Any, ...]) -> None:
    broken = evolve(CODE, signatures=(evolve(AFFINE_SIGNATURE, chunked=axes),))
    with pytest.raises(FlowError, match="E0644"):
        device_code_in(device_members(broken))
    cut = evolve(CODE, signatures=(evolve(AFFINE_SIGNATURE, chunked=(0, None, None, 0)),))
    assert device_code_in(device_members(cut)) == cut


@pytest.mark.parametrize(
    ("ptx", "card", "fits"),
    [
        ("sm_80", "sm_80", True),
        ("sm_90", "sm_89", False),
        ("sm_90a", "sm_90", True),
        ("sm_90a", "sm_100", False),
        ("sm_100f", "sm_103", False),
        ("sm_100f", "sm_120", False),
    ],
)
def test_a_driver_gets_no_ptx_with_features_of_another_card(ptx: str, card: str, fits: bool) -> None:
    code = evolve(CODE, cubins={}, ptx_architecture=ptx)
    assert image_for(code, "a card", card, lambda *_: b"made") == (b"ptx" if fits else b"made")


def gemm(memory: Any, order: Any, factor: Factor, rows: int, columns: int) -> Any:
    """A matrix as a library for columns reads it."""
    shape = (columns, rows) if factor.transposed else (rows, columns)
    found = np.array(
        [[memory[factor.address + i + j * factor.leading] for j in range(shape[1])] for i in range(shape[0])]
    ).reshape(shape)
    return found.T if factor.transposed else found


@given(st.data())
def test_the_order_gives_the_product_in_the_library_s_own_terms(data: Any) -> None:
    rows, columns, depth = (data.draw(st.integers(1, 4)) for _ in range(3))
    memory = np.arange(300.0)

    def matrix(start: int, height: int, width: int) -> Matrices:
        spare = data.draw(st.integers(0, 2))
        turned = data.draw(st.booleans())
        return Matrices(start, 0, 1, height + spare) if turned else Matrices(start, 0, width + spare, 1)

    def shown(m: Matrices, height: int, width: int) -> Any:
        places = product(range(height), range(width))
        values = [memory[m.address + i * m.row_stride + j * m.column_stride] for i, j in places]
        return np.array(values).reshape(height, width)

    left, right = matrix(0, rows, depth), matrix(100, depth, columns)
    result = matrix(200, rows, columns)
    asked = Product("f64", "f64", 1, rows, columns, depth, left, right, result)
    order = order_of(asked)
    assert order is not None
    first = gemm(memory, order, order.first, order.rows, order.depth)
    second = gemm(memory, order, order.second, order.depth, order.columns)
    found = first @ second
    wanted = shown(left, rows, depth) @ shown(right, depth, columns)
    for i, j in product(range(order.rows), range(order.columns)):
        memory[200 + i + j * order.leading] = found[i, j]
    np.testing.assert_array_equal(shown(result, rows, columns), wanted)


def test_matrices_in_neither_rows_nor_columns_are_copied_first() -> None:
    dense, odd = Matrices(0, 0, 4, 1), Matrices(0, 0, 8, 2)
    for place in range(3):
        parts = [odd if place == each else dense for each in range(3)]
        assert order_of(Product("f32", "f32", 1, 4, 4, 4, *parts)) is None
    assert order_of(Product("f32", "f32", 1, 4, 4, 4, dense, dense, Matrices(0, 0, 0, 1))) is None


def test_bytes_are_asked_for_in_fours() -> None:
    def asked(rows: int, address: int = 0) -> bool:
        whole = [Matrices(address, 16 * rows, 16, 1)] * 2
        result = Matrices(0, 16 * rows, 16, 1)
        order = order_of(Product("i8", "i32", 1, rows, 16, 16, *whole, result))
        return order is not None and suits_bytes(order, 0)

    assert asked(4)
    assert not asked(3)
    assert not asked(4, 2)
