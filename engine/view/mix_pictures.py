"""The two pictures of a mix: what sounds when in every track, and the spectrogram of what comes out."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from engine.view.drawing import hertz, note, picture, short, style
from engine.view.mix_data import Array, Lane, MixPicture, PlacedSound

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

WIDTH_IN = 12.0
MOST_LANES = 40

WAVE = 0.30, 0.98
"""Bottom and top of the waveforms in a lane of height 1; the cuts by band are below."""
EQ = 0.03, 0.25
CUT_SCALE_DB = 6.0
LEAST_CUT_DB = -2.0
"""Cuts that are less deep have no mark in the spectrogram."""
SHOWN_CUT_DB = 0.25
"""Cuts that are less deep have no colour in the strips."""

CUT_COLOUR = "#D55E00"
DOMINANT_COLOUR = "#56B4E9"
"""Vermilion and sky blue of Okabe & Ito, which people with any colour vision tell apart."""
ATMO_COLOUR = "0.6"
SPECTRUM_RANGE_DB = 70.0
MOST_LABELS = 60
LABEL_GAP = 0.018
"""Insertions closer than this share of the width share the first one's label."""


def timeline(mix: MixPicture) -> dict[str, bytes]:
    """Draw every track's lane: waveforms with their fades, importance as colour, the cut and its bands over time.

    Returns `{"png": …, "svg": …}`. Of more than `MOST_LANES` tracks the first.
    """
    with style():
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure

        lanes = mix.lanes[:MOST_LANES]
        figure = Figure(figsize=(WIDTH_IN, 1.9 + 0.62 * len(lanes)), layout="constrained")
        axes = figure.add_subplot()
        importance = ScalarMappable(Normalize(0.0, 1.0), colormaps["viridis_r"])
        bands = None
        for number, lane in enumerate(lanes):
            bottom = len(lanes) - 1.0 - number
            colour = ATMO_COLOUR if lane.importance is None else importance.to_rgba(np.array(lane.importance))
            if number % 2 == 0:
                axes.axhspan(bottom, bottom + 1.0, color="0.965", zorder=0)
            for sound in lane.sounds:
                _wave(axes, sound, bottom, colour)
            bands = _cuts(axes, lane, bottom, mix.length_s)
        axes.set_xlim(0.0, mix.length_s)
        axes.set_ylim(0.0, len(lanes))
        axes.set_yticks(
            [len(lanes) - 0.5 - n for n in range(len(lanes))], [_lane_label(lane) for lane in lanes]
        )
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("time, s")
        left = f" (the first {len(lanes)} of {len(mix.lanes)} tracks)" if len(lanes) < len(mix.lanes) else ""
        figure.suptitle(f"{mix.title}: what sounds when{left}")
        figure.colorbar(importance, ax=axes, label="importance", pad=0.01, aspect=40, fraction=0.03)
        if bands is not None:
            figure.colorbar(bands, ax=axes, label="cut by band, dB", pad=0.01, aspect=40, fraction=0.03)
        low, high = hertz(mix.band_edges_hz[0]), hertz(mix.band_edges_hz[-1])
        note(
            figure,
            f"waves: sounds with their fades   ·   hanging: the deepest cut by unmasking, a lane is {CUT_SCALE_DB:g} dB"
            f"   ·   strip below: the bands that are cut, {low} to {high} Hz upwards",
            "triangle: moved, turned down or filtered when it was placed",
        )
        return picture(figure)


def _wave(axes: "Axes", sound: PlacedSound, bottom: float, colour: object) -> None:
    """Draw one sound: its wave, the box it takes, and its fades."""
    low, high = bottom + WAVE[0], bottom + WAVE[1]
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    end_s = sound.start_s + sound.length_s
    at_s = (
        sound.start_s + (np.arange(len(sound.envelope)) + 0.5) / max(1, len(sound.envelope)) * sound.length_s
    )
    axes.fill_between(
        at_s,
        middle - half * sound.envelope,
        middle + half * sound.envelope,
        color=colour,
        linewidth=0.0,
        zorder=2,
    )
    corners_s = (
        sound.start_s,
        min(end_s, sound.start_s + sound.fade_in_s),
        end_s - min(sound.length_s, sound.fade_out_s),
        end_s,
    )
    for side in (low, high):
        axes.plot(corners_s, (middle, side, side, middle), color=colour, linewidth=0.8, alpha=0.8, zorder=2)
    if sound.note:
        axes.plot([sound.start_s], [low], marker="^", color="black", markersize=5, clip_on=False, zorder=5)


def _cuts(axes: "Axes", lane: Lane, bottom: float, length_s: float) -> "AxesImage":
    """Hang the deepest cut from the top of a lane and lay the bands that are cut over its strip."""
    deepest = lane.cut_db.min(axis=1)
    edges_s = np.linspace(0.0, length_s, len(deepest) + 1)
    top = bottom + WAVE[1]
    depth = (WAVE[1] - WAVE[0]) * np.clip(-deepest / CUT_SCALE_DB, 0.0, 1.0)
    hung = np.where(depth > 0.0, top - depth, np.nan)
    axes.stairs(hung, edges_s, baseline=top, fill=True, color=CUT_COLOUR, alpha=0.22, linewidth=0.0, zorder=3)
    axes.stairs(hung, edges_s, baseline=None, color=CUT_COLOUR, linewidth=0.8, zorder=3)
    image = axes.imshow(
        np.where(lane.cut_db > -SHOWN_CUT_DB, np.nan, -lane.cut_db).T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="Oranges",
        vmin=0.0,
        vmax=CUT_SCALE_DB,
        extent=(0.0, length_s, bottom + EQ[0], bottom + EQ[1]),
        zorder=1,
    )
    axes.axhline(bottom, color="0.8", linewidth=0.6, zorder=1)
    return image


def _lane_label(lane: Lane) -> str:
    taken = f" (−{lane.reduction_db:.1f})" if lane.reduction_db >= 0.05 else ""
    return f"{short(lane.name)}\n{lane.level_db:.0f} LUFS{taken}"


def spectrogram(mix: MixPicture) -> dict[str, bytes]:
    """Draw the mix over time and frequency, with every insertion, dominant frequencies and the bands that were cut.

    Returns `{"png": …, "svg": …}`.
    """
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH_IN, 6.6), layout="constrained")
        axes = figure.add_subplot()
        top_db = 5.0 * np.ceil(float(mix.spectrum_db.max()) / 5.0)
        rows = len(mix.frequencies_hz)
        ratio = mix.frequencies_hz[1] / mix.frequencies_hz[0]
        image = axes.imshow(
            mix.spectrum_db.T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="Greys",
            vmin=top_db - SPECTRUM_RANGE_DB,
            vmax=top_db,
            extent=(0.0, mix.length_s, -0.5, rows - 0.5),
        )

        def row(frequency_hz: Array | float) -> Array:
            return np.asarray(np.log(np.asarray(frequency_hz) / mix.frequencies_hz[0]) / np.log(ratio))

        _cut_marks(axes, mix, row(np.sqrt(mix.band_edges_hz[1:] * mix.band_edges_hz[:-1])))
        for sound in (s for lane in _objects(mix) for s in lane.sounds if s.dominant_hz > 0.0):
            x, y = (sound.start_s, sound.start_s + sound.length_s), float(row(sound.dominant_hz))
            axes.plot(x, (y, y), color="white", linewidth=3.6, alpha=0.8)
            axes.plot(x, (y, y), color=DOMINANT_COLOUR, linewidth=2.2)
        _insertions(axes, mix)
        ticks_hz = [
            f for f in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000) if f <= mix.frequencies_hz[-1]
        ]
        axes.set_yticks([float(row(f)) for f in ticks_hz], [hertz(f) for f in ticks_hz])
        axes.set_xlim(0.0, mix.length_s)
        axes.set_ylim(-0.5, rows - 0.5)
        axes.set_xlabel("time, s")
        axes.set_ylabel("frequency, Hz")
        figure.suptitle(f"{mix.title}: the mix")
        figure.colorbar(image, ax=axes, label="level, dBFS", pad=0.01, aspect=40)
        note(
            figure,
            "dashed: a sound begins   ·   blue: where the sound is strongest, as long as it lasts",
            f"orange: a band that is cut in some object by {-LEAST_CUT_DB:g} dB or more, the deeper the thicker",
        )
        return picture(figure)


def _insertions(axes: "Axes", mix: MixPicture) -> None:
    begins = sorted((s.start_s, lane.name) for lane in _objects(mix) for s in lane.sounds if not s.goes_on)
    last_s, labels = -np.inf, 0
    for start_s, name in begins:
        axes.axvline(start_s, color="black", linestyle=(0, (4, 3)), linewidth=0.9)
        if start_s - last_s >= LABEL_GAP * mix.length_s and labels < MOST_LABELS:
            last_s, labels = start_s, labels + 1
            axes.annotate(
                short(name),
                (start_s, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(2, 2),
                textcoords="offset points",
                rotation=45,
                fontsize=8,
                va="bottom",
            )


def _cut_marks(axes: "Axes", mix: MixPicture, band_rows: Array) -> None:
    """Mark every band for as long as some track is cut in it."""
    from matplotlib.collections import LineCollection

    if not _objects(mix):
        return
    deepest = np.min([lane.cut_db for lane in _objects(mix)], axis=0)
    step_s = mix.length_s / len(deepest)
    segments, widths = [], []
    for band in range(deepest.shape[1]):
        for first, last in _runs(deepest[:, band] <= LEAST_CUT_DB):
            y = float(band_rows[band])
            segments.append([(first * step_s, y), (last * step_s, y)])
            widths.append(0.6 + 0.45 * float(-deepest[first:last, band].min()))
    axes.add_collection(LineCollection(segments, linewidths=widths, colors=CUT_COLOUR, alpha=0.75))


def _objects(mix: MixPicture) -> list[Lane]:
    return [lane for lane in mix.lanes if lane.importance is not None]


def _runs(on: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Iterator[tuple[int, int]]:
    """Yield (first, last + 1) of every run of True."""
    change = np.flatnonzero(np.diff(np.concatenate(([False], on, [False])).astype(np.int8)))
    yield from zip(change[::2].tolist(), change[1::2].tolist(), strict=True)
