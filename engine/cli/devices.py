"""`roomtone devices`: the audio devices there are."""

import json

import typer

from engine.cli.common import JsonOption, print_table

HELP = "List the audio devices, as `--device` and `--input` take them."
EXAMPLES = """**Examples**

    roomtone devices

    roomtone play --device "USB Audio"
"""


def devices(as_json: JsonOption = False) -> None:
    """List the audio devices: what plays (Out) and what can be played live (In)."""
    from dataclasses import asdict

    from engine.host.devices import list_devices

    found = list_devices()
    if as_json:
        typer.echo(json.dumps([asdict(device) for device in found], indent=2, ensure_ascii=False))
        return
    if not any(device.output_channels for device in found):
        typer.echo("no audio output found; `roomtone play` then plays silently to the null clock")
    if not found:
        return
    print_table(
        ["Name", "Driver", "In", "Out", "Rate (Hz)", "Latency (ms)"],
        [
            [
                f"{d.name} (default)" if d.is_default else d.name,
                d.host_api,
                str(d.input_channels or "-"),
                str(d.output_channels or "-"),
                f"{d.rate_hz:.0f}",
                f"{1e3 * d.low_latency_s:.1f} to {1e3 * d.high_latency_s:.1f}" if d.output_channels else "-",
            ]
            for d in found
        ],
    )
