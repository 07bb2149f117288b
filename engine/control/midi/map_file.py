"""Writing MIDI maps: one binding a line, and never a file that is half the old one and half the new one."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from engine.control.midi.map_schema import MAX_BINDINGS, Binding, MidiMap
from engine.control.midi.maps import LEARNED, config_folder, load_map, map_from_text
from engine.errors import MapError, Problem
from engine.scene.reader import shorten

HEAD = "# What was learned; written anew by the program, which keeps no remarks. The newest of each control counts.\n"


def learned_path() -> Path:
    """The user's own file for what is learned."""
    return config_folder() / f"{LEARNED}.yaml"


def save_binding(path: Path, binding: Binding) -> MidiMap:
    """Add `binding` to the map in `path`, which is made if there is none, and return the map.

    It takes the place of the binding that its control had, and of the one its parameter had. Errors: MapError if the
    file is no map, then it stays as it is, or if it cannot be written.
    """
    if path.exists():
        present = load_map(path)
    else:
        present = MidiMap(title="Learned", source="Learned from the devices themselves.")
    kept = [old for old in present.bindings if not _replaces(binding, old)]
    if len(kept) >= MAX_BINDINGS:
        raise MapError(Problem("the map is full", f"at most {MAX_BINDINGS} bindings", "bindings", str(path)))
    _write(path, present.model_copy(update={"bindings": (*kept, binding)}))
    return load_map(path)


def map_text(midi_map: MidiMap) -> str:
    """The map as YAML, one binding a line; reading it gives the same map."""
    lines = [f"title: {_scalar(midi_map.title)}", f"source: {_scalar(midi_map.source)}"]
    if midi_map.ports:
        lines.append(f"ports: [{', '.join(map(_scalar, midi_map.ports))}]")
    lines.append("bindings:" if midi_map.bindings else "bindings: []")
    for binding in midi_map.bindings:
        fields = binding.model_dump(by_alias=True, exclude_defaults=True)
        lines.append("  - {" + ", ".join(f"{key}: {_scalar(value)}" for key, value in fields.items()) + "}")
    return "\n".join(lines) + "\n"


def _scalar(value: object) -> str:
    # Flow scalars of JSON are YAML; a bare word would have to be told from a number.
    return json.dumps(value, ensure_ascii=False)


def _replaces(new: Binding, old: Binding) -> bool:
    same_control = (new.kind, new.numbers) == (old.kind, old.numbers) and (
        new.channel == old.channel
        or "any" in (new.channel, old.channel)
        or "each" in (new.channel, old.channel)
    )
    same_parameter = new.parameter is not None and (new.parameter, new.track) == (old.parameter, old.track)
    return same_control or same_parameter


def _write(path: Path, midi_map: MidiMap) -> None:
    """Write beside the file first, and put it in its place once it is on the disk."""
    text = HEAD + map_text(midi_map)
    map_from_text(
        text, shorten(str(path), 4096)
    )  # an odd name must not make the file one that cannot be read
    part = None
    path = Path(os.path.realpath(path))  # where a link leads
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        part = None
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        what = f"the MIDI map cannot be written: {error.strerror}"
        raise MapError(
            Problem(what, "a file in a folder that can be written", file=shorten(str(path), 4096))
        ) from None
    finally:
        if part is not None:
            with suppress(OSError):
                os.unlink(part)
