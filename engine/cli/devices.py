"""`roomtone devices`: the audio outputs there are."""

import json

import typer

from engine.cli.common import JsonOption, print_table

HELP = "List the audio outputs, as `--device` takes them."
EXAMPLES = """**Examples**

    roomtone devices

    roomtone play --device "USB Audio"
"""


def devices(as_json: JsonOption = False) -> None:
    """List the audio outputs."""
    from dataclasses import asdict

    from engine.host.devices import list_devices

    outputs = [device for device in list_devices() if device.output_channels > 0]
    if as_json:
        typer.echo(json.dumps([asdict(device) for device in outputs], indent=2, ensure_ascii=False))
        return
    if not outputs:
        typer.echo("no audio output found; `roomtone play` then plays silently to the null clock")
        return
    print_table(
        ["Name", "Driver", "Channels", "Rate (Hz)", "Latency (ms)", "Default"],
        [
            [
                d.name,
                d.host_api,
                str(d.output_channels),
                f"{d.rate_hz:.0f}",
                f"{1e3 * d.low_latency_s:.1f} to {1e3 * d.high_latency_s:.1f}",
                "yes" if d.is_default else "",
            ]
            for d in outputs
        ],
    )
