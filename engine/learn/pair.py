"""A raw and a mixed recording of the same sound, brought together: rate, lag, polarity, level; or refused."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dsp.stft import hann
from engine.errors import InputError, Problem
from engine.learn.bands import fast_length
from engine.media.decode import resample

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

WORKING_HZ = 44_100.0
KEPT_HZ = (32_000.0, 50_000.0)
"""Two sounds of one rate in this range are taken as they are."""

MOST_LAG_S = 0.050
SEARCH_S = 5.0
LEAST_S = 0.25
LEAST_COHERENCE = 0.5
HEARD_RMS = 1e-4
"""-80 dBFS."""
MOST_S = 30.0
"""Of a longer pair the loudest stretch of this length is looked at."""
CLIPPED, SAME = 0.98, 1e-6
CLIPS = 4
"""So many frames with the highest value of their channel, near full scale or above, are clipped."""
SEGMENTS = 16
HEARD_RANGE_DB = 40.0


@dataclass(frozen=True)
class Pair:
    """Both sounds, float32 `[frames, channels]` each, aligned, of one rate and length and the same channels.

    lag_s        how far the mixed sound was behind
    inverted     whether its polarity was the other one; here it is not
    coherence    0 to 1, the mean over frequency, weighted by level
    usable       bool `[frames]`, False where the mixed sound is clipped
    start_s      where in the raw sound it begins
    """

    raw: Samples
    mixed: Samples
    rate_hz: float
    lag_s: float
    inverted: bool
    coherence: float
    usable: NDArray[np.bool_]
    start_s: float
    notes: tuple[str, ...]

    def shifted(self, frames: int) -> "Pair":
        """Return the pair with the mixed sound taken to be so many frames further behind."""
        late, early = max(frames, 0), max(-frames, 0)
        count = len(self.raw) - abs(frames)
        return replace(
            self,
            raw=np.ascontiguousarray(self.raw[early : early + count]),
            mixed=np.ascontiguousarray(self.mixed[late : late + count]),
            usable=self.usable[late : late + count],
            lag_s=self.lag_s + frames / self.rate_hz,
        )


def make_pair(raw: Samples, raw_hz: float, mixed: Samples, mixed_hz: float) -> Pair:
    """Bring two sounds `[frames, 1 or 2]` together.

    Raises InputError if they do not belong together: silent, shorter than 0.25 s, a lag above 50 ms, or a coherence
    below 0.5.
    """
    notes: list[str] = []
    for name, samples in (("raw", raw), ("mixed", mixed)):
        if samples.ndim != 2 or samples.shape[1] not in (1, 2) or not np.isfinite(samples).all():
            raise InputError(Problem("is not a finite sound of one or two channels", field=name))
    usable = ~clipped(mixed)
    rate_hz = raw_hz if raw_hz == mixed_hz and KEPT_HZ[0] <= raw_hz <= KEPT_HZ[1] else WORKING_HZ
    if raw_hz != rate_hz or mixed_hz != rate_hz:
        notes.append(f"resampled: {raw_hz:g} Hz and {mixed_hz:g} Hz to {rate_hz:g} Hz")
    share = 1.0 - float(usable.mean())
    if share > 0.0:
        notes.append(f"{100.0 * share:.2g} % of the mixed sound is clipped and not judged")
    usable = _at_rate(usable, mixed_hz, rate_hz)
    raw, mixed = resample(raw, raw_hz, rate_hz), resample(mixed, mixed_hz, rate_hz)
    usable = np.resize(usable, len(mixed))
    for name, samples in (("raw", raw), ("mixed", mixed)):
        if len(samples) < LEAST_S * rate_hz:
            raise InputError(Problem("is too short to be compared", f"at least {LEAST_S:g} s", name))
        if float(np.sqrt(np.mean(np.square(samples)))) < HEARD_RMS:
            raise InputError(Problem("is silent", "a sound above -80 dBFS RMS", name))
    raw, mixed = _same_channels(raw, mixed, notes)
    lag = find_lag(raw, mixed, rate_hz)
    if abs(lag) > MOST_LAG_S * rate_hz:
        late, early = mixed[max(lag, 0) :], raw[max(-lag, 0) :]
        frames = min(len(late), len(early))
        if frames < LEAST_S * rate_hz or coherence(early[:frames], late[:frames]) < LEAST_COHERENCE:
            raise InputError(
                Problem(
                    "raw and mixed do not belong together",
                    "two versions of one recording, from the same start",
                )
            )
        raise InputError(
            Problem(
                f"the mixed sound is {1000.0 * lag / rate_hz:+.0f} ms from the raw one",
                f"at most {1000.0 * MOST_LAG_S:g} ms, from the same start",
            )
        )
    mixed, usable = mixed[max(lag, 0) :], usable[max(lag, 0) :]
    raw = raw[max(-lag, 0) :]
    frames = min(len(raw), len(mixed))
    if max(len(raw), len(mixed)) - frames > MOST_LAG_S * rate_hz:
        notes.append(f"compared over the {frames / rate_hz:.2f} s both have")
    if frames < LEAST_S * rate_hz:
        raise InputError(Problem("too little is left to compare", f"at least {LEAST_S:g} s"))
    start = _loudest(raw[:frames], round(MOST_S * rate_hz))
    window = slice(start, min(frames, start + round(MOST_S * rate_hz)))
    if window.stop - window.start < frames:
        notes.append(f"looked at {MOST_S:g} s from {start / rate_hz:.1f} s on, the loudest")
    raw, mixed, usable = raw[window], mixed[window], usable[window]
    value = coherence(raw, mixed)
    if value < LEAST_COHERENCE:
        raise InputError(
            Problem(
                f"raw and mixed do not belong together (coherence {value:.2f})",
                f"at least {LEAST_COHERENCE:g}: two versions of one recording",
            )
        )
    inverted = _inverted(raw, mixed)
    if inverted:
        notes.append("the polarity of the mixed sound is inverted")
        mixed = -mixed
    return Pair(
        np.ascontiguousarray(raw, np.float32),
        np.ascontiguousarray(mixed, np.float32),
        rate_hz,
        lag / rate_hz,
        inverted,
        value,
        usable,
        start / rate_hz,
        tuple(notes),
    )


def clipped(samples: Samples) -> NDArray[np.bool_]:
    """Return bool `[frames]`: where a channel is at a highest value near full scale that it has at least four times."""
    made = np.zeros(len(samples), bool)
    for channel in np.abs(samples).T:
        ceiling = float(channel.max(initial=0.0))
        at = channel >= ceiling - SAME
        if ceiling >= CLIPPED and np.count_nonzero(at) >= CLIPS:
            made |= at
    return made


def _at_rate(usable: NDArray[np.bool_], from_hz: float, to_hz: float) -> NDArray[np.bool_]:
    if from_hz == to_hz:
        return usable
    at = np.minimum(
        (np.arange(int(len(usable) * to_hz / from_hz) + 2) * from_hz / to_hz).astype(int), len(usable) - 1
    )
    return np.asarray(usable[at])


def _same_channels(raw: Samples, mixed: Samples, notes: list[str]) -> tuple[Samples, Samples]:
    if raw.shape[1] == mixed.shape[1]:
        return raw, mixed
    if raw.shape[1] == 1:
        notes.append("the raw sound is mono and went to both sides")
        return np.repeat(raw, 2, axis=1), mixed
    notes.append("the mixed sound is mono: the raw one was taken as the mean of its sides")
    return raw.mean(axis=1, keepdims=True), mixed


def find_lag(raw: Samples, mixed: Samples, rate_hz: float) -> int:
    """Return by how many frames the mixed sound is behind the raw one, up to 5 s either way.

    Source    Knapp & Carter 1976: generalised cross-correlation with phase transform, over the bins within 60 dB of
              the loudest
    """
    x, y = raw.astype(np.float64), mixed.astype(np.float64)
    length = fast_length(len(x) + len(y))
    a, b = np.fft.rfft(x, length, axis=0), np.fft.rfft(y, length, axis=0)
    cross = (np.conj(a) * b).sum(axis=1)
    size = np.abs(cross)
    cross = np.where(size > 1e-6 * size.max(), cross / np.maximum(size, 1e-300), 0.0)
    found = np.abs(np.fft.irfft(cross, length))
    most = min(round(SEARCH_S * rate_hz), length // 2 - 1)
    near = np.concatenate([found[-most:], found[: most + 1]])
    return int(np.argmax(near)) - most


def coherence(raw: Samples, mixed: Samples) -> float:
    """Return the magnitude-squared coherence, 0 to 1, mean over frequency weighted by the level of both.

    Source    Welch's estimate, Hann segments of up to 4096 frames overlapped by half
    """
    length = 4096
    while length > 64 and 2 * (len(raw) // length) - 1 < SEGMENTS:
        length //= 2
    window = hann(length).astype(np.float32)
    step = length // 2
    total, weight = 0.0, 0.0
    for x, y in zip(raw.T, mixed.T, strict=True):
        a = np.fft.rfft(sliding_window_view(x, length)[::step] * window).astype(np.complex128)
        b = np.fft.rfft(sliding_window_view(y, length)[::step] * window).astype(np.complex128)
        # A compressor's gain is another one in every segment: each is brought to the same level.
        sizes = [np.linalg.norm(s, axis=1) for s in (a, b)]
        heard = np.logical_and(*(size > 10.0 ** (-HEARD_RANGE_DB / 20.0) * size.max() for size in sizes))
        if heard.sum() < 2:
            continue
        a, b = (s[heard] / size[heard, None] for s, size in zip((a, b), sizes, strict=True))
        pa, pb = (np.abs(a) ** 2).mean(axis=0), (np.abs(b) ** 2).mean(axis=0)
        shared = np.abs((np.conj(a) * b).mean(axis=0)) ** 2
        level = np.sqrt(pa * pb)
        total += float((shared / np.maximum(pa * pb, 1e-30) * level).sum())
        weight += float(level.sum())
    return min(1.0, total / weight) if weight > 0.0 else 0.0


def _loudest(samples: Samples, frames: int) -> int:
    if len(samples) <= frames:
        return 0
    power = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64).sum(axis=1))))
    return int(np.argmax(power[frames:] - power[:-frames]))


def _inverted(raw: Samples, mixed: Samples) -> bool:
    return bool(np.einsum("nc,nc->", raw.astype(np.float64), mixed.astype(np.float64)) < 0.0)
