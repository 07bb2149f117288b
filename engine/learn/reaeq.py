"""The state of ReaEQ, Reaper's equaliser, as its projects keep it, and the curve of its bands."""

import binascii
import math
import struct
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsp.units import SILENCE_DB
from engine.errors import InputError, Problem
from engine.learn.rpp_text import Line

Floats = NDArray[np.float64]

KINDS = {
    0: "low shelf",
    1: "high shelf",
    2: "band",
    3: "low-pass",
    4: "high-pass",
    5: "all-pass",
    6: "notch",
    7: "band-pass",
    8: "band",
    9: "band",
}
"""What the numbers of a band's type mean."""

MAGIC = b"qeer"
BAND = struct.Struct("<iidddB")
"""Type, enabled, Hz, linear gain, bandwidth in octaves, one byte more: 33 bytes."""
HEAD = struct.Struct("<ii")
"""The size of a band, and how many there are."""
TAIL = struct.Struct("<iid")
"""Behind the bands: two numbers and the linear gain of the whole."""
PLUGIN_MAGICS = (0xFEED5EEE, 0xFEED5EEF)
MOST_PINS, MOST_BANDS, MOST_STATE_BYTES = 128, 200, 1 << 16
HZ, GAIN, OCTAVES = (1.0, 200_000.0), (0.0, 1e4), (0.0, 100.0)


@dataclass(frozen=True)
class Band:
    """One filter. `gain_db` counts for shelves and bands alone; -144 dB is a linear gain of 0."""

    kind: str
    enabled: bool
    hz: float
    gain_db: float
    octaves: float


@dataclass(frozen=True)
class ReaEq:
    """All bands in their order, and the gain behind them."""

    bands: tuple[Band, ...]
    gain_db: float

    def curve_db(self, at_hz: Floats, rate_hz: float) -> Floats:
        """Return the gain of the enabled bands and of the whole in dB, float64 `[n]`, at least -144.

        Not promised  Reaper's own curve: how it designs its filters is not published. These are the cookbook's of the
                      same type, frequency, gain and bandwidth, which differ most close to half the rate
        Source        Bristow-Johnson, Audio EQ Cookbook, with the bandwidth between half-gain points in octaves
        """
        z = np.exp(-2j * np.pi * np.minimum(np.asarray(at_hz, np.float64), rate_hz / 2.0) / rate_hz)
        made = np.full(len(z), self.gain_db)
        for band in self.bands:
            if band.enabled:
                made += _band_db(band, z, rate_hz)
        return np.asarray(np.maximum(made, SILENCE_DB), np.float64)


def read_reaeq(lines: Sequence[Line], file: str) -> ReaEq:
    """Return the bands in the lines of a plug-in's block: base64, each line by itself.

    Raises InputError naming the line for anything that is not the state of a ReaEQ.
    """
    if not lines:
        raise InputError(Problem("ReaEQ has no state", file=file))
    at = lines[0].number
    data = b"".join(_decoded(line, file) for line in lines)
    state = _state(data, file, at)
    if len(state) < HEAD.size:
        raise _wrong("its state is cut off", "", file, at)
    size, count = HEAD.unpack_from(state)
    if size != BAND.size:
        raise _wrong(f"its bands have {size} bytes", f"{BAND.size}", file, at)
    if not 0 <= count <= MOST_BANDS:
        raise _wrong(f"it has {count} bands", f"0 to {MOST_BANDS}", file, at)
    end = HEAD.size + count * BAND.size
    if len(state) < end:
        raise _wrong(f"its state is cut off: {count} bands", f"{end} bytes, not {len(state)}", file, at)
    bands = tuple(_band(BAND.unpack_from(state, HEAD.size + k * BAND.size), file, at) for k in range(count))
    gain = TAIL.unpack_from(state, end)[2] if len(state) >= end + TAIL.size else 1.0
    _check("gain", gain, GAIN, file, at)
    return ReaEq(bands, _to_db(gain))


def _decoded(line: Line, file: str) -> bytes:
    try:
        return b64decode(line.text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("its state is not base64", "letters, digits, + and /", file, line.number) from None


def _state(data: bytes, file: str, at: int) -> bytes:
    """Return the plug-in's own bytes out of what the host wraps around them: pins in, pins out, a length."""
    try:
        name, magic = struct.unpack_from("<4sI", data)
        if name != MAGIC or magic not in PLUGIN_MAGICS:
            raise _wrong("its state is that of another plug-in", "", file, at)
        place = 8
        for _ in range(2):
            (pins,) = struct.unpack_from("<I", data, place)
            if pins > MOST_PINS:
                raise _wrong(f"it has {pins} pins", f"at most {MOST_PINS}", file, at)
            place += 4 + 8 * pins
        (length,) = struct.unpack_from("<I", data, place)
    except struct.error:
        raise _wrong("its state is cut off", "", file, at) from None
    place += 12
    if length > MOST_STATE_BYTES or len(data) < place + length:
        raise _wrong(
            f"its state claims {length} bytes", f"the {max(0, len(data) - place)} there are", file, at
        )
    return data[place : place + length]


def _band(values: tuple[int, int, float, float, float, int], file: str, at: int) -> Band:
    kind, enabled, hz, gain, octaves, _ = values
    if kind not in KINDS:
        raise _wrong(f"a band has the type {kind}", "0 to 9", file, at)
    if enabled not in (0, 1):
        raise _wrong(f"a band is enabled by {enabled}", "0 or 1", file, at)
    _check("frequency", hz, HZ, file, at)
    _check("gain", gain, GAIN, file, at)
    _check("bandwidth", octaves, OCTAVES, file, at)
    return Band(KINDS[kind], bool(enabled), hz, _to_db(gain), octaves)


def _check(what: str, value: float, limits: tuple[float, float], file: str, at: int) -> None:
    if not limits[0] <= value <= limits[1]:
        raise _wrong(f"a {what} is {value:g}", f"{limits[0]:g} to {limits[1]:g}", file, at)


def _to_db(gain: float) -> float:
    return max(SILENCE_DB, 20.0 * math.log10(gain)) if gain > 0.0 else SILENCE_DB


def _wrong(what: str, allowed: str, file: str, line: int) -> InputError:
    return InputError(Problem(f"ReaEQ: {what}", allowed, file=file, line=line))


def _band_db(band: Band, z: NDArray[np.complex128], rate_hz: float) -> Floats:
    w = 2.0 * math.pi * min(band.hz, 0.49 * rate_hz) / rate_hz
    cos, sin = math.cos(w), math.sin(w)
    spread = min(0.5 * math.log(2.0) * max(band.octaves, 0.01) * w / sin, 20.0)
    alpha = sin * math.sinh(spread)
    root = 10.0 ** (band.gain_db / 40.0)
    b, a = _coefficients(band.kind, cos, alpha, root)
    top = np.abs(b[0] + z * (b[1] + z * b[2]))
    bottom = np.abs(a[0] + z * (a[1] + z * a[2]))
    return 20.0 * np.log10(np.maximum(top, 1e-12) / np.maximum(bottom, 1e-12))


def _coefficients(
    kind: str, cos: float, alpha: float, root: float
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return b and a of H(z) = (b0 + b1 z + b2 z²) / (a0 + a1 z + a2 z²), z = e^-jw; `root` is the root of the gain."""
    usual = (1.0 + alpha, -2.0 * cos, 1.0 - alpha)
    match kind:
        case "low-pass":
            return (0.5 * (1.0 - cos), 1.0 - cos, 0.5 * (1.0 - cos)), usual
        case "high-pass":
            return (0.5 * (1.0 + cos), -1.0 - cos, 0.5 * (1.0 + cos)), usual
        case "band-pass":
            return (alpha, 0.0, -alpha), usual
        case "notch":
            return (1.0, -2.0 * cos, 1.0), usual
        case "all-pass":
            return (1.0 - alpha, -2.0 * cos, 1.0 + alpha), usual
        case "band":
            return (
                (1.0 + alpha * root, -2.0 * cos, 1.0 - alpha * root),
                (1.0 + alpha / root, -2.0 * cos, 1.0 - alpha / root),
            )
    # A high shelf is a low shelf seen from the other end of the spectrum.
    sign = 1.0 if kind == "low shelf" else -1.0
    wide = 2.0 * math.sqrt(root) * alpha
    up, down, c = root + 1.0, root - 1.0, sign * cos
    return (
        (root * (up - down * c + wide), sign * 2.0 * root * (down - up * c), root * (up - down * c - wide)),
        (up + down * c + wide, -sign * 2.0 * (down + up * c), up + down * c - wide),
    )
