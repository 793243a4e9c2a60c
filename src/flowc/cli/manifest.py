"""What a program may do, for whoever has to allow it: effects, models, people, labels taken off."""

from typing import Any

from flowc.compiler.checker.model import Checked, Signature
from flowc.runtime.plan import Effect


def manifest_json(checked: Checked) -> dict[str, Any]:
    """The manifest as plain data; everything is in order of declaration."""
    signatures = list(checked.callables.values())
    return {
        "path": checked.source.path,
        "flows": [
            {"name": s.name, "effects": [effect_text(effect) for effect in s.effects], "limits": _limits(s)}
            for s in signatures
            if s.kind == "flow"
        ],
        "tools": [
            {"name": s.name, "effects": [effect_text(effect) for effect in s.effects], "python": _python(s)}
            for s in signatures
            if s.kind == "tool"
        ],
        "llms": [{"name": s.name, "model": s.model or "default"} for s in signatures if s.kind == "llm"],
        "humans": [s.name for s in signatures if s.kind == "human"],
        "events": [s.name for s in signatures if s.kind == "event"],
        "relabellings": [
            {
                "kind": change.kind,
                "in": change.function,
                "line": change.span.line,
                "reason": change.reason,
                "from": sorted(change.before),
                "to": sorted(change.after),
            }
            for change in checked.manifest
        ],
    }


def effect_text(effect: Effect) -> str:
    """An effect as a program writes it."""
    words = [effect.kind, *([effect.resource] if effect.resource else [])]
    words += ["idempotent"] if effect.idempotent else []
    words += ["undo", effect.undo] if effect.undo else []
    return " ".join(words)


def _limits(signature: Signature) -> dict[str, float]:
    limits = signature.limits
    named = {name: getattr(limits, name) for name in ("timeout", "money", "tokens", "calls", "memory")}
    return {name: value for name, value in named.items() if value is not None}


def _python(signature: Signature) -> str | None:
    return f"{signature.module}:{signature.function}" if signature.module else None


def manifest_text(manifest: dict[str, Any]) -> str:
    """The manifest for reading."""
    lines = [f"{manifest['path']}"]
    for flow in manifest["flows"]:
        limits = ", ".join(f"{name} {value:g}" for name, value in flow["limits"].items())
        effects = ", ".join(flow["effects"]) or "pure"
        lines.append(f"  flow {flow['name']}: {effects}" + (f"; at most {limits}" if limits else ""))
    lines += [
        f"  tool {tool['name']}: {', '.join(tool['effects'])}; {tool['python'] or 'no Python function'}"
        for tool in manifest["tools"]
    ]
    lines += [f"  llm {llm['name']}: model {llm['model']}" for llm in manifest["llms"]]
    lines += [f"  human {name}: is asked" for name in manifest["humans"]]
    lines += [f"  event {name}: is waited for" for name in manifest["events"]]
    return "\n".join([*lines, *map(_relabelling_text, manifest["relabellings"])])


def _relabelling_text(change: dict[str, Any]) -> str:
    before, after = (", ".join(change[side]) or "no label" for side in ("from", "to"))
    place = f"{change['in']}, line {change['line']}"
    return f"  {change['kind']} in {place}: {before} -> {after}: {change['reason']}"
