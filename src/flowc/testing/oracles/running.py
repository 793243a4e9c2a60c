"""The ways to run a compiled program, one after the other or at once, and how a run has ended."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve, field, frozen
from xdsl.dialects.builtin import ModuleOp

from flowc.compiler import driver
from flowc.compiler.backends import llvm
from flowc.compiler.backends.plan import to_plan
from flowc.compiler.checker.model import Checked
from flowc.dialects.array.kernel import KernelOp
from flowc.dialects.array.reference import evaluate_kernel
from flowc.passes.pipelines import PIPELINES, optimise
from flowc.runtime.artifact import Artifact, unpack, write
from flowc.runtime.environment import Environment
from flowc.runtime.execute import load, run, run_plan
from flowc.runtime.kernels import load as load_kernels
from flowc.runtime.plan import Limits, Plan
from flowc.runtime.result import RunResult
from flowc.testing.flows.checking import in_virtual_time
from flowc.testing.oracles import reached
from flowc.testing.oracles.interrupting import Death, interrupted
from flowc.testing.oracles.worlds import AnsweringWorld, environment

Kernels = Mapping[str, Callable[..., Any]]


@frozen
class Way:
    """One way to run a program.

    In real time there are always threads; in virtual time 0 means none. `artifact` has the plan written and
    read again, `native` its kernels compiled (else they are interpreted), `heard` answers of models come in
    parts; `in_flight` bounds the calls of a model at once, `late` has each take a time of its own. The
    processes of a kept run die with `deaths`; None is a run that is not kept.
    """

    level: int = 2
    threads: int = 0
    real: bool = False
    artifact: bool = False
    native: bool = False
    heard: bool = False
    in_flight: int | None = None
    late: int = 0
    deaths: tuple[Death, ...] | None = None


def ways(chance: Random, deaths: tuple[Death, ...] | None = None, *, level: int | None = None) -> Way:
    """One of the ways, the cheap ones more often."""
    return Way(
        level=chance.randint(0, 3) if level is None else level,
        threads=chance.choice((0, 0, 1, 4)),
        real=deaths is None and chance.random() < 0.2,
        artifact=chance.random() < 0.2,
        native=chance.random() < 0.1,
        heard=chance.random() < 0.2,
        in_flight=chance.choice((None, None, 1, 3)),
        late=chance.choice((0, chance.randint(1, 1000))),
        deaths=deaths,
    )


@frozen(eq=False)
class Made:
    """A compiled program: its plan and a module with its kernels, which passes changed something, and the
    plan in the plan dialect.
    """

    plan: Plan
    kernels: ModuleOp
    fired: Counter[str] = field(factory=Counter)
    selected: tuple[ModuleOp, ...] = ()

    def limited(self, **limits: Any) -> "Made":
        """The same, `main` within other limits."""
        main = self.plan.functions["main"]
        changed = evolve(main, limits=Limits(**limits))
        return evolve(self, plan=evolve(self.plan, functions={**self.plan.functions, "main": changed}))


def made(checked: Checked, module: ModuleOp, level: int) -> Made:
    """The plan of a lowered program at a level."""
    with driver.room():
        module = module.clone()
        done = optimise(module, PIPELINES[f"O{level}"], verify=False)
        selected: list[ModuleOp] = []
        plan, kernels = to_plan(module, source=checked.source.path, optimisation=level, watch=selected.append)
    return Made(plan, kernels, reached.fired(done.statistics), tuple(selected))


def interpreted(kernels: ModuleOp) -> Kernels:
    """Kernels by their reference semantics."""
    return {op.sym_name.data: partial(_interpreted, op) for op in kernels.ops if isinstance(op, KernelOp)}


def _interpreted(kernel: KernelOp, *arguments: object) -> object:
    results = [each[()] if each.ndim == 0 else each for each in evaluate_kernel(kernel, arguments)]
    return results[0] if len(results) == 1 else tuple(results)


def native(kernels: ModuleOp, level: int) -> Kernels:
    """Kernels as LLVM's code."""
    if kernels.body.block.first_op is None:
        return {}
    code = llvm.compile_kernels(kernels, llvm.Options(level=level))
    return load_kernels(code.object_code, code.signatures)


def run_in(compiled: Made, arguments: Mapping[str, object], world: AnsweringWorld, way: Way) -> RunResult:
    """Runs `main` in a world. Raises FlowError where there is nothing to run."""
    plan = _travelled(compiled.plan) if way.artifact else compiled.plan
    kernels = native(compiled.kernels, way.level) if way.native else interpreted(compiled.kernels)

    def surroundings() -> Environment:
        return environment(
            world,
            kernels=kernels,
            threads=max(1, way.threads) if way.real else way.threads,
            in_flight=way.in_flight,
            heard=_unheard if way.heard else None,
            latency=None if way.real or not way.late else partial(_latency, way.late),
        )

    if way.deaths is not None:
        return interrupted(plan, arguments, world, surroundings, way.deaths)
    if way.real:
        return run(plan, "main", arguments, environment=surroundings())

    async def life() -> RunResult:
        loaded = load(plan, surroundings())
        try:
            return await run_plan(loaded, "main", arguments)
        finally:
            await loaded.registry.close()

    return in_virtual_time(life)


def _travelled(plan: Plan) -> Plan:
    return unpack(write(Artifact(plan)), Path("generated.flowc")).plan


def _unheard(part: str, step: str) -> None:
    """Nobody listens; that somebody could is what matters."""


def _latency(seed: int, prompt: str) -> float:
    """Seconds up to a tenth, another number for each prompt."""
    return Random(f"{seed} {prompt}").random() / 10


def ended(result: RunResult) -> str:
    """How a run has ended, in a line."""
    if result.problem is None:
        return f"{result.status}: {json.dumps(result.result, default=repr)}"
    problem = result.problem
    return f"{result.status}: {problem.code} {problem.message} ({problem.why}), line {problem.line}"
