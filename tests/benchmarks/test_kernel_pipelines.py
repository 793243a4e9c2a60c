"""The benchmark of kernel pipelines learns from sizes that it does not foretell."""

import numpy as np

from benchmarks.kernel_pipelines import TAUGHT_BY, TAUGHT_RUNS, pipelines, taught
from flowc.compiler.driver import compile_text
from flowc.runtime.history.kernel_samples import sizes_text
from flowc.runtime.kernels import load


def test_what_is_foretold_was_not_learned_from() -> None:
    (pipeline,) = [each for each in pipelines() if each.name == "small steps"]
    compiled = compile_text(pipeline.text, "pipeline.flow")
    assert compiled.kernels is not None
    plan = taught(pipeline, compiled.plan, load(compiled.kernels.object_code, compiled.kernels.signatures))
    assert plan.expectations is not None
    (known,) = plan.expectations.kernels.values()
    asked = pipeline.arguments(np.random.default_rng(0), 1.0)
    foretold = sizes_text([each.shape for each in asked.values()])
    assert foretold not in {each.sizes for each in known.calls}
    assert 0 < len(known.calls) <= len(TAUGHT_BY)
    assert TAUGHT_RUNS < 10


def test_pipelines_have_the_sizes_that_are_asked_for() -> None:
    for pipeline in pipelines():
        small, usual = (pipeline.arguments(np.random.default_rng(0), scale) for scale in (0.05, 0.1))
        assert small.keys() == usual.keys()
        assert any(small[name].size < usual[name].size for name in small)
