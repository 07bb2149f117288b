"""Pictures of masking as PNG. matplotlib is imported when the first one is drawn, and never its pyplot."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.view.drawing import hertz, note, png, short, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

Array = NDArray[np.floating]

WIDTH_IN = 10.0
FULL_SCALE_DB = 20.0
"""The excess at which colours end."""

MOST_COLUMNS = 1000
"""More analysis frames than this are drawn together: a picture is not wider."""

MOST_TRACKS = 40
MOST_NUMBERS = 16
"""The largest matrix with a number in every cell."""

SILENT = "0.82"
"""A light grey."""


def matrix_png(
    title: str, names: Sequence[str], stages: Mapping[str, Array], silent: Sequence[bool]
) -> bytes:
    """Draw for each stage float64[T, T], the share (0 to 1) of the column's track that the row's track masks.

    Of more than `MOST_TRACKS` tracks those that mask or are masked most.
    """
    with style():
        from matplotlib.figure import Figure

        first = next(iter(stages.values()))
        kept = np.sort(np.argsort(-(first.sum(axis=0) + first.sum(axis=1)), kind="stable")[:MOST_TRACKS])
        count = len(kept)
        side_in = min(10.0, max(2.0, 0.55 * count))
        size_in = (max(5.0, (side_in + 0.4) * len(stages) + 2.0), side_in + 1.8)
        figure = Figure(figsize=size_in, layout="constrained")
        hidden = np.array(silent)[kept]
        # The colours end at the next full tenth above the largest share.
        top = max(20.0, 10.0 * np.ceil(10.0 * max(shares.max() for shares in stages.values())))
        image = None
        for number, (stage, shares) in enumerate(stages.items(), 1):
            axes = figure.add_subplot(1, len(stages), number)
            percent = 100.0 * shares[np.ix_(kept, kept)]
            percent[np.eye(count, dtype=bool) | hidden] = np.nan
            image = axes.imshow(percent, cmap=_sequential(), vmin=0.0, vmax=top)
            labels = [short(names[t]) for t in kept]
            size = 9.0 if count <= MOST_NUMBERS else 6.5
            axes.set_xticks(
                range(count), labels, rotation=45, ha="right", rotation_mode="anchor", fontsize=size
            )
            axes.set_yticks(range(count), labels if number == 1 else [], fontsize=size)
            axes.set_xlabel("is masked")
            axes.set_title(stage)
            if number == 1:
                axes.set_ylabel("masks")
            if count <= MOST_NUMBERS:
                _number_cells(axes, percent, 0.6 * top)
        figure.suptitle(title + (f" ({count} of {len(names)} tracks)" if count < len(names) else ""))
        if image is not None:
            figure.colorbar(image, ax=figure.axes, label="masked share, %", shrink=0.8, pad=0.02)
        note(figure, "grey: the track itself, or one that is silent")
        return png(figure)


def pair_png(
    masker: str,
    maskee: str,
    stages: Mapping[str, Array],
    captions: Sequence[str],
    hop_s: float,
    edges_hz: Array,
) -> bytes:
    """Draw for each stage float64[frames, bands] in dB: above 0 where `masker` masks `maskee`, below 0 the reverse.

    NaN where neither is active; `captions` go beside the names of the stages.
    """
    with style():
        from matplotlib.figure import Figure

        masker, maskee = short(masker), short(maskee)
        figure = Figure(figsize=(WIDTH_IN, 1.2 + 2.75 * len(stages)), layout="constrained")
        image = None
        for number, (stage, signed) in enumerate(stages.items(), 1):
            axes = figure.add_subplot(len(stages), 1, number)
            pooled = _pool_extremes(signed)
            image = axes.imshow(
                pooled.T,
                origin="lower",
                aspect="auto",
                interpolation="nearest",
                cmap=_diverging(),
                vmin=-FULL_SCALE_DB,
                vmax=FULL_SCALE_DB,
                extent=(-0.5 * hop_s, (len(signed) - 0.5) * hop_s, 0.0, len(edges_hz) - 1.0),
            )
            shown = range(0, len(edges_hz), 3)
            axes.set_yticks(shown, [hertz(edges_hz[e]) for e in shown])
            axes.set_ylabel("Hz, in Bark bands")
            axes.set_title(f"{stage}: {captions[number - 1]}", loc="left", fontsize=10)
            if number == len(stages):
                axes.set_xlabel("time, s")
        figure.suptitle(f"{masker} and {maskee}: who masks whom")
        if image is not None:
            bar = figure.colorbar(image, ax=figure.axes, extend="both", pad=0.02, aspect=_bar_aspect(figure))
            ticks = range(-int(FULL_SCALE_DB), int(FULL_SCALE_DB) + 1, 5)
            bar.set_ticks(list(ticks), labels=[f"{abs(tick)}" for tick in ticks])
            bar.set_label("excess over the masked sound, dB")
        masked = f"purple: {masker} masks {maskee}   ·   orange: {maskee} masks {masker}"
        note(figure, f"{masked}   ·   white: neither is masked   ·   grey: neither is active")
        return png(figure)


def over_time_png(title: str, names: Sequence[str], stages: Mapping[str, Array], hop_s: float) -> bytes:
    """Draw for each stage float32[T, frames], the share (0 to 1) of each track that all others mask, over time.

    NaN where a track is silent. Of more than `MOST_TRACKS` the first.
    """
    with style():
        from matplotlib.figure import Figure

        count = min(len(names), MOST_TRACKS)
        figure = Figure(figsize=(WIDTH_IN, 1.3 + len(stages) * (0.7 + 0.26 * count)), layout="constrained")
        image = None
        for number, (stage, shares) in enumerate(stages.items(), 1):
            axes = figure.add_subplot(len(stages), 1, number)
            image = axes.imshow(
                100.0 * _pool_means(shares[:count].T).T,
                aspect="auto",
                interpolation="nearest",
                cmap=_sequential(),
                vmin=0.0,
                vmax=100.0,
                extent=(-0.5 * hop_s, (shares.shape[1] - 0.5) * hop_s, count - 0.5, -0.5),
            )
            axes.set_yticks(range(count), [short(name) for name in names[:count]], fontsize=9)
            axes.set_yticks(np.arange(count - 1) + 0.5, minor=True)
            axes.grid(which="minor", axis="y", color="0.3", linewidth=0.6)
            axes.tick_params(which="minor", length=0)
            axes.set_title(stage, loc="left", fontsize=10)
            if number == len(stages):
                axes.set_xlabel("time, s")
        figure.suptitle(title + (f" ({count} of {len(names)} tracks)" if count < len(names) else ""))
        if image is not None:
            label = "masked by all others, %"
            figure.colorbar(image, ax=figure.axes, label=label, pad=0.02, aspect=_bar_aspect(figure))
        note(figure, "grey: the track is silent")
        return png(figure)


def _sequential() -> "Colormap":
    from matplotlib import colormaps

    return colormaps["Blues"].with_extremes(bad=SILENT)


def _diverging() -> "Colormap":
    """Orange to purple without the palest tints, so that the least excess can be told from none, which is white."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    shades = colormaps["PuOr"]
    colours = [shades(x) for x in np.linspace(0.0, 0.36, 127)]
    colours += [(1.0, 1.0, 1.0, 1.0)] * 2
    colours += [shades(x) for x in np.linspace(0.64, 1.0, 127)]
    return ListedColormap(colours).with_extremes(bad=SILENT)


def _number_cells(axes: "Axes", percent: Array, dark: float) -> None:
    for row, column in np.argwhere(~np.isnan(percent)):
        value = percent[row, column]
        text = f"{value:.0f}" if value >= 0.5 or value == 0.0 else "<1"
        axes.text(
            *(column, row, text),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if value > dark else "black",
        )


def _bar_aspect(figure: "Figure") -> float:
    """Return the aspect of a colour bar a quarter of an inch wide, however high the figure is."""
    return 4.0 * float(figure.get_figheight())


def _pool_extremes(values: Array) -> Array:
    """Return at most `MOST_COLUMNS` rows, each the value farthest from 0 of those it stands for; NaN if all are."""
    blocks = _blocks(values)
    size = np.where(np.isnan(blocks), -1.0, np.abs(blocks))
    return np.asarray(np.take_along_axis(blocks, size.argmax(axis=1)[:, None], axis=1)[:, 0])


def _pool_means(values: Array) -> Array:
    """Return at most `MOST_COLUMNS` rows, each the mean of those it stands for, NaN left out."""
    blocks = _blocks(values)
    known = ~np.isnan(blocks)
    count = known.sum(axis=1)
    total = np.where(known, blocks, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _blocks(values: Array) -> Array:
    """Return `values` [n, m] as [blocks, size, m], the last block filled up with NaN."""
    size = -(-len(values) // MOST_COLUMNS)
    filled = np.full((-(-len(values) // size) * size, values.shape[1]), np.nan)
    filled[: len(values)] = values
    return filled.reshape(-1, size, values.shape[1])
