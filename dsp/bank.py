"""Energy of every track in 25 critical bands, smoothed as the ear smooths it."""

import math

import numpy as np
import numpy.typing as npt

from dsp.bark import BANDS, EDGES_HZ, time_constants_s, usable_bands
from dsp.jit import kernel
from dsp.svf import bandpass_sections, feedback

NOISE_BANDWIDTH = math.pi / (2.0 * math.sqrt(2.0))
"""Noise bandwidth of an order-2 Butterworth band-pass over its -3 dB width (1.1107): dividing by it makes the
energy of noise read true; a tone at a band's centre reads 0.456 dB low."""
ENERGY_FLOOR = 1e-20
"""-200 dB: smoothed energies stop falling here, so that no logarithm or division meets 0 or a denormal."""
RING_OUT_S = 1.0
"""After this much silence the slowest band has decayed by more than 1000 dB and the filters may rest."""
LANES = 128
"""Lanes per inner loop that keep both the vector unit and the first-level cache busy."""

LIMIT = np.float32(1e6)  # +120 dBFS: a larger sample is a fault, and its square sums could overflow
HALF = np.float32(0.5)
ZERO = np.float32(0.0)
BIAS = np.float32(1e-11)  # -220 dB


@kernel(
    "void(float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float64[::1], float64[::1],"
    " float64, int64, int64, int64[::1], float64[:, ::1])"
)
def measure_bands(
    x: npt.NDArray[np.float32],
    tiled: npt.NDArray[np.float32],
    coefs: npt.NDArray[np.float32],
    state: npt.NDArray[np.float32],
    scale: npt.NDArray[np.float64],
    tau_s: npt.NDArray[np.float64],
    rate_hz: float,
    usable: int,
    group: int,
    silent: npt.NDArray[np.int64],
    energy: npt.NDArray[np.float64],
) -> None:
    """Filter the mono sum of each track into bands and smooth the mean squares.

    Es = a Es + (1 - a) gain^2 mean(v^2) / 1.1107, a = exp(-n / (fs tau)), n the frames of this very call

    Shapes    x (n, 2 T) lanes L0..LT-1 R0..RT-1; tiled (>= n, group T) scratch; coefs (4, 25 T) g1 a1 g2 a2;
              state (5, 25 T) two integrators per section, then the sum of squares; scale, tau_s (25);
              silent (1) frames of silence so far; energy (25, T)
    Units     amplitude, full scale 1.0; energy is a mean square; tau in seconds
    State     state, silent, energy; zeros (energy: `ENERGY_FLOOR`) mean silence
    Lanes     a lane is one band of one track; `group` bands share a loop, so that few tracks fill vectors too
    Mono      (L + R) / 2: a source in the middle reads as in either channel, which is what the calibration to
              sound pressure means; what is in opposite phase is lost
    Guards    a sum that is not finite or beyond +120 dBFS counts as 0. BIAS (-220 dB) is added to each v1;
              the second integrator cancels it, but rounding then keeps states on multiples of 1e-18, so
              neither they nor their squares are ever denormal
    Source    section: `dsp.svf`; smoothing: ITU-R BS.1387-1
    """
    frames = x.shape[0]
    tracks = energy.shape[1]
    heard = False
    for i in range(frames):
        left, right, row = x[i, :tracks], x[i, tracks:], tiled[i]
        for t in range(tracks):
            mono = HALF * (left[t] + right[t])
            mono = mono if abs(mono) <= LIMIT else ZERO
            heard = heard or mono != ZERO
            row[t] = mono
        for c in range(1, group):
            copy = row[c * tracks : (c + 1) * tracks]
            for t in range(tracks):
                copy[t] = row[t]
    silent[0] = 0 if heard else silent[0] + frames
    resting = silent[0] > RING_OUT_S * rate_hz

    squares = state[4]
    squares[:] = ZERO
    if not resting:
        for first in range(0, usable, group):
            start, stop = first * tracks, min(first + group, usable) * tracks
            g1, a1 = coefs[0, start:stop], coefs[1, start:stop]
            g2, a2 = coefs[2, start:stop], coefs[3, start:stop]
            p1, p2 = state[0, start:stop], state[1, start:stop]
            q1, q2 = state[2, start:stop], state[3, start:stop]
            total = squares[start:stop]
            for i in range(frames):
                row = tiled[i]
                for lane in range(stop - start):
                    s1, s2 = p1[lane], p2[lane]
                    v1 = a1[lane] * (s1 + g1[lane] * (row[lane] - s2)) + BIAS
                    v2 = s2 + g1[lane] * v1
                    p1[lane] = v1 + v1 - s1
                    p2[lane] = v2 + v2 - s2
                    s1, s2 = q1[lane], q2[lane]
                    w1 = a2[lane] * (s1 + g2[lane] * (v1 - s2)) + BIAS
                    w2 = s2 + g2[lane] * w1
                    q1[lane] = w1 + w1 - s1
                    q2[lane] = w2 + w2 - s2
                    total[lane] += w1 * w1

    for b in range(usable):
        a = math.exp(-frames / (rate_hz * tau_s[b]))
        weight = (1.0 - a) * scale[b] / max(frames, 1)
        level = energy[b]
        total = squares[b * tracks : (b + 1) * tracks]
        for t in range(tracks):
            level[t] = max(a * level[t] + weight * total[t], ENERGY_FLOOR)


class BarkBank:
    """The 25 smoothed band energies of a bank of tracks; bands that do not fit the rate stay at the floor."""

    def __init__(self, tracks: int, rate_hz: int, quantum_frames: int) -> None:
        # set once
        self.tracks = tracks
        self.rate_hz = rate_hz
        self.usable = usable_bands(rate_hz)
        self._group = math.ceil(BANDS / max(1, round(BANDS * tracks / LANES)))
        self._coefs = np.zeros((4, BANDS * tracks), np.float32)
        self._scale = np.zeros(BANDS)
        self._tau_s = time_constants_s()
        for band in range(self.usable):
            first, second, gain = bandpass_sections(EDGES_HZ[band], EDGES_HZ[band + 1], rate_hz)
            lanes = slice(band * tracks, (band + 1) * tracks)
            for row, (g, k) in ((0, first), (2, second)):
                self._coefs[row, lanes] = g
                self._coefs[row + 1, lanes] = feedback(g, k)
            self._scale[band] = gain * gain / NOISE_BANDWIDTH
        # render thread only
        self._tiled = np.zeros((quantum_frames, self._group * tracks), np.float32)
        self._state = np.zeros((5, BANDS * tracks), np.float32)
        self._silent = np.zeros(1, np.int64)
        # shared
        self.energy = np.full((BANDS, tracks), ENERGY_FLOOR)
        """float64[25, T], mean square of each track's mono sum in each band, smoothed."""

    def process(self, x: npt.NDArray[np.float32]) -> None:
        """Take in float32[n, 2 T], n at most the quantum, and update `energy`."""
        measure_bands(
            x,
            self._tiled,
            self._coefs,
            self._state,
            self._scale,
            self._tau_s,
            self.rate_hz,
            self.usable,
            self._group,
            self._silent,
            self.energy,
        )

    def reset(self) -> None:
        """Return to silence."""
        self._state.fill(0.0)
        self._silent.fill(0)
        self.energy.fill(ENERGY_FLOOR)

    def adopt(self, old: "BarkBank", mapping: npt.NDArray[np.int64]) -> None:
        """Continue with the state of old track mapping[i] in track i; -1 leaves track i as it is."""
        kept = mapping >= 0
        mine = self._state.reshape(5, BANDS, self.tracks)
        mine[:, :, kept] = old._state.reshape(5, BANDS, old.tracks)[:, :, mapping[kept]]
        self.energy[:, kept] = old.energy[:, mapping[kept]]
        self._silent.fill(0)
