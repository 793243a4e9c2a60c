"""What a long measurement has found so far, on disk, so that one that is cut short need not begin again."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field


@define
class Parts:
    """Results by name, in a file where there is one. They are of one setting: those of another card, driver
    or day are forgotten."""

    found: dict[str, Any]
    path: Path | None = None
    setting: Mapping[str, object] = field(factory=dict)

    @classmethod
    def of(cls, path: Path, setting: Mapping[str, object]) -> "Parts":
        """The parts in a file, none where it is missing, broken, or of another setting."""
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}
        return cls(dict(kept["found"]) if kept.get("setting") == setting else {}, path, setting)

    def once(self, name: str, measure: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The part of a name, measured where it is not there yet, and then kept."""
        if name not in self.found:
            self.found[name] = dict(measure())
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                content = {"setting": self.setting, "found": self.found}
                self.path.write_text(json.dumps(content), encoding="utf-8")
        found: Mapping[str, Any] = self.found[name]
        return found

    def clear(self) -> None:
        """Forgets all parts: the next measurement begins anew."""
        self.found.clear()
        if self.path is not None:
            self.path.unlink(missing_ok=True)
