"""`flowc check`: everything the compiler knows to be wrong, found without running anything."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowc.cli import files, options, streams
from flowc.cli.failure import FINE, PROGRAM
from flowc.compiler.diagnostics.model import CompileError, Diagnostic, Source

if TYPE_CHECKING:
    from flowc.compiler.checker.model import Checked

Found = list[tuple[Diagnostic, Source]]


@click.command("check")
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--manifest", is_flag=True, help="Print what the program may do: effects, models, people, label changes."
)
@options.output_format
@options.colour
def command(paths: tuple[str, ...], manifest: bool, output_format: str) -> int:
    """Check programs: names, types, shapes, labels, effects, limits.

    With --output-format=json, stdout holds one array of diagnostics, empty when all is well; with --manifest
    too, one object with `diagnostics` and `manifests`.
    """
    found: Found = []
    programs: list[Checked] = []
    for path in paths:
        try:
            checked = _check(path)
        except CompileError as error:
            found += [(diagnostic, error.source) for diagnostic in error.diagnostics]
            continue
        programs.append(checked)
        found += [(diagnostic, checked.source) for diagnostic in checked.warnings]
    _show(found, programs if manifest else None, output_format)
    return PROGRAM if any(diagnostic.severity == "error" for diagnostic, _ in found) else FINE


def _check(path: str) -> "Checked":
    """Parses and checks one file; imports resolve in its folder."""
    from flowc.compiler.driver import check_text
    from flowc.compiler.parser import decode

    shown = "<stdin>" if path == files.STDIN else path
    text = decode(files.read_bytes(path), shown)
    folder = Path() if path == files.STDIN else Path(path).parent
    return check_text(text, shown, folder=folder)


def _show(found: Found, programs: "list[Checked] | None", output_format: str) -> None:
    """Prints diagnostics and, where asked for, what the programs may do."""
    if output_format == "json":
        from flowc.compiler.diagnostics.render import to_json

        diagnostics = [to_json(diagnostic, source) for diagnostic, source in found]
        printed: Any = diagnostics
        if programs is not None:
            printed = {"diagnostics": diagnostics, "manifests": [_manifest(checked) for checked in programs]}
        streams.write(json.dumps(printed, indent=2, ensure_ascii=False))
        return
    for diagnostic, source in found:
        streams.show_diagnostic(diagnostic, source)
    errors = sum(diagnostic.severity == "error" for diagnostic, _ in found)
    if errors > 1:
        streams.say(f"{errors} errors")
    for checked in programs or ():
        from flowc.cli.manifest import manifest_text

        streams.write(manifest_text(_manifest(checked)))


def _manifest(checked: "Checked") -> dict[str, Any]:
    from flowc.cli.manifest import manifest_json

    return manifest_json(checked)
