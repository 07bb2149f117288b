"""The inner loops of the sound library: seven small synthesis kernels that every sound shares.

Each one *adds* to a buffer `out` of shape (frames, channels), float32, C-contiguous, full scale 1. A `curve`
is a control signal of one or more points at `control_hz`, interpolated linearly and held beyond its ends (one
point is a constant). Noise comes from a xorshift64* generator (Vigna 2016) whose seed the caller draws.
Filters are trapezoidal state-variable filters (Zavalishin, "The Art of VA Filter Design", ch. 4). State does
not outlive a call.
"""

import math

import numpy as np
from numpy.typing import NDArray

from dsp.jit import device, kernel

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

STEP_FRAMES = 32
"""How often curves are read; between two readings a straight line is followed, sample by sample."""

TAIL_NEPERS = 9.2
BURST_NEPERS = 6.9
"""A decaying grain is followed for this many time constants: tones to -80 dB, noise to -60 dB."""

HIGHEST = 0.45
"""The highest frequency that is synthesised, as a fraction of the sample rate."""

FORGOTTEN = 1e-15
"""-300 dB: what is left of an attack is dropped here, long before it would become subnormal and slow."""

SHELF = 7.0
SHELF_HZ = 1200.0
"""Lift of the voice's source (+17 dB): five formants lack the higher ones, and a raised voice is bright."""

REFERENCE_HZ = 48_000.0
"""Noise has the same density per hertz at every rate: that of unit variance at this one."""


@device
def _at(curve: F64, position: float) -> float:
    if position <= 0.0:
        return float(curve[0])
    index = int(position)
    if index >= curve.size - 1:
        return float(curve[curve.size - 1])
    return float(curve[index] + (position - index) * (curve[index + 1] - curve[index]))


@device
def _next(state: np.uint64) -> np.uint64:
    state ^= state >> np.uint64(12)
    state ^= state << np.uint64(25)
    state ^= state >> np.uint64(27)
    return state


@device
def _uniform(state: np.uint64) -> float:
    bits = (state * np.uint64(2685821657736338717)) >> np.uint64(11)
    return float(np.int64(bits)) * 2.0**-52 - 1.0


@device
def _warp(freq_hz: float, rate_hz: float) -> float:
    return math.tan(math.pi * min(max(freq_hz, 1.0), HIGHEST * rate_hz) / rate_hz)


@kernel(
    "void(float32[:, ::1], int64, uint64, float64, float64, float64[::1], float64[::1], float64[::1],"
    " float64)"
)
def noise(
    out: F32,
    channel: int,
    seed: np.uint64,
    rate_hz: float,
    control_hz: float,
    low_hz: F64,
    high_hz: F64,
    gain: F64,
    q: float,
) -> None:
    """Band of noise between two moving corners.

        y = gain * lowpass(highpass(white, low_hz), high_hz), 12 dB per octave on each side
    Shapes    out (frames, channels), one channel of it is added to; curves low_hz, high_hz, gain (points,)
    Units     Hz; gain 1 without filters is unit variance at 48 kHz; q is that of both corners
    Source    Farnell, "Designing Sound" (2010), "Wind"
    """
    frames = out.shape[0]
    scale = math.sqrt(3.0 * rate_hz / REFERENCE_HZ)
    per_frame = control_hz / rate_hz
    k = 1.0 / q
    low = _warp(_at(low_hz, 0.0), rate_hz)
    high = _warp(_at(high_hz, 0.0), rate_hz)
    level = _at(gain, 0.0) * scale
    a1 = a2 = b1 = b2 = 0.0
    for begin in range(0, frames, STEP_FRAMES):
        count = min(STEP_FRAMES, frames - begin)
        position = (begin + count) * per_frame
        low_step = (_warp(_at(low_hz, position), rate_hz) - low) / count
        high_step = (_warp(_at(high_hz, position), rate_hz) - high) / count
        level_step = (_at(gain, position) * scale - level) / count
        for i in range(begin, begin + count):
            seed = _next(seed)
            low += low_step
            high += high_step
            level += level_step
            v0 = (_uniform(seed) - (low + k) * a1 - a2) / (1.0 + low * (low + k))
            v1 = a1 + low * v0
            v2 = a2 + low * v1
            a1 = v1 + low * v0
            a2 = v2 + low * v1
            w0 = (v0 - (high + k) * b1 - b2) / (1.0 + high * (high + k))
            w1 = b1 + high * w0
            w2 = b2 + high * w1
            b1 = w1 + high * w0
            b2 = w2 + high * w1
            out[i, channel] += level * w2


@kernel(
    "void(float32[:, ::1], float64, float64[::1], float64[::1], float64[::1], float64[::1], float64[::1],"
    " float64[:, ::1])"
)
def modes(
    out: F32,
    rate_hz: float,
    start_s: F64,
    freq_hz: F64,
    slope_per_s: F64,
    decay_s: F64,
    attack_s: F64,
    gain: F64,
) -> None:
    """Damped sinusoids, one per event, whose frequency may drift.

        y(t) = gain (exp(-t / decay) - exp(-t / attack)) sin(2 pi freq (t + slope t^2 / 2)),  t >= 0
    Shapes    out (frames, channels); events (count,); gain (count, channels)
    Units     s, Hz, slope relative to freq per second; attack 0 starts at full level (the sine still at 0)
    Not promised  events above 0.45 of the rate: they are left out
    Source    van den Doel, "Physically based models for liquid sounds" (2005), for the rising bubble
    """
    frames, channels = out.shape
    for event in range(start_s.size):
        freq = freq_hz[event]
        if freq >= HIGHEST * rate_hz:
            continue
        position = start_s[event] * rate_hz
        first = max(0, math.ceil(position))
        last = min(frames, first + int(TAIL_NEPERS * decay_s[event] * rate_hz) + 1)
        late = (first - position) / rate_hz
        omega = 2.0 * math.pi * freq / rate_hz
        bend = omega * slope_per_s[event] / rate_hz
        angle = omega * late * rate_hz
        re, im = math.cos(angle), math.sin(angle)
        turn_re, turn_im = math.cos(omega + 0.5 * bend), math.sin(omega + 0.5 * bend)
        bend_re, bend_im = math.cos(bend), math.sin(bend)
        fall = math.exp(-1.0 / (decay_s[event] * rate_hz))
        env = math.exp(-late / decay_s[event])
        rise = rest = 0.0
        if attack_s[event] > 0.0:
            rise = math.exp(-1.0 / (attack_s[event] * rate_hz))
            rest = math.exp(-late / attack_s[event])
        for i in range(first, last):
            y = (env - rest) * im
            for channel in range(channels):
                out[i, channel] += gain[event, channel] * y
            re, im = re * turn_re - im * turn_im, re * turn_im + im * turn_re
            turn_re, turn_im = turn_re * bend_re - turn_im * bend_im, turn_re * bend_im + turn_im * bend_re
            env *= fall
            rest = rest * rise if rest > FORGOTTEN else 0.0


@kernel(
    "void(float32[:, ::1], uint64, float64, float64[::1], float64[::1], float64[::1], float64[::1],"
    " float64[::1], float64[:, ::1])"
)
def bursts(
    out: F32,
    seed: np.uint64,
    rate_hz: float,
    start_s: F64,
    low_hz: F64,
    high_hz: F64,
    decay_s: F64,
    attack_s: F64,
    gain: F64,
) -> None:
    """Short bands of noise, one per event: drops, crackles, scuffs, claps.

        y(t) = gain bandpass((exp(-t / decay) - exp(-t / attack)) white), 12 dB per octave on each side
    Shapes    out (frames, channels); events (count,); gain (count, channels)
    Units     s, Hz; attack 0 starts at full level
    Source    Cook, "Physically informed sonic modeling (PhISM)" (1997): particle collisions
    """
    frames, channels = out.shape
    scale = math.sqrt(3.0 * rate_hz / REFERENCE_HZ)
    k = math.sqrt(2.0)
    for event in range(start_s.size):
        first = max(0, math.ceil(start_s[event] * rate_hz))
        last = min(frames, first + int(BURST_NEPERS * decay_s[event] * rate_hz) + 1)
        low = _warp(low_hz[event], rate_hz)
        high = _warp(high_hz[event], rate_hz)
        fall = math.exp(-1.0 / (decay_s[event] * rate_hz))
        env = scale
        rise = rest = 0.0
        if attack_s[event] > 0.0:
            rise = math.exp(-1.0 / (attack_s[event] * rate_hz))
            rest = scale
        low_div = 1.0 / (1.0 + low * (low + k))
        high_div = 1.0 / (1.0 + high * (high + k))
        a1 = a2 = b1 = b2 = 0.0
        for i in range(first, last):
            seed = _next(seed)
            v0 = ((env - rest) * _uniform(seed) - (low + k) * a1 - a2) * low_div
            v1 = a1 + low * v0
            v2 = a2 + low * v1
            a1 = v1 + low * v0
            a2 = v2 + low * v1
            w0 = (v0 - (high + k) * b1 - b2) * high_div
            w1 = b1 + high * w0
            w2 = b2 + high * w1
            b1 = w1 + high * w0
            b2 = w2 + high * w1
            for channel in range(channels):
                out[i, channel] += gain[event, channel] * w2
            env *= fall
            rest = rest * rise if rest > FORGOTTEN else 0.0


@kernel("void(float32[:, ::1], float64, float64, float64[::1], float64[::1], float64[::1], float64[::1])")
def tone(
    out: F32,
    rate_hz: float,
    control_hz: float,
    freq_hz: F64,
    gain: F64,
    partials: F64,
    channel_gain: F64,
) -> None:
    """Harmonic oscillator with moving frequency and level.

        y = gain sum_k partials[k - 1] sin(k phase),  phase' = 2 pi freq
    Shapes    out (frames, channels); curves freq_hz, gain (points,); partials (count,);
              channel_gain (channels,)
    Units     Hz, amplitude; starts at phase 0
    Not promised  partials above 0.45 of the rate: they are left out
    Source    Chebyshev recurrence sin((k + 1) a) = 2 cos(a) sin(k a) - sin((k - 1) a)
    """
    frames, channels = out.shape
    per_frame = control_hz / rate_hz
    freq = _at(freq_hz, 0.0) / rate_hz
    level = _at(gain, 0.0)
    phase = 0.0
    for begin in range(0, frames, STEP_FRAMES):
        count = min(STEP_FRAMES, frames - begin)
        position = (begin + count) * per_frame
        next_freq = _at(freq_hz, position) / rate_hz
        next_level = _at(gain, position)
        if level == 0.0 and next_level == 0.0:
            phase += 0.5 * (freq + next_freq) * count
        else:
            kept = min(partials.size, int(HIGHEST / max(freq, next_freq, 1e-9)))
            for i in range(count):
                part = (i + 1) / count
                phase += freq + part * (next_freq - freq)
                angle = 2.0 * math.pi * phase
                now, before, twice_cos = math.sin(angle), 0.0, 2.0 * math.cos(angle)
                total = 0.0
                for k in range(kept):
                    total += partials[k] * now
                    now, before = twice_cos * now - before, now
                total *= level + part * (next_level - level)
                for channel in range(channels):
                    out[begin + i, channel] += channel_gain[channel] * total
        freq, level = next_freq, next_level
        phase -= math.floor(phase)


@kernel(
    "void(float32[:, ::1], uint64, float64, float64, float64[::1], float64[::1], float64[::1],"
    " float64[:, ::1], float64[::1], float64[::1])"
)
def voice(
    out: F32,
    seed: np.uint64,
    rate_hz: float,
    control_hz: float,
    pitch_hz: F64,
    gain: F64,
    breath: F64,
    formant_hz: F64,
    bandwidth_hz: F64,
    channel_gain: F64,
) -> None:
    """Glottal pulses and breath noise through a cascade of moving formants.

        source = flow derivative 2 x - 3 x^2 over the open 60 % of a cycle, 1 % jitter, 10 % shimmer
        y = formant_n(... formant_1(gain shelf(source) + breath white)), shelf +17 dB above 1.2 kHz
    Shapes    out (frames, channels); curves pitch_hz, gain, breath (points,), formant_hz (formants, points);
              bandwidth_hz (formants,); channel_gain (channels,)
    Units     Hz, amplitude
    Source    Klatt & Klatt (1990), KLGLOTT88 source; Klatt (1980), cascade synthesiser
    """
    frames, channels = out.shape
    formants = bandwidth_hz.size
    scale = math.sqrt(3.0 * rate_hz / REFERENCE_HZ)
    per_frame = control_hz / rate_hz
    state = np.zeros((formants, 2))
    warp = np.empty(formants)
    damp = np.empty(formants)
    divide = np.empty(formants)
    level = _at(gain, 0.0)
    hiss = _at(breath, 0.0) * scale
    tilt = 1.0 - math.exp(-2.0 * math.pi * SHELF_HZ / rate_hz)
    phase = 0.0
    speed = shimmer = 1.0
    smooth = 0.0
    quiet_for = 0.0
    for begin in range(0, frames, STEP_FRAMES):
        count = min(STEP_FRAMES, frames - begin)
        position = (begin + count) * per_frame
        next_level = _at(gain, position)
        next_hiss = _at(breath, position) * scale
        if level == 0.0 and next_level == 0.0 and hiss == 0.0 and next_hiss == 0.0:
            quiet_for += count / rate_hz
        else:
            quiet_for = 0.0
        if quiet_for > 0.2:
            state[:] = 0.0
            continue
        level_step = (next_level - level) / count
        hiss_step = (next_hiss - hiss) / count
        increment = _at(pitch_hz, position) / rate_hz
        for f in range(formants):
            freq = _at(formant_hz[f], position)
            g = _warp(freq, rate_hz)
            warp[f] = g
            damp[f] = g + bandwidth_hz[f] / freq
            divide[f] = 1.0 / (1.0 + g * damp[f])
        for i in range(begin, begin + count):
            level += level_step
            hiss += hiss_step
            seed = _next(seed)
            white = _uniform(seed)
            phase += increment * speed
            if phase >= 1.0:
                phase -= 1.0
                speed = 1.0 + 0.01 * white
                shimmer = 1.0 + 0.1 * white
            x = phase / 0.6
            pulse = x * (2.0 - 3.0 * x) * shimmer if x < 1.0 else 0.0
            smooth += tilt * (pulse - smooth)
            y = level * (smooth + SHELF * (pulse - smooth)) + hiss * white
            for f in range(formants):
                v0 = (y - damp[f] * state[f, 0] - state[f, 1]) * divide[f]
                v1 = state[f, 0] + warp[f] * v0
                y = state[f, 1] + warp[f] * v1
                state[f, 0] = v1 + warp[f] * v0
                state[f, 1] = y + warp[f] * v1
            for channel in range(channels):
                out[i, channel] += channel_gain[channel] * y


@kernel("void(float32[:, ::1], float32[:, ::1], float64, float64, float64, float64, float64, float64)")
def pass_by(
    source: F32,
    out: F32,
    rate_hz: float,
    lead_s: float,
    middle_s: float,
    speed_m_s: float,
    aside_m: float,
    height_m: float,
) -> None:
    """Move a source along a straight road past the listener, with Doppler shift and ground reflection.

        out(t) = sum over paths of reflection * lowpass(source(t - r / c)) * aside / r
        r^2 = (speed (t - middle))^2 + aside^2 + (1.5 m -+ height)^2
    Shapes    source, out (frames, 1); source begins lead_s before out
    Units     s, m, m/s; the sound is at its own level where r == aside
    Not promised  r / c > lead_s: the source is held at its beginning
    Source    Smith, "Physical Audio Signal Processing", Doppler simulation; air as one pole falling with r
    """
    sound_m_s = 343.0
    ear_m = 1.5
    for path in range(2):
        rise_m = ear_m - height_m if path == 0 else ear_m + height_m
        reflection = 1.0 if path == 0 else 0.6
        smooth = 0.0
        for i in range(out.shape[0]):
            t = i / rate_hz
            along = speed_m_s * (t - middle_s)
            r = math.sqrt(along * along + aside_m * aside_m + rise_m * rise_m)
            position = max(0.0, (t + lead_s - r / sound_m_s) * rate_hz)
            at = min(int(position), source.shape[0] - 2)
            part = position - at
            y = source[at, 0] + part * (source[at + 1, 0] - source[at, 0])
            air = min(1.0, 2.0 * math.pi * (60_000.0 / (r + 1.0)) / rate_hz)
            smooth += air * (y - smooth)
            out[i, 0] += reflection * aside_m / r * smooth


@kernel("void(float32[:, ::1], float64, float64)")
def block_dc(out: F32, rate_hz: float, corner_hz: float) -> None:
    """High-pass every channel: second order, Butterworth.

    Shapes    out (frames, channels)
    Units     Hz
    In place  yes
    Source    Zavalishin, "The Art of VA Filter Design", ch. 4
    """
    k = math.sqrt(2.0)
    g = _warp(corner_hz, rate_hz)
    divide = 1.0 / (1.0 + g * (g + k))
    for channel in range(out.shape[1]):
        s1 = s2 = 0.0
        for i in range(out.shape[0]):
            v0 = (out[i, channel] - (g + k) * s1 - s2) * divide
            v1 = s1 + g * v0
            v2 = s2 + g * v1
            s1 = v1 + g * v0
            s2 = v2 + g * v1
            out[i, channel] = v0
