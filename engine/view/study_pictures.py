"""The pictures of a study: correlations, elbow, tree of clusters, confusions, a network, honest beside leaky scores."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.view.drawing import note, png, short, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

HONEST, LEAKY = "#0072B2", "#E69F00"
"""Blue and orange of Okabe & Ito."""
EVERY = 3
"""Of many columns every third has its name."""


def _figure(width_in: float, height_in: float) -> tuple["Figure", "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    return figure, figure.add_subplot()


def correlations(names: Sequence[str], values: Floats) -> bytes:
    """Draw what every two columns have in common, float `[n, n]`, -1 to 1; returns PNG, as all of these do."""
    with style():
        import seaborn

        figure, axes = _figure(11.0, 10.0)
        seaborn.heatmap(
            values,
            vmin=-1.0,
            vmax=1.0,
            cmap="vlag",
            square=True,
            xticklabels=False,
            yticklabels=EVERY,
            cbar_kws={"label": "correlation", "shrink": 0.6},
            ax=axes,
        )
        axes.set_yticklabels([short(name) for name in names[::EVERY]], fontsize=6)
        axes.set_title("Features of the raw track, then what mixing changed")
        return png(figure)


def elbow(inertias: Floats, at: int) -> bytes:
    """Draw the inertia of k-means for 1 cluster and more, and where its elbow is."""
    with style():
        figure, axes = _figure(6.0, 4.0)
        axes.plot(np.arange(1, len(inertias) + 1), inertias, "o-", color=HONEST)
        axes.axvline(at, color=LEAKY, linestyle="--", label=f"elbow: {at}")
        axes.set_xlabel("clusters")
        axes.set_ylabel("inertia")
        axes.legend()
        return png(figure)


def dendrogram(
    x: Sequence[Sequence[float]], y: Sequence[Sequence[float]], cuts: Mapping[int, float]
) -> bytes:
    """Draw the lines of a tree and the heights at which it has so many clusters."""
    with style():
        figure, axes = _figure(9.0, 4.5)
        for line_x, line_y in zip(x, y, strict=True):
            axes.plot(line_x, line_y, color=HONEST, linewidth=0.8)
        for count, height in cuts.items():
            axes.axhline(height, color=LEAKY, linestyle="--", linewidth=0.8)
            axes.annotate(
                f"{count}",
                (1.0, height),
                xycoords=("axes fraction", "data"),
                xytext=(4, -3),
                textcoords="offset points",
            )
        axes.set_xticks([])
        axes.set_ylim(bottom=0.0)
        axes.set_ylabel("distance (Ward)")
        note(figure, "right: clusters there are when the tree is cut at that height")
        return png(figure)


def confusion(title: str, names: Sequence[str], counts: NDArray[np.int64]) -> bytes:
    """Draw what each class was taken for, int `[true, answered]`; colour is the share of the true class."""
    with style():
        import seaborn

        size = max(4.5, 0.36 * len(names) + 2.5)
        figure, axes = _figure(size + 1.0, size)
        share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        seaborn.heatmap(
            share,
            vmin=0.0,
            vmax=1.0,
            cmap="cividis",
            square=True,
            annot=np.where(counts > 0, counts.astype(str), ""),
            fmt="",
            annot_kws={"fontsize": 7},
            xticklabels=[short(n) for n in names],
            yticklabels=[short(n) for n in names],
            cbar_kws={"label": "share of the class", "shrink": 0.6},
            ax=axes,
        )
        axes.set_xlabel("answered")
        axes.set_ylabel("true")
        axes.set_title(title)
        return png(figure)


def network(nodes: Sequence[str], edges: Sequence[tuple[str, str]], middle: str) -> bytes:
    """Draw variables on a circle around the one in the `middle`, and arrows for edges."""
    with style():
        figure, axes = _figure(7.0, 6.5)
        around = [node for node in nodes if node != middle]
        angles = np.linspace(0.0, 2.0 * np.pi, len(around), endpoint=False)
        places = {node: (float(np.cos(a)), float(np.sin(a))) for node, a in zip(around, angles, strict=True)}
        places[middle] = (0.0, 0.0)
        for a, b in edges:
            axes.annotate(
                "",
                places[b],
                places[a],
                arrowprops={"arrowstyle": "-|>", "color": "0.4", "shrinkA": 16, "shrinkB": 44},
            )
        for node, (x, y) in places.items():
            colour = LEAKY if node == middle else "white"
            box = {"boxstyle": "round", "facecolor": colour, "edgecolor": HONEST}
            axes.text(x, y, short(node), ha="center", va="center", fontsize=8, bbox=box)
        axes.set_xlim(-1.35, 1.35)
        axes.set_ylim(-1.2, 1.2)
        axes.set_axis_off()
        return png(figure)


def scores(
    title: str, names: Sequence[str], honest: Floats, bounds: Floats, leaky: Floats, unit: str
) -> bytes:
    """Draw honest scores with bounds `[n, 2]` beside leaky ones, float `[n]`."""
    with style():
        figure, axes = _figure(8.0, 1.2 + 0.42 * len(names))
        rows = np.arange(len(names))[::-1]
        axes.barh(rows + 0.2, np.nan_to_num(honest), 0.36, color=HONEST, label="by songs")
        reach = np.abs(bounds.T - honest)
        axes.errorbar(honest, rows + 0.2, xerr=np.nan_to_num(reach), fmt="none", ecolor="0.2", capsize=2)
        axes.barh(rows - 0.2, np.nan_to_num(leaky), 0.36, color=LEAKY, label="leaky")
        axes.set_yticks(rows, list(names), fontsize=8)
        axes.set_xlim(left=min(-0.05, float(np.nanmin(honest)) if len(honest) else 0.0))
        axes.set_xlabel(unit)
        axes.set_title(title)
        axes.legend(loc="best", fontsize=8)
        return png(figure)
