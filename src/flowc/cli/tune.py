"""`flowc tune`: what kernels take on this machine, and what a real endpoint did, as models to go by."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowc.cli import options, progress, streams
from flowc.cli.failure import UsageProblem

if TYPE_CHECKING:
    from flowc.runtime.providers.simulated.traces import Trace


SECONDS = 240
WAYS = 0.25
"""The share of the time in which ways of the same kernel are compared."""


@click.command("tune")
@click.option("--trace", "path", metavar="FILE", help="Fit a simulated endpoint to the trace of a real one.")
@click.option(
    "--model",
    metavar="NAME",
    default="",
    help="Fit the calls of this model alone: a name in the trace, or its alias in flowc.toml.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=1, max=270),
    help=f"How long to measure this machine for; {SECONDS} where nothing is said.",
)
@click.option(
    "--forget",
    is_flag=True,
    help="Forget what traced runs of programs took, and what was put aside of it: measure nothing.",
)
@options.colour
def command(path: str | None, model: str, seconds: float | None, forget: bool) -> None:
    """Measure this machine, so that what `--explain` expects of kernels is about it.

    The model is kept for later runs. The machine should have nothing else to do meanwhile.

    With --trace, fit a simulated server instead, and print its sections for flowc.toml. FILE is what `flowc
    run --trace` wrote, or a CSV with the header arrival,tokens_in,tokens_out,latency and, where known, model;
    times are in seconds. How far the fit is off is said in its first lines.
    """
    if forget:
        if path is not None or model or seconds is not None:
            raise click.UsageError("--forget does nothing else: leave the other options out")
        _forget()
    elif path is None:
        if model:
            raise click.UsageError("--model chooses among the calls of a --trace, and there is none")
        _measure(SECONDS if seconds is None else seconds)
    elif seconds is not None:
        raise click.UsageError("--seconds is how long this machine is measured, which --trace does not do")
    else:
        _fit(Path(path), model)


def _measure(seconds: float) -> None:
    """Measures, stores the model, and says how good it is."""
    from flowc.compiler.tuning.session import tune
    from flowc.compiler.tuning.ways import tune_ways
    from flowc.passes.cost import variant_model
    from flowc.passes.cost.kernel_model import as_json
    from flowc.passes.cost.stored import prepare, store
    from flowc.runtime.native.width import usable_cores

    try:
        prepare()
        with progress.share("measuring kernels") as show:
            found = tune((1 - WAYS) * seconds, sorted({1, usable_cores()}), show)
        where = store(as_json(found.model))
        with progress.share("comparing ways") as show:
            ways = tune_ways(WAYS * seconds, show)
        if ways is not None:
            variant_model.store(variant_model.as_json(ways))
    except OSError as error:
        help = "name a folder that can be written: FLOWC_MODEL_DIR"
        raise UsageProblem("E0682", "the model cannot be kept", why=str(error), help=help) from error
    streams.write(
        f"{found.model.samples:,} calls of kernels measured. On kernels kept back, the model was off by "
        f"{found.error:.0%} in the median, and the roofline by {found.roofline_error:.0%}.\n"
        f"kept in {where}\n"
    )
    if ways is not None:
        streams.write(f"{ways.samples:,} ways of kernels compared, for decisions about them.\n")
    else:
        streams.say("too few ways of kernels were compared to decide by: --seconds gives it longer")
    _measure_device()
    if found.left_out:
        streams.say(f"{found.left_out} measurements without a time were left out: did the clock jump?")


def _measure_device() -> None:
    """Measures the GPU of this machine, where there is one, and stores that."""
    from flowc.runtime.device.presence import absence

    if absence() is not None:
        return
    from flowc.compiler.tuning.device_ceilings import measured_card
    from flowc.passes.cost.device_stored import store
    from flowc.runtime.device.presence import current_site

    device = current_site().device
    try:
        card = measured_card(device)
    except MemoryError:
        streams.say(f"{device.name} has no room to be measured now: its data sheet is gone by")
        return
    where = store(card, device.properties())
    streams.write(
        f"{card.name}: {card.bandwidth / 1e9:,.0f} GB/s within, {card.bus / 1e9:,.1f} GB/s from pinned "
        f"and {card.pageable / 1e9:,.1f} GB/s from other host memory.\nkept in {where}\n"
    )


def _forget() -> None:
    """Removes the history of traced runs, and says how much there was."""
    from flowc.runtime.history.database import forget
    from flowc.runtime.history.place import path

    where = path()
    if where is None or not forget(where):
        streams.write("there is no history of runs")
    else:
        streams.write(f"forgot what traced runs took: {where}")


def _fit(path: Path, model: str) -> None:
    """Prints the sections of a server fitted to a trace."""
    from flowc.runtime.config import find_config, load_config
    from flowc.runtime.providers.simulated.fitting import as_toml, fit
    from flowc.runtime.providers.simulated.traces import read_trace

    trace = read_trace(path)
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
