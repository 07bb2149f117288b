"""What all pictures share: matplotlib's settings, names and numbers as text, a figure as bytes."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120
LABEL_CHARACTERS = 18


@contextmanager
def style() -> Iterator[None]:
    """Draw with matplotlib's own settings, whatever the user's are: a $ in a name is a $, and no bytes are random."""
    import matplotlib.style

    settings = {"text.parse_math": False, "svg.hashsalt": "roomtone", "svg.fonttype": "none"}
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        # A name in a script the font lacks shows as boxes.
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def png(figure: "Figure") -> bytes:
    """Return the figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI)
    return stream.getvalue()


def picture(figure: "Figure") -> dict[str, bytes]:
    """Return the figure as `{"png": …, "svg": …}`."""
    stream = io.BytesIO()
    figure.savefig(stream, format="svg", dpi=DPI, metadata={"Date": None})
    return {"png": png(figure), "svg": stream.getvalue()}


def short(name: str) -> str:
    """Return a name that fits beside an axis."""
    return name if len(name) <= LABEL_CHARACTERS else name[: LABEL_CHARACTERS - 1] + "…"


def hertz(value: float) -> str:
    """Return a frequency as it stands at an axis: 1500 as 1.5k."""
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def note(figure: "Figure", *lines: str) -> None:
    """Write small `lines` below a figure."""
    figure.supxlabel("\n".join(lines), fontsize=8, color="0.25")
