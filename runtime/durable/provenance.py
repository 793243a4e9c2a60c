"""Where the values of a run come from, in the words of W3C PROV: every one down to the operation that gave
it, the prompt, the model or the version of the tool, and the program.

The document is PROV-JSON (W3C Member Submission, 24 April 2013). Values and prompts are in it as hashes
alone: it may be handed on where they may not. What is not kept is worked out by a replay.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from flowc.runtime.durable.codec import encode_json
from flowc.runtime.durable.dataflow import Dataflow
from flowc.runtime.durable.past import Outcome, Past
from flowc.runtime.durable.places import outline
from flowc.runtime.durable.records import Record, placed, read_records
from flowc.runtime.durable.replay import prompt_hash, replayed
from flowc.runtime.durable.replaying import Difference, Replaying
from flowc.runtime.durable.runs import past_of, plan_of
from flowc.runtime.environment import Environment
from flowc.runtime.execute import Loaded
from flowc.runtime.journal.store import Store, address
from flowc.runtime.plan import Json
from flowc.runtime.registry import Registry
from flowc.runtime.scheduler.blocks import Instruction
from flowc.runtime.scheduler.frames import Frame
from flowc.runtime.trace.model import Trace
from flowc.runtime.types import text

FLOWC = "flowc:flowc"
"""The agent that runs flows, and makes what has no tool, model or person of its own."""

LONG_AGO = 1e8
"""Seconds since 1970 below which a time is one of a virtual clock, and no date."""


def provenance(store: Store, run: str, environment: Environment) -> dict[str, Json]:
    """The PROV-JSON document of a run, as far as it has come; `environment` has the code of its kernels."""
    past = past_of(store, run, whole=True)
    kept = dict(past.outcomes)
    plan = plan_of(store, past.head)
    loaded = Loaded(plan, environment, outline(plan, environment.kernels), Registry(environment))
    prompts: dict[str, str] = {}

    def note(frame: Frame, call: Instruction, outcome: Outcome, value: Any) -> Sequence[Difference]:
        if hash_ := prompt_hash(*keeper.made_with(frame, call)):
            prompts[outcome.step] = hash_
        return ()

    keeper = Replaying(past, store.blob, {}, note)
    report = replayed(store, past, loaded, keeper)
    assert isinstance(report.trace, Trace)
    flow: str = past.head["flow"]
    names = [parameter.name for parameter in plan.functions[flow].parameters]
    document = Document(run, past, kept, placed(list(read_records(store, run))))
    document.tell(Dataflow(report.trace.log, flow, names), names, prompts)
    return document.written


class Document:
    """A PROV-JSON document in the making."""

    def __init__(self, run: str, past: Past, kept: Mapping[str, Outcome], records: Sequence[Record]) -> None:
        self.past = past
        self.kept = kept
        self.written: dict[str, Any] = {"prefix": {"flowc": "urn:flowc:", "run": f"urn:flowc:run:{run}:"}}
        self.begun: dict[str, float] = {}
        self.versions: list[tuple[int, dict[str, str]]] = []
        self.programs: list[tuple[int, str]] = []
        self._read(records)

    def _read(self, records: Sequence[Record]) -> None:
        """When steps began, which models they asked, and which versions counted from where on."""
        head = self.past.head
        program = head["program"]
        tools = head["settings"].get("tools", {})
        self.versions.append((0, tools))
        for each in reversed([each for each in records if each.kind == "migrated"]):
            self.programs.append((each.number, program))
            program = each.written[2].get("before", program)
        self.programs.append((0, program))
        for each in records:
            if each.kind in ("intent", "asked"):
                self.begun.setdefault(each.step, each.written[1])
            elif each.kind == "session" and "tools" in each.written[1]:
                self.versions.append((each.number, each.written[1]["tools"]))

    # ---- the words of PROV

    def put(self, kind: str, name: str, **attributes: Json) -> str:
        """An element; its attributes are put with those that it has."""
        known = self.written.setdefault(kind, {}).setdefault(name, {})
        known |= {
            key.replace("__", ":"): value for key, value in attributes.items() if value not in (None, "")
        }
        return name

    def relate(self, kind: str, **members: str) -> None:
        """A relation between elements."""
        relations = self.written.setdefault(kind, {})
        relations[f"_:{kind}{len(relations)}"] = {f"prov:{name}": member for name, member in members.items()}

    def derive(self, entity: str, sources: Iterable[str], activity: str = "") -> None:
        """What an entity comes from."""
        more = {"activity": activity} if activity else {}
        for source in sorted(sources):
            self.relate("wasDerivedFrom", generatedEntity=entity, usedEntity=value_of(source), **more)

    # ---- a run

    def tell(self, flow: Dataflow, arguments: Sequence[str], prompts: Mapping[str, str]) -> None:
        """Puts the run, its steps, and what they read."""
        head = self.past.head
        agent = self.put("agent", FLOWC, prov__type=_type("prov:SoftwareAgent"), prov__label="flowc")
        for name, value in zip(arguments, head["arguments"], strict=True):
            self.put("entity", value_of(f"argument {name}"), prov__label=name, flowc__hash=_hash(value))
        activity = self.put(
            "activity", "run:run", prov__label=head["flow"], prov__startTime=_time(head["begun"])
        )
        self.relate(
            "wasAssociatedWith", activity=activity, agent=agent, plan=self._program(self.past.records)
        )
        for name in arguments:
            self.relate("used", activity=activity, entity=value_of(f"argument {name}"))
        for step, sources in flow.read.items():
            self._step(step, flow.operations[step], sources, prompts.get(step))
        for name, sources in flow.gathered.items():
            self.put("entity", value_of(name), prov__type=_type("prov:Collection"))
            self.derive(value_of(name), sources)
        if "result" in self.past.ending:
            written = self.past.ending["result"]
            result = self.put("entity", "run:result", prov__label="result", flowc__hash=_hash(written))
            self.put("activity", activity, prov__endTime=_time(self.past.last))
            self.relate("wasGeneratedBy", entity=result, activity=activity)
            self.derive(result, flow.result, activity)
        if "forked" in head:
            origin = self.put(
                "entity", f"flowc:run/{head['forked']['run']}", prov__label="the run it was forked from"
            )
            self.relate("used", activity=activity, entity=origin)

    def _step(self, step: str, call: Instruction, sources: Iterable[str], prompt: str | None) -> None:
        outcome, operation = self.kept.get(step), call.operation
        activity = self.put(
            "activity",
            f"run:step/{_local(step)}",
            prov__label=step,
            flowc__operation=call.node.name,
            prov__startTime=_time(self.begun.get(step)),
            prov__endTime=_time(None if outcome is None else outcome.at),
        )
        order = 0 if outcome is None else outcome.order
        self.relate(
            "wasAssociatedWith",
            activity=activity,
            agent=self._agent(step, call, order),
            plan=self._program(order),
        )
        for source in sorted(sources):
            self.relate("used", activity=activity, entity=value_of(source))
        if prompt is not None:
            asked = self.put("entity", asked_with(step), prov__label="prompt", flowc__hash=prompt)
            self.relate("used", activity=activity, entity=asked)
            self.derive(asked, sources)
            self.relate("wasDerivedFrom", generatedEntity=asked, usedEntity=self._program(order))
        if outcome is not None and outcome.problem is not None:
            self.put("activity", activity, flowc__code=outcome.problem.code)
            return
        type_ = "" if operation is None else text(operation.result)
        hash_ = "" if outcome is None else _hash(outcome.value)
        value = self.put("entity", value_of(step), prov__label=step, flowc__type=type_, flowc__hash=hash_)
        self.relate("wasGeneratedBy", entity=value, activity=activity)
        self.derive(value, sources, activity)
        if prompt is not None:
            self.relate(
                "wasDerivedFrom", generatedEntity=value, usedEntity=asked_with(step), activity=activity
            )

    def _program(self, order: int) -> str:
        """The program of a step whose end is at this place in the journal."""
        hash_ = next((program for first, program in self.programs if first <= order), self.programs[-1][1])
        name = f"flowc:program/{hash_}"
        return self.put("entity", name, prov__type=_type("prov:Plan"), flowc__hash=hash_)

    def _agent(self, step: str, call: Instruction, order: int) -> str:
        """Who made a step: a tool of a version, a model, a person, flowc itself."""
        operation, model = call.operation, self.past.models.get(step)
        if call.node.op in ("generate", "embed"):
            alias = operation.model if operation is not None else call.node.settings.get("model")
            named = (
                "/".join(map(_local, model[:2]))
                if model is not None
                else f"as/{_local(str(alias or 'default'))}"
            )
            kind = _type("prov:SoftwareAgent")
            label = "a model" if model is None else model[1]
            return self.put("agent", f"flowc:model/{named}", prov__type=kind, prov__label=label)
        if call.node.op == "human" and operation is not None:
            name = f"flowc:person/{_local(operation.name)}"
            return self.put("agent", name, prov__type=_type("prov:Person"), prov__label=operation.name)
        if call.node.op == "tool" and operation is not None:
            versions = next(each for first, each in reversed(self.versions) if first <= order)
            version = versions.get(operation.module or "", "")
            name = f"flowc:tool/{_local(operation.name)}" + (f"/{version[:16]}" if version else "")
            kind, module = _type("prov:SoftwareAgent"), operation.module
            return self.put(
                "agent",
                name,
                prov__type=kind,
                prov__label=operation.name,
                flowc__module=module,
                flowc__hash=version,
            )
        return FLOWC


def value_of(source: str) -> str:
    """The entity of a value that a data flow names."""
    for kind in ("argument", "gathered"):
        if source.startswith(f"{kind} "):
            return f"run:{kind}/{_local(source[len(kind) + 1 :])}"
    return f"run:value/{_local(source)}"


def asked_with(step: str) -> str:
    """The entity of the prompt of a step."""
    return f"run:prompt/{_local(step)}"


def _local(name: str) -> str:
    return quote(name, safe="/")


def _type(name: str) -> Json:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _hash(written: Json) -> str:
    return address(encode_json(written).encode("ascii")).hex()


def _time(seconds: float | None) -> str:
    if seconds is None or seconds < LONG_AGO:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
