"""The `effects=` of a tool, as the language writes them: "reads web, writes mail idempotent"."""

from flowc.compiler.syntax import Effect, Span


def parse_effects(text: str, span: Span) -> tuple[Effect, ...] | None:
    """The effects, or None when the text is none."""
    words = text.replace(",", " ").split()
    found: list[Effect] = []
    while words:
        match words:
            case ["pure", *rest]:
                found.append(Effect("pure", span=span))
            case ["reads", resource, *rest]:
                found.append(Effect("reads", resource, span=span))
            case ["writes", resource, "idempotent", "undo", name, *rest]:
                found.append(Effect("writes", resource, idempotent=True, undo=name, span=span))
            case ["writes", resource, "idempotent", *rest]:
                found.append(Effect("writes", resource, idempotent=True, span=span))
            case ["writes", resource, "undo", name, *rest]:
                found.append(Effect("writes", resource, undo=name, span=span))
            case ["writes", resource, *rest]:
                found.append(Effect("writes", resource, span=span))
            case _:
                return None
        words = rest
    return tuple(found) or None
