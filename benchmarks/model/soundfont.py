"""Renders of a General MIDI sound font, whose programs say what family they are of.

With Debian's `fluidsynth` and `fluid-soundfont-gm` (FluidR3, MIT licence).
"""

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.model.clip import RATE, Clip, Samples, normalised
from engine.media.decode import decode

FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")

FAMILIES = (
    *("keys",) * 24,
    *("plucked",) * 8,
    *("bass",) * 8,
    *("pad",) * 12,
    *("voice",) * 3,
    "pad",
    *("wind",) * 24,
    *("lead",) * 8,
    *("pad",) * 8,
    *("ambience",) * 8,
    *("plucked",) * 5,
    *("wind",) * 3,
    *("percussion",) * 7,
    "ambience",
    *("ambience",) * 8,
)
"""Of the 128 programs of General MIDI, from 0: orchestral strings count with the pads, fiddle and pipes as wind."""

HIT = 55
NO_FAMILY = (HIT,)

DRUMS = {
    "kick": (35, 36),
    "snare": (38, 40, 37, 39),
    "hat": (42, 44, 46, 49, 51, 52, 53, 55, 57, 59),
    "percussion": (41, 43, 45, 47, 48, 50, 54, 56, 58, *range(60, 82)),
}
KITS = (0, 8, 16, 24, 25, 32, 40)

NOTES = {"bass": (30, 36, 43), "keys": (48, 60, 72), "wind": (55, 64, 74), "plucked": (45, 57, 69)}
OTHER_NOTES = (50, 60, 70)
VELOCITIES = (60, 112)
NOTE_S, REST_S = 2.0, 1.5
TICKS_PER_S = 1000


def available() -> bool:
    """Whether the sound font and its player are installed."""
    return FONT.exists() and shutil.which("fluidsynth") is not None


def clips() -> Iterator[Clip]:
    """Yield notes of every program and drum; a program is a group, and so is a drum's note in all kits."""
    for program, family in enumerate(FAMILIES):
        if program in NO_FAMILY:
            continue
        plays = [(note, v) for note in NOTES.get(family, OTHER_NOTES) for v in VELOCITIES]
        for samples in _notes(program, plays, channel=0):
            yield Clip(family, f"program {program}", samples)
    for kit in KITS:
        drums = [(note, family) for family, notes in DRUMS.items() for note in notes]
        rendered = _notes(kit, [(note, 100) for note, _ in drums], channel=9)
        for (note, family), samples in zip(drums, rendered, strict=True):
            yield Clip(family, f"drum {note}", samples)


def _notes(program: int, plays: list[tuple[int, int]], channel: int) -> list[Samples]:
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder) / "a.mid", Path(folder) / "a.wav"
        midi.write_bytes(_midi(program, plays, channel))
        command = ["fluidsynth", "-ni", "-R", "0", "-C", "0", "-r", str(RATE), "-g", "0.5", "-F", str(wav)]
        subprocess.run([*command, str(FONT), str(midi)], check=True, capture_output=True, timeout=120)
        sound = decode(wav, RATE).mean(axis=1, dtype=np.float64)
    made = []
    for k in range(len(plays)):
        start = round(k * (NOTE_S + REST_S) * RATE)
        part = sound[start : start + round((NOTE_S + REST_S) * RATE)]
        heard = np.flatnonzero(np.abs(part) > 1e-3 * max(np.abs(part).max(initial=0.0), 1e-6))
        part = part[: heard[-1] + 1] if len(heard) else np.full(64, 1e-6)
        made.append(normalised(part))
    return made


def _midi(program: int, plays: list[tuple[int, int]], channel: int) -> bytes:
    """Return a standard MIDI file that plays each note for 2 s, with 1.5 s after it."""
    track = bytes([0, 0xC0 | channel, program])
    wait = 0
    for note, velocity in plays:
        track += _length(wait) + bytes([0x90 | channel, note, velocity])
        track += _length(round(NOTE_S * TICKS_PER_S)) + bytes([0x80 | channel, note, 0])
        wait = round(REST_S * TICKS_PER_S)
    track += _length(wait) + bytes([0xFF, 0x2F, 0])
    # 500 ticks a quarter note at the default of 120 quarters a minute: a tick is a millisecond.
    head = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, TICKS_PER_S // 2)
    return head + struct.pack(">4sI", b"MTrk", len(track)) + track


def _length(value: int) -> bytes:
    made = [value & 0x7F]
    while value := value >> 7:
        made.insert(0, 0x80 | (value & 0x7F))
    return bytes(made)
