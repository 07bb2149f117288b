"""`roomtone devices`: the audio outputs there are."""

import json

import typer

from engine.cli.common import JsonOption

HELP = "List the audio outputs, as `--device` takes them."
EXAMPLES = """**Examples**

    roomtone devices

    roomtone play --device "USB Audio"
"""


def devices(as_json: JsonOption = False) -> None:
    """List the audio outputs."""
    from dataclasses import asdict

    from engine.host.devices import list_devices

    rows = [asdict(device) for device in list_devices()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        typer.echo("no audio output found; `roomtone play` then plays silently to the null clock")
        return
    for row in rows:
        typer.echo("  ".join(f"{key} {value}" for key, value in row.items()))
