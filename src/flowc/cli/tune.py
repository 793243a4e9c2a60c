"""`flowc tune`: what a real endpoint did, as the parameters of a simulated one."""

from pathlib import Path

import click

from flowc.cli import options, streams


@click.command("tune")
@click.option("--trace", "path", metavar="FILE", required=True, help="The trace of a real endpoint.")
@click.option("--model", metavar="NAME", default="", help="Fit the calls of this model alone.")
@options.colour
def command(path: str, model: str) -> None:
    """Fit a simulated server to a trace, and print its sections for flowc.toml.

    FILE is what `flowc run --trace` wrote, or a CSV with the header arrival,tokens_in,tokens_out,latency and,
    where known, model; times are in seconds. How far the fit is off is said in its first lines.
    """
    from flowc.runtime.providers.simulated.fitting import as_toml, fit
    from flowc.runtime.providers.simulated.traces import read_trace

    trace = read_trace(Path(path))
    streams.write(as_toml(fit(trace, model), model or "default"))
