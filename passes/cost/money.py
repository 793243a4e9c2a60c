"""What calls of models are expected to cost in money, where the prices are not known before the run.

Tokens, rounds and branches are those of the cost model.

Prices stand in flowc.toml, which a compiled program meets only when it runs; what is decided at compile time
takes those of a small hosted model.
"""

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, Region

from flowc.dialects.agent.calls import EmbedOp, GenerateOp
from flowc.dialects.flow import control
from flowc.dialects.flow.declarations import CallOp
from flowc.passes.cost.model import cost_model, tokens
from flowc.passes.facts import callee_of, flows_of
from flowc.runtime.expected import HOLE_TOKENS

PROMPT_DOLLARS = 0.5e-6
"""Dollars a token of a prompt."""
ANSWER_DOLLARS = 1.5e-6
"""Dollars a token of an answer."""
WORTH = 0.01
"""Dollars that a second saved is worth: 36 an hour."""


class Prices:
    """Expected dollars of the operations of a module; those of flows are computed once."""

    def __init__(self, module: ModuleOp) -> None:
        self._model = cost_model(module)
        self._functions = flows_of(module)
        self._known: dict[str, float] = {}
        self._nested: dict[Operation, float] = {}

    def of(self, op: Operation) -> float:
        """The dollars of an operation and of all inside it: every branch, usual numbers of rounds."""
        match op:
            case GenerateOp():
                declared = self._model.declarations.get(callee_of(op))
                prompt, answer = tokens(op, declared, self._model.expected)
                return prompt * PROMPT_DOLLARS + answer * ANSWER_DOLLARS
            case EmbedOp():
                return HOLE_TOKENS * PROMPT_DOLLARS
            case CallOp():
                return self._function(callee_of(op))
        if not op.regions:
            return 0.0
        if op not in self._nested:
            looping = isinstance(op, control.ElementwiseOp | control.ForOp | control.WhileOp)
            rounds = self._model.rounds(op) if looping else 1.0
            self._nested[op] = rounds * sum(map(self._region, op.regions))
        return self._nested[op]

    def _region(self, region: Region) -> float:
        return sum(self.of(op) for block in region.blocks for op in block.ops)

    def _function(self, name: str) -> float:
        if name not in self._known:
            self._known[name] = 0.0  # what calls itself is refused by the checker
            function = self._functions.get(name)
            self._known[name] = self._region(function.body) if function is not None else 0.0
        return self._known[name]
