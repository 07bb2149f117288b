"""What is measured of the impulse responses of rooms: octave T30, echo density, correlation."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from dsp.fdn import Fdn
from dsp.octave_decay import room_times_s
from dsp.room_box import OCTAVES_HZ

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]


def fdn_of(rate_hz: int, size: float, damping: float) -> Fdn:
    """Return the network of a room, each channel at gain 1 of its own side."""
    network = Fdn(rate_hz)
    times_s = np.zeros(len(OCTAVES_HZ))
    room_times_s(size, damping, times_s)
    network.set_room(size, times_s, jump=True)
    network.set_gates(1.0, 0.0, True, jump=True)
    return network


def response(network: Fdn, seconds: float, frame: int = 0) -> Samples:
    """Return the tail (frames, 2) of a unit impulse in both inputs at the absolute `frame`."""
    x = np.zeros((round(seconds * network.rate_hz), 2), np.float32)
    y = np.empty_like(x)
    x[0] = 1.0
    network.process(x, y, frame)
    return y


def every_response(size: float, damping: float, rate_hz: int, seconds: float, times: int = 1) -> Samples:
    """Return the tails (frames, 32 times) of impulses into each of the lines alone, each begun at another time."""
    tails = []
    for run in range(16 * times):
        network = fdn_of(rate_hz, size, damping)
        alone = np.zeros_like(network._feed_gains)
        alone[run % 16] = network._feed_gains[run % 16]
        network._feed_gains = alone
        tails.append(response(network, seconds, round(1.37 * rate_hz * run)))
    return np.concatenate(tails, axis=1)


def t30_s(energy: Floats, rate_hz: int) -> float:
    """Return T30: twice the time from -5 to -35 dB of the backward-integrated energy (ISO 3382-1)."""
    left = np.cumsum(energy[::-1])[::-1]
    level_db = 10.0 * np.log10(left / left[0] + 1e-30)
    first, last = int(np.argmax(level_db < -5.0)), int(np.argmax(level_db < -35.0))
    slope = np.polyfit(np.arange(first, last) / rate_hz, level_db[first:last], 1)[0]
    return float(-60.0 / slope)


def octave_t30_s(tails: Samples, rate_hz: int) -> Floats:
    """Return the T30 of each octave (7,) of the energy of all columns of `tails` together."""
    times = []
    for centre_hz in OCTAVES_HZ:
        edges = [centre_hz / math.sqrt(2.0), centre_hz * math.sqrt(2.0)]
        sos = signal.butter(4, edges, "bandpass", fs=rate_hz, output="sos")
        band = signal.sosfilt(sos, tails.astype(np.float64), axis=0)
        times.append(t30_s((band**2).sum(axis=1), rate_hz))
    return np.array(times)


def echo_density(tail: Floats, rate_hz: int, at_s: float, window_s: float = 0.02) -> float:
    """Return the normalised echo density around `at_s` (Abel & Huang 2006): 1 is what Gaussian noise has."""
    middle, half = round(at_s * rate_hz), round(0.5 * window_s * rate_hz)
    part = tail[max(0, middle - half) : middle + half]
    outside = float(np.mean(np.abs(part) > np.sqrt(np.mean(part**2))))
    return outside / math.erfc(1.0 / math.sqrt(2.0))


def correlation(tails: Samples) -> float:
    """Return the correlation of both channels."""
    left, right = tails.astype(np.float64).T
    return float(left @ right / math.sqrt((left @ left) * (right @ right)))
