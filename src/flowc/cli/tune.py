"""`flowc tune`: what a real endpoint did, as the parameters of a simulated one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowc.cli import options, streams

if TYPE_CHECKING:
    from flowc.runtime.providers.simulated.traces import Trace


@click.command("tune")
@click.option("--trace", "path", metavar="FILE", required=True, help="The trace of a real endpoint.")
@click.option(
    "--model",
    metavar="NAME",
    default="",
    help="Fit the calls of this model alone: a name in the trace, or its alias in flowc.toml.",
)
@options.colour
def command(path: str, model: str) -> None:
    """Fit a simulated server to a trace, and print its sections for flowc.toml.

    FILE is what `flowc run --trace` wrote, or a CSV with the header arrival,tokens_in,tokens_out,latency and,
    where known, model; times are in seconds. How far the fit is off is said in its first lines.
    """
    from flowc.runtime.config import find_config, load_config
    from flowc.runtime.providers.simulated.fitting import as_toml, fit
    from flowc.runtime.providers.simulated.traces import read_trace

    trace = read_trace(Path(path))
    models = load_config(find_config(Path())).models
    chosen, alias = _chosen(trace, model, {name: each.model for name, each in models.items()})
    streams.write(as_toml(fit(trace, chosen), alias))


def _chosen(trace: "Trace", wanted: str, aliases: Mapping[str, str]) -> tuple[str, str]:
    """The model whose calls are fitted, as the trace calls it, and its alias; raises E0652 where the trace is
    about several and none is `wanted`.
    """
    names = sorted({call.model for call in trace.calls})
    if not wanted and len(names) > 1:
        from flowc.runtime.errors import fail

        raise fail(
            "E0652",
            "the trace is about several models, each of which has a server of its own",
            why=", ".join(name or "(calls without a name)" for name in names)[:200],
            help=f"choose one: --model {names[-1]}",
        )
    name = wanted or names[0]
    if name in aliases:
        return (aliases[name] if aliases[name] in names else name), name
    known = [alias for alias, model in aliases.items() if model == name]
    return name, known[0] if len(known) == 1 else name or "default"
