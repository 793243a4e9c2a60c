"""The Python side of the incident guide: a small cluster in a file stands in for the real one.

Reads take a moment, as real probes do. Writes are kept in the module, so that a test can look at their order.
"""

import json
import time
from pathlib import Path
from typing import Any

PROBE_SECONDS = 0.05
written: list[str] = []


def _cluster() -> dict[str, Any]:
    time.sleep(PROBE_SECONDS)
    cluster: dict[str, Any] = json.loads((Path(__file__).parent / "cluster.json").read_text(encoding="utf-8"))
    return cluster


def ping(host: str) -> bool:
    """Whether the host answers."""
    return bool(_cluster()["hosts"][host]["reachable"])


def disk(host: str) -> float:
    """The free share of the data disk, 0 to 1."""
    return float(_cluster()["hosts"][host]["disk_free"])


def replication(host: str) -> float:
    """Seconds that the host is behind the primary."""
    return float(_cluster()["hosts"][host]["lag_seconds"])


def recent_deploys(service: str) -> list[str]:
    """What was deployed in the last hour."""
    return list(_cluster()["services"][service]["deploys"])


def error_rate(service: str) -> float:
    """The share of requests that fail, 0 to 1."""
    return float(_cluster()["services"][service]["error_rate"])


def stop_writes(service: str) -> str:
    """Makes the service read-only."""
    return _write(f"{service}: writes stopped")


def drain(host: str) -> str:
    """Closes the host's connections."""
    return _write(f"{host}: drained")


def fail_over(service: str, to: str) -> str:
    """Promotes a replica."""
    return _write(f"{service}: {to} is primary")


def resume_writes(service: str) -> str:
    """Makes the service writable again."""
    return _write(f"{service}: writes resumed")


def announce(channel: str, message: str) -> None:
    """Posts to a channel."""
    _write(f"#{channel}: {message}")


def _write(entry: str) -> str:
    written.append(entry)
    return entry
