"""A track of a Reaper project as sound: its items on the timeline, and what of its mix can be read."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import InputError, Problem
from engine.learn.bands import fast_length
from engine.learn.rpp import Item, Project, Track, locate
from engine.media.decode import MAX_DECODED_S, Decoded, decode_as_is, resample

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

SILENT_DB = -100.0


@dataclass(frozen=True)
class ProjectTrack:
    """A track, and the project file it is of."""

    project: Path
    track: Track
    rate_hz: float

    def __str__(self) -> str:
        return f"{self.project}:{self.track.line}: {self.track.name}"

    @property
    def items(self) -> tuple[Item, ...]:
        """What plays: sounds that are not muted."""
        return tuple(item for item in self.track.items if item.source and not item.muted)

    @property
    def flags(self) -> tuple[str, ...]:
        """What changes its sound and is not read: envelopes, sends, takes, plug-ins."""
        others = [e.name for e in self.track.effects if e.on and e.equaliser is None]
        named = [f"plug-in {name}" for name in others]
        return (*self.track.flags, *(f for item in self.items for f in item.flags), *named)

    @property
    def is_linear(self) -> bool:
        """Whether equalisers, volume and pan are all that changes its sound."""
        return not self.flags

    @property
    def equaliser_is_all(self) -> bool:
        """Whether no plug-in but a ReaEQ is on."""
        return all(e.equaliser is not None for e in self.track.effects if e.on)

    def files(self) -> list[Path]:
        """Return the files of what plays, each once, in their order. Raises InputError for one that is not there."""
        made = list(dict.fromkeys(locate(item.source, self.project) for item in self.items))
        for path in made:
            if not path.is_file():
                allowed = "the sounds of a project where it names them, or beside it"
                raise InputError(Problem(f"{path} is not there", allowed, file=str(self)))
        return made

    def curve_db(self, at_hz: Floats) -> Floats | None:
        """Return the curve of its equalisers, float64 `[n]`; None where it has none."""
        equaliser = self.track.equaliser
        return None if equaliser is None else equaliser.curve_db(at_hz, self.rate_hz)

    def gains_db(self) -> tuple[float, float]:
        """Return volume and pan as the gain of the left and of the right side, by the law of a balance control."""
        pan = self.track.pan
        sides = (min(1.0, 1.0 - pan), min(1.0, 1.0 + pan))
        left, right = (
            self.track.volume_db + (20.0 * math.log10(s) if s > 1e-5 else SILENT_DB) for s in sides
        )
        return max(left, SILENT_DB), max(right, SILENT_DB)

    def sound(self) -> Decoded:
        """Return what plays from the project's beginning on, before equaliser and volume.

        Raises InputError for a track on which nothing plays, a file that is not there, or a rate of play that is not 1.
        """
        if not self.items:
            raise InputError(Problem("no sound plays on it", "a track with a sound file", file=str(self)))
        decoded = {path: decode_as_is(path) for path in self.files()}
        rate_hz = next(iter(decoded.values())).rate_hz
        channels = max(d.samples.shape[1] for d in decoded.values())
        frames = max(round((item.position_s + item.length_s) * rate_hz) for item in self.items)
        if not 0 < frames <= MAX_DECODED_S * rate_hz:
            most = f"up to {MAX_DECODED_S / 60.0:g} minutes"
            raise InputError(Problem(f"it lasts {frames / rate_hz:g} s", most, file=str(self)))
        made = np.zeros((frames, channels), np.float32)
        for item in self.items:
            if item.rate != 1.0:
                what = f"an item plays {item.rate:g} times as fast"
                raise InputError(Problem(what, "a play rate of 1", "", str(self.project), item.line))
            source = decoded[locate(item.source, self.project)]
            sound = resample(source.samples, source.rate_hz, rate_hz)
            sound = sound[round(max(item.offset_s, 0.0) * rate_hz) :][: round(item.length_s * rate_hz)]
            at = max(0, round(item.position_s * rate_hz))
            gain = 10.0 ** (item.gain_db / 20.0) * (-1.0 if item.inverted else 1.0)
            made[at : at + len(sound)] += (np.float32(gain) * sound)[: frames - at]
        return Decoded(made, rate_hz, channels)

    def equalised(self, raw: Decoded) -> Samples:
        """Return the raw sound through its equalisers, by magnitude alone, float32 `[frames, channels]`."""
        length = fast_length(len(raw.samples))
        hz = np.arange(length // 2 + 1, dtype=np.float64) * (raw.rate_hz / length)
        curve = self.curve_db(hz)
        if curve is None:
            return raw.samples
        spectrum = np.fft.rfft(raw.samples, length, axis=0) * (10.0 ** (curve / 20.0))[:, None]
        return np.asarray(np.fft.irfft(spectrum, length, axis=0)[: len(raw.samples)], np.float32)


def project_tracks(path: Path, project: Project) -> list[ProjectTrack]:
    """Return all tracks of a project on which a sound plays."""
    tracks = [ProjectTrack(path, track, project.curve_rate_hz) for track in project.tracks]
    return [track for track in tracks if track.items]
