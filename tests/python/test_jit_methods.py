"""`@jit` inside classes: native code has no objects, so it has static methods only."""

from typing import Any

import numpy as np
import pytest

import flowc

X = np.arange(4.0)


class Model:
    def __init__(self) -> None:
        self.weights = np.full(4, 3.0)

    @flowc.jit
    def forward(self, x: Any) -> Any:
        return x * self.weights

    @flowc.jit(mode="interpret")
    def stepped(self, x: Any) -> Any:
        return x * self.weights

    def plain(self, x: Any) -> Any:
        return x * self.weights

    @staticmethod
    @flowc.jit
    def above(x: Any, weights: Any) -> Any:
        return x * weights

    @flowc.jit
    @staticmethod
    def below(x: Any, weights: Any) -> Any:
        return x * weights


def test_static_methods_run_whichever_decorator_is_first() -> None:
    model = Model()
    for call in (model.above, Model.above, model.below, Model.below):
        np.testing.assert_array_equal(call(X, model.weights), model.plain(X))


def test_a_method_is_refused_with_what_to_write_instead() -> None:
    for use in (lambda: Model().forward(X), lambda: flowc.jit(Model().plain)):
        with pytest.raises(flowc.FlowError, match="is a method") as caught:
            use()
        assert caught.value.problem.code == "E0093"
        assert "@staticmethod" in (caught.value.problem.help or "")


def test_an_interpreted_method_has_its_object() -> None:
    np.testing.assert_array_equal(Model().stepped(X), 3 * X)


def test_a_function_that_a_class_keeps_is_called_as_it_is() -> None:
    class Holder:
        doubled = flowc.jit(lambda_like)

    np.testing.assert_array_equal(Holder().doubled(X), 2 * X)


def lambda_like(x: Any) -> Any:
    return 2 * x
