"""A storm of MIDI beside the sound: many ports send as fast as MIDI can, while a bank plays on a JACK server.

    python -m benchmarks.flood
    python -m benchmarks.flood --ports 16 --rate 25000 --seconds 60 --tracks 32 --json

What must hold: the ring never runs dry, and every control ends where it was turned last.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.crowd import crowd
from benchmarks.jack_server import serving
from benchmarks.midi_device import MidiDevices
from engine.control.midi.surface import MidiSurface
from engine.control.performer import Performer
from engine.control.show import Show
from engine.scene.composition import compose

RATE_HZ = 48_000
CONTROLS = 10
"""Controllers that each device turns; see `MidiDevices.flood`."""
SETTLE_S = 2.0


def measure(ports: int, rate_hz: int, seconds: float, tracks: int, safety_quanta: int) -> dict[str, Any]:
    """Do it; raises RuntimeError where there can be no JACK server."""
    with (
        serving(RATE_HZ, synchronous=True),
        tempfile.TemporaryDirectory() as folder,
        MidiDevices() as devices,
    ):
        return _measure(Path(folder), devices, ports, rate_hz, seconds, tracks, safety_quanta)


def _measure(
    folder: Path,
    devices: MidiDevices,
    ports: int,
    rate_hz: int,
    seconds: float,
    tracks: int,
    safety_quanta: int,
) -> dict[str, Any]:
    composition = compose(crowd(tracks), rate_hz=RATE_HZ)
    names = [f"storm {n:02}" for n in range(ports)]
    wanted: dict[str, tuple[str, int]] = {}
    maps = []
    parameters = [
        name
        for track in composition.tracks
        for name in (f"mix.{track.name}.panning", f"mix.{track.name}.send_db", f"trim.{track.name}.level_db")
    ]
    for n, name in enumerate(names):
        devices.plug(name)
        lines = []
        for control in range(CONTROLS):
            place = n + ports * control
            if place < len(parameters):
                wanted[parameters[place]] = (name, control)
                lines.append(f'  - {{cc: {control}, parameter: "{parameters[place]}", takeover: jump}}')
        file = folder / f"{n}.yaml"
        bindings = "\n".join(lines) or "  - {cc: 119, parameter: room.width}"
        file.write_text(f'title: S\nsource: here\nports: ["{name}*"]\nbindings:\n{bindings}\n')
        maps.append(file)
    show = Show(
        composition, driver="portaudio", safety_quanta=safety_quanta, record=folder / "take.wav", log=None
    )
    with (
        show,
        MidiSurface(Performer(show), lambda text: None, maps=maps, name="storm", api="jack") as surface,
    ):
        time.sleep(SETTLE_S)
        statistics = show.statistics()
        cpu_s = time.process_time()
        last = devices.flood(names, rate_hz, seconds)
        cpu_s = time.process_time() - cpu_s
        time.sleep(SETTLE_S)
        after = show.statistics()
        counters = surface.counters()
        wrong = []
        for parameter, (name, control) in wanted.items():
            p = show.params.row(parameter).param
            position = show.params.get_unit(parameter)
            if abs(position - last[name][control] / 127) > 1 / 127:
                wrong.append(
                    f"{parameter}: {show.params.get(parameter):g} {p.unit}, {last[name][control]} was sent"
                )
    return {
        "ports": ports,
        "messages_per_s": round(counters["messages"] / seconds),
        "seconds": seconds,
        "tracks": tracks,
        "underruns": after.underruns - statistics.underruns,
        "late_quanta": after.late_quanta - statistics.late_quanta,
        "parameters": len(wanted),
        "wrong": wrong,
        "control_process_load": round(cpu_s / seconds, 3),
        "counters": counters,
    }


def main() -> None:
    """Measure and tell; exit code 1 if something does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ports", type=int, default=16)
    parser.add_argument("--rate", type=int, default=25_000, help="messages a second, of all ports")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--tracks", type=int, default=32)
    parser.add_argument("--safety", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.ports, options.rate, options.seconds, options.tracks, options.safety)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(
            f"{found['ports']} ports, {found['messages_per_s']} messages/s for {found['seconds']:g} s beside "
            f"{found['tracks']} tracks: {found['underruns']} under-runs, {len(found['wrong'])} of "
            f"{found['parameters']} parameters wrong; the control process took "
            f"{100 * found['control_process_load']:.0f} % of a core; {found['counters']}"
        )
        for line in found["wrong"]:
            print(f"  {line}")
    raise SystemExit(1 if found["underruns"] or found["wrong"] else 0)


if __name__ == "__main__":
    main()
