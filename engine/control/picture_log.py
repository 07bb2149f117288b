"""Gathers during a render what its pictures show: the spectrum of the mix, and where and when tracks are cut.

Memory does not grow with the length of the render: what falls into one column of a picture is put together at once.
"""

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dsp.bark import BANDS, CENTRES_HZ, EDGES_HZ
from dsp.perceived_loudness import main_bands
from dsp.stft import hann
from dsp.unmask import PERIOD_S, SHOWN_PERIODS
from engine.control.offline import OfflineEngine
from engine.events import CUT, Event
from engine.scene.composition import Composition, Track
from engine.spec import Block
from engine.view.mix_data import Lane, MixPicture, PlacedSound

Floats = NDArray[np.float32]

MOST_COLUMNS = 1600
"""No picture is wider, in pixels that show something."""
MOST_POINTS = 800
"""Of the envelope of one event."""

WINDOW_S = 4096 / 48_000
LOWEST_HZ, HIGHEST_HZ = 30.0, 20_000.0
ROWS = 220
"""Of the spectrum, in equal ratios of frequency."""
FLOOR_DB = -120.0


class PictureLog:
    """Watches a render of `frames` frames; then `picture` is what it looked like."""

    def __init__(self, composition: Composition, frames: int) -> None:
        rate_hz = composition.rate_hz
        self._composition = composition
        self._frames = frames
        self._notes = composition.arranged.notes() if composition.arranged is not None else {}
        self._hop_frames = SHOWN_PERIODS * max(1, round(PERIOD_S * rate_hz))
        moments = max(1, frames // self._hop_frames)
        self._moments_a_row = -(-moments // MOST_COLUMNS)
        self._moments = 0
        self._kept = np.ones((-(-moments // self._moments_a_row), BANDS, len(composition.tracks)))
        self._spectrum = _Spectrum(rate_hz, frames)
        self._events: tuple[Event, ...] = ()

    @property
    def longest_quantum_frames(self) -> int:
        """With longer quanta, cuts would be missed."""
        return self._hop_frames

    def watch(self, engine: OfflineEngine, end_frame: int) -> None:
        """Take what came out of the last quantum, which ends at `end_frame`, and the cuts if there are new ones."""
        self._spectrum.push(engine.plan.output, end_frame)
        if end_frame // self._hop_frames > self._moments:
            row = self._moments // self._moments_a_row
            if row < len(self._kept):
                np.minimum(self._kept[row], engine.meters.read("unmask", "kept"), out=self._kept[row])
            self._moments += 1
        self._log = engine.log

    def finish(self) -> None:
        """Keep the events that were played."""
        self._events = tuple(event for event in self._log if event.clip != CUT)

    @property
    def picture(self) -> MixPicture:
        """All that was gathered."""
        c = self._composition
        cut_db = (10.0 * np.log10(np.clip(self._kept, 1e-3, 1.0))).astype(np.float32)
        return MixPicture(
            c.scene.title,
            self._frames / c.rate_hz,
            tuple(self._lane(track, cut_db[:, :, i]) for i, track in enumerate(c.tracks)),
            self._spectrum.levels_db(),
            self._spectrum.frequencies_hz,
            EDGES_HZ,
        )

    def _lane(self, track: Track, cut_db: Floats) -> Lane:
        events = [e for e in self._events if e.track == track.number and e.start_frame < self._frames]
        ends = [-1, *np.maximum.accumulate([e.start_frame + e.frames for e in events]).tolist()]
        sounds = tuple(self._sound(e, e.start_frame < end) for e, end in zip(events, ends, strict=False))
        atmo = track.number == self._composition.tracks[0].number
        reduction_db = track.reduction.reduction_db if track.reduction is not None else 0.0
        return Lane(
            track.name, None if atmo else track.importance, track.level_db, reduction_db, sounds, cut_db
        )

    def _sound(self, event: Event, goes_on: bool) -> PlacedSound:
        rate_hz = self._composition.rate_hz
        material = self._composition.materials[event.clip]
        heard = min(event.frames, self._frames - event.start_frame)
        samples = material.samples[event.offset_frames : event.offset_frames + heard]
        envelope = _envelope(samples)
        peak = float(np.abs(material.samples).max()) or 1.0
        place = (np.arange(len(envelope)) + 0.5) / max(1, len(envelope)) * heard
        rise = np.clip(place / max(1, event.fade_in_frames), 0.0, 1.0)
        fall = np.clip((event.frames - place) / max(1, event.fade_out_frames), 0.0, 1.0)
        shape = envelope / peak * np.sin(0.5 * np.pi * rise) * np.sin(0.5 * np.pi * fall)
        dominant_hz = 0.0
        if material.energy is not None:
            low, high = main_bands(material.energy.mean)
            dominant_hz = float(CENTRES_HZ[low + int(np.argmax(material.energy.mean[low : high + 1]))])
        return PlacedSound(
            event.start_frame / rate_hz,
            heard / rate_hz,
            event.fade_in_frames / rate_hz,
            event.fade_out_frames / rate_hz,
            shape.astype(np.float32),
            dominant_hz,
            goes_on,
            self._notes.get((self._composition.tracks[event.track].name, event.start_frame), ""),
        )


def _envelope(samples: Floats) -> Floats:
    """Return float32 `[n]`, the peaks of at most `MOST_POINTS` equal parts."""
    size = max(1, -(-len(samples) // MOST_POINTS))
    peaks = np.abs(samples).max(axis=1)
    filled = np.zeros(-(-len(peaks) // size) * size, np.float32)
    filled[: len(peaks)] = peaks
    return np.asarray(filled.reshape(-1, size).max(axis=1), np.float32)


class _Spectrum:
    """The power of both channels over time in rows of equal ratio, in at most `MOST_COLUMNS` columns."""

    def __init__(self, rate_hz: int, frames: int) -> None:
        window = 2 * round(0.5 * WINDOW_S * rate_hz)
        self._hop = window // 4
        self._window = hann(window)
        hops = max(1, -(-frames // self._hop))
        self._hops_a_column = -(-hops // MOST_COLUMNS)
        self._power = np.zeros((-(-hops // self._hops_a_column), ROWS))
        self._hops = 0
        self._at = 0
        self._pending = np.zeros((window - self._hop + 64 * self._hop, 2), np.float32)
        self._filled = window - self._hop
        edges_hz = np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, 0.5 * rate_hz), ROWS + 1)
        self.frequencies_hz = np.sqrt(edges_hz[1:] * edges_hz[:-1])
        self._weights = _row_weights(edges_hz, window, rate_hz)
        self._scale = 2.0 / float(self._window.sum()) ** 2

    def push(self, block: Block, end_frame: int) -> None:
        """Take the frames of the last quantum that belong to the render."""
        block = block[: end_frame - self._at]
        self._at = end_frame
        start = 0
        while start < len(block):
            stop = min(len(block), start + len(self._pending) - self._filled)
            self._pending[self._filled : self._filled + stop - start] = block[start:stop]
            self._filled += stop - start
            start = stop
            if self._filled == len(self._pending):
                self._transform()

    def levels_db(self) -> Floats:
        """Return float32 `[columns, ROWS]`: dBFS, 0 for a full-scale sine in a row."""
        self._transform()
        power = self._power / self._hops_a_column
        levels: Floats = (10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DB / 10.0)))).astype(np.float32)
        return levels

    def _transform(self) -> None:
        window, hop = len(self._window), self._hop
        count = (self._filled - window) // hop + 1
        if count < 1:
            return
        views = sliding_window_view(self._pending[: self._filled], window, axis=0)[::hop][:count]
        spectrum = np.fft.rfft(views * self._window)
        power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1) @ self._weights * (2.0 * self._scale)
        for row in power:
            column = self._hops // self._hops_a_column
            if column < len(self._power):
                self._power[column] += row
            self._hops += 1
        used = count * hop
        self._pending[: self._filled - used] = self._pending[used : self._filled].copy()
        self._filled -= used


def _row_weights(edges_hz: NDArray[np.float64], window: int, rate_hz: int) -> NDArray[np.float64]:
    """Return float64 `[bins, rows]`: every bin goes to the row it lies in, a row between two has the nearer."""
    bins_hz = np.arange(window // 2 + 1) * rate_hz / window
    weights = np.zeros((len(bins_hz), len(edges_hz) - 1))
    for row, (low, high) in enumerate(pairwise(edges_hz)):
        inside = (bins_hz >= low) & (bins_hz < high)
        if inside.any():
            weights[inside, row] = 1.0
        else:
            weights[int(np.argmin(np.abs(bins_hz - 0.5 * (low + high)))), row] = 1.0
    return weights
