"""Functions of NumPy that are written as the programs they are, and put in place like a user's own."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from flowc.compiler.python.numeric.library import elements, signals, statistics, systems

PROGRAMS: Mapping[Any, Callable[..., Any]] = {
    np.median: statistics.median,
    np.percentile: statistics.percentile,
    np.quantile: statistics.quantile,
    np.corrcoef: statistics.corrcoef,
    np.nanvar: statistics.nanvar,
    np.nanstd: statistics.nanstd,
    np.nanprod: statistics.nanprod,
    np.unique: statistics.unique,
    np.isin: statistics.isin,
    np.digitize: statistics.digitize,
    np.interp: statistics.interp,
    np.trapezoid: signals.trapezoid,
    np.gradient: signals.gradient,
    np.convolve: signals.convolve,
    np.correlate: signals.correlate,
    np.polyval: signals.polyval,
    np.kron: systems.kron,
    np.linalg.cholesky: systems.cholesky,
    np.linalg.solve: systems.solve,
    np.linalg.inv: systems.inv,
    np.linalg.det: systems.det,
    np.isclose: elements.isclose,
    np.allclose: elements.allclose,
    np.select: elements.select,
    np.heaviside: elements.heaviside,
    np.sinc: elements.sinc,
    np.fmax: elements.fmax,
    np.fmin: elements.fmin,
}
