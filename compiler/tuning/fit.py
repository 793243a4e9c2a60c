"""Fitting the correction of the roofline to samples, with LightGBM (Ke et al., NeurIPS 2017)."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flowc.compiler.tuning.measure import Sample
from flowc.passes.cost.forest import evaluate, forest_of
from flowc.passes.cost.kernel_features import combinations
from flowc.passes.cost.kernel_model import KernelModel
from flowc.passes.cost.kernel_roofline import Machine
from flowc.runtime.errors import fail

Tree = Mapping[str, Any]
QUANTILES = (0.1, 0.5, 0.9)
TREES = (60, 300, 60)
"""Trees for each quantile. The middle is what decisions go by; the ends only say how sure it is."""
LEAST_SAMPLES = 50
_MIDDLE: Mapping[str, Any] = {"objective": "huber", "alpha": 0.2, "num_leaves": 63, "learning_rate": 0.13}
"""Squares of errors up to a fifth of a doubling count, beyond that the errors themselves."""
_PARAMETERS: Mapping[str, Any] = {
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 4,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 0.1,
    "verbose": -1,
    "seed": 0,
    "deterministic": True,
    "num_threads": 1,
}


def fit(samples: Sequence[Sample], machines: Sequence[Machine], margin: float = 0.0) -> KernelModel:
    """The model that samples teach.

    `margin` widens its intervals at either end, as a binary logarithm: trees are surer of samples that they
    were fitted to than of others (`margin_of`). Needs LightGBM, and LEAST_SAMPLES: else raises ValueError.
    """
    if len(samples) < LEAST_SAMPLES:
        raise ValueError(f"{len(samples)} samples are too few to fit a model to: {LEAST_SAMPLES} at least")
    rows = np.array([sample.features for sample in samples])
    ratios = np.log2([sample.seconds / sample.roofline for sample in samples])
    functions = [
        _trees(rows, ratios, quantile, count) for quantile, count in zip(QUANTILES, TREES, strict=True)
    ]
    for function, shift in zip(functions, (-margin, 0.0, margin), strict=True):
        function.append({"features": [-1], "numbers": [_rounded(shift)]})
    return KernelModel(
        {machine.threads: machine for machine in machines},
        forest_of(functions),
        rows.min(axis=0),
        rows.max(axis=0),
        np.logical_or.reduce([combinations(row) for row in rows]),
        len(samples),
    )


def margin_of(model: KernelModel, others: Sequence[Sample]) -> float:
    """By how much a model's intervals have to be wider to hold as many of other samples as they should.

    Romano, Patterson and Candes, "Conformalized Quantile Regression" (NeurIPS 2019).
    """
    found = np.array([evaluate(model.forest, np.array(sample.features)) for sample in others])
    ratios = np.log2([sample.seconds / sample.roofline for sample in others])
    beyond = np.maximum(found[:, 0] - ratios, ratios - found[:, 2])
    return float(np.quantile(beyond, QUANTILES[2] - QUANTILES[0]))


def require_lightgbm() -> None:
    """Raises E0653 where LightGBM is not installed: before anything was measured for nothing."""
    try:
        importlib.import_module("lightgbm")
    except (ImportError, OSError):  # OSError: its library lacks one of the system's
        raise fail("E0653", "tuning needs the package `lightgbm`", help="pip install 'flowc[tune]'") from None


def _trees(rows: NDArray[np.float64], ratios: NDArray[np.float64], quantile: float, count: int) -> list[Tree]:
    objective = _MIDDLE if quantile == 0.5 else {"objective": "quantile", "alpha": quantile}
    return trees_of(rows, ratios, objective, count)


def trees_of(
    rows: NDArray[np.float64], values: NDArray[np.float64], parameters: Mapping[str, Any], count: int
) -> list[Tree]:
    """So many trees that give the values of rows of features, fitted with LightGBM's `parameters`."""
    import lightgbm

    data = lightgbm.Dataset(rows, values, free_raw_data=True)
    booster = lightgbm.train({**_PARAMETERS, **parameters}, data, count)
    return [_flat(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]]


def _flat(node: Mapping[str, Any]) -> Tree:
    """A tree as `forest_of` takes it, its leaves rounded to what single precision holds. A threshold lies
    between two values of a feature, which may be as near to each other as 1/3 and 1/3 + 1e-8 are."""
    features: list[int] = []
    numbers: list[float] = []
    pending = [node]
    while pending:
        current = pending.pop()
        if "leaf_value" in current:
            features.append(-1)
            numbers.append(_rounded(current["leaf_value"]))
        else:
            features.append(current["split_feature"])
            numbers.append(_rounded(current["threshold"], 12))
            pending += [current["right_child"], current["left_child"]]
    return {"features": features, "numbers": numbers}


def _rounded(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")
