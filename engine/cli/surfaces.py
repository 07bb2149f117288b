"""What a show is played with beside the keys: MIDI and OSC, as the options of `roomtone play` have them."""

from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import HostError

if TYPE_CHECKING:
    from engine.cli.performance import Performance
    from engine.control.midi.surface import MidiSurface
    from engine.control.osc import OscServer

ALL = "any"
"""The value of `--midi` alone: all ports there are."""

VIRTUAL = "virtual"
"""The value that makes a port for other programs to connect to."""


def with_optional_value(arguments: list[str]) -> list[str]:
    """Return a command line in which `--midi` has a value even where none was given, or an option follows."""
    following = [*arguments[1:], "-"]
    return [
        f"--midi={ALL}" if one == "--midi" and after.startswith("-") else one
        for one, after in zip(arguments, following, strict=True)
    ]


def map_files(names: list[str] | None) -> list[Path]:
    """Return the files of MIDI maps; raises MapError for one that is not there or will not do."""
    if not names:
        return []
    from engine.control.midi.maps import find_map, load_map

    files = [find_map(name) for name in names]
    for file in files:
        load_map(file)
    return files


def midi_surface(performance: "Performance", port: str, maps: list[Path]) -> "MidiSurface":
    """Return the MIDI surface of a performance; raises MapError for a map. On entry HostError for a port."""
    from engine.control.midi.surface import MidiSurface

    show = performance.show
    return MidiSurface(
        performance,
        lambda text: show.tell("midi", text),
        maps=maps,
        name=None if port in (ALL, VIRTUAL, "") else port,
        virtual=port == VIRTUAL,
        follow=show.follow_clock,
    )


def osc_server(performance: "Performance", port: int, host: str) -> "OscServer":
    """Return an OSC server for a performance; raises HostError if the port is taken, InputError."""
    from engine.control.osc import OscServer

    server = OscServer(performance, port, host, lambda text: performance.show.tell("osc", text))
    performance.show.tell("osc", f"OSC is listened to at {server.host}:{server.port}")
    return server


def mistaken_for_port(port: str, error: HostError) -> HostError:
    """Return the error with a hint where a scene was taken for the port."""
    import presets

    if Path(port).exists() or port in presets.scene_names():
        return HostError(f"{error}; a scene goes before --midi, as in `roomtone play {port} --midi`")
    return error
