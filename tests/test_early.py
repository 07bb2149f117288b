"""Early reflections: where the image method says, from the right side, and changed without a bend in pitch."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, signal

from dsp.early import RAMP_MS, EarlyReflections
from dsp.early_design import (
    AIR_DB_M,
    LISTENER,
    REFLECTIONS,
    SOURCE,
    low_pass,
    reflections,
    wall_ratio,
)
from dsp.freeverb import room_size_to_rt60_s
from dsp.room_acoustics import damping_to_treble_ratio
from dsp.room_box import SPEED_OF_SOUND_M_S, dimensions_m, mean_absorption, mean_free_path_m

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]
RATE = 48_000


def mirrored(size: float) -> list[tuple[float, int, float]]:
    """Distance, reflections and sine of the direction of every image up to four walls deep, wall by wall."""
    room = np.array(dimensions_m(size))
    source, listener = room * SOURCE, room * LISTENER
    images = {tuple(np.round(source, 9)): 0}
    newest = [source]
    for depth in range(1, 5):
        found = []
        for image in newest:
            for axis in range(3):
                for wall in (0.0, room[axis]):
                    mirror = image.copy()
                    mirror[axis] = 2.0 * wall - image[axis]
                    if tuple(np.round(mirror, 9)) not in images:
                        images[tuple(np.round(mirror, 9))] = depth
                        found.append(mirror)
        newest = found
    to_source = math.atan2(source[1] - listener[1], source[0] - listener[0])
    answer = []
    for place, depth in images.items():
        way = np.array(place) - listener
        distance = float(np.linalg.norm(way))
        azimuth = to_source - math.atan2(way[1], way[0])  # to the right
        answer.append((distance, depth, math.sin(azimuth) * float(np.hypot(way[0], way[1])) / distance))
    return sorted(answer)


def expected(size: float, damping: float, frames: int, rate_hz: int) -> Floats:
    """The response (frames, 2) of the twelve reflections that come first."""
    images = mirrored(size)
    direct = images[0][0]
    alpha = mean_absorption(size)
    high = min(alpha / damping_to_treble_ratio(damping), 0.95)
    y = np.zeros((frames, 2))
    for distance, depth, sine in images[1 : 1 + REFLECTIONS]:
        start = round((distance - direct) / SPEED_OF_SOUND_M_S * rate_hz)
        gain = math.sqrt(1.0 - alpha) ** depth * direct / distance
        lost = (math.sqrt(1.0 - high) / math.sqrt(1.0 - alpha)) ** depth * 10 ** (
            -AIR_DB_M * (distance - direct) / 20
        )
        w = 2.0 * math.pi * 4000.0 / rate_hz
        a = optimize.brentq(
            lambda a, w=w, lost=lost: (1 - a) / abs(1 - a * np.exp(-1j * w)) - lost, 0.0, 0.99999
        )
        pulse = gain * (1.0 - a) * a ** np.arange(frames - start)
        angle = math.pi / 4.0 * (1.0 + sine)
        y[start:, 0] += math.cos(angle) * pulse
        y[start:, 1] += math.sin(angle) * pulse
    return y


def taps(rate_hz: int, size: float, damping: float, level_db: float = 0.0) -> EarlyReflections:
    early = EarlyReflections(rate_hz)
    early.set_room(size, damping, jump=True)
    early.set_level(level_db, jump=True)
    return early


@pytest.mark.parametrize("rate_hz", [44_100, 96_000])
@pytest.mark.parametrize(("size", "damping"), [(0.0, 0.0), (0.25, 1.0), (0.5, 0.5), (1.0, 0.2)])
def test_a_reflection_is_not_where_the_image_method_puts_it(
    rate_hz: int, size: float, damping: float
) -> None:
    """Every sample of the response within 1e-6 of that of images found by mirroring wall by wall."""
    frames = round(0.3 * rate_hz)
    x = np.zeros((frames, 2), np.float32)
    x[0] = 1.0
    y = np.empty_like(x)
    taps(rate_hz, size, damping).process(x, y)
    np.testing.assert_allclose(y, expected(size, damping, frames, rate_hz), atol=1e-6)


def test_the_room_is_not_the_one_that_has_this_reverberation_time() -> None:
    """Sabine's time of the box within 1 % of the size's; 2.7 m high at size 0 and 22 m at size 1."""
    for size in (0.0, 0.3, 1.0):
        a, b, c = dimensions_m(size)
        surface = 2.0 * (a * b + b * c + a * c)
        sabine_s = 0.161 * a * b * c / (mean_absorption(size) * surface)
        assert sabine_s == pytest.approx(room_size_to_rt60_s(size), rel=0.01)
        assert mean_free_path_m(size) == pytest.approx(4.0 * a * b * c / surface)
    assert dimensions_m(0.0)[2] == pytest.approx(2.65, abs=0.01)
    assert dimensions_m(1.0)[2] == pytest.approx(21.8, abs=0.1)


def test_reflections_all_come_from_one_side_or_before_the_direct_sound() -> None:
    found = reflections(0.5)
    assert (found.delays_s > 0.0).all()
    assert (np.diff(found.delays_s) >= 0.0).all()
    assert found.lateral.min() < -0.3
    assert found.lateral.max() > 0.3


@pytest.mark.parametrize("ratio", [1.0, 0.9, 0.3, 0.01])
def test_a_low_pass_takes_what_was_not_asked(ratio: float) -> None:
    """Measured at 4 kHz on its impulse response, within 0.01 dB; 1 at 0 Hz."""
    a = low_pass(ratio, 4000.0, RATE)
    _, h = signal.freqz([1.0 - a], [1.0, -a], worN=[0.0, 4000.0], fs=RATE)
    assert 20.0 * np.log10(np.abs(h)) == pytest.approx([0.0, 20.0 * np.log10(ratio)], abs=0.01)


def test_damped_walls_reflect_more_of_the_high_frequencies() -> None:
    ratios = [wall_ratio(0.5, damping) for damping in np.linspace(0.0, 1.0, 11)]
    assert ratios[0] == 1.0
    assert (np.diff(ratios) < 0.0).all()


def noise(frames: int) -> Samples:
    return (0.1 * np.random.default_rng(2).standard_normal((frames, 2))).astype(np.float32)


def test_the_lengths_of_blocks_change_a_sample() -> None:
    """Bit for bit, with rooms that change while one fades into the next."""
    changes = {700: (0.9, 0.1, 0.0), 1000: (0.2, 1.0, -6.0), 1300: (0.6, 0.5, 3.0), 4100: (0.0, 0.0, -200.0)}
    frames, x = 8000, noise(8000)

    def run(block: int | None) -> Samples:
        early, rng = taps(RATE, 0.4, 0.4), np.random.default_rng(3)
        y, at = np.empty_like(x), 0
        while at < frames:
            if at in changes:
                early.set_room(*changes[at][:2])
                early.set_level(changes[at][2])
            stop = min([at + (block or int(rng.integers(1, 500))), frames, *(c for c in changes if c > at)])
            early.process(x[at:stop], y[at:stop])
            at = stop
        return y

    whole = run(frames)
    for block in (1, 17, 128, 441, None):
        assert run(block).tobytes() == whole.tobytes()


def test_a_change_of_the_room_bends_the_pitch() -> None:
    """1 kHz through a change of size: what is 200 Hz or more away stays below -60 dB, as in the sum of two fades."""
    early = taps(RATE, 0.2, 0.0)
    x = np.repeat(np.sin(2.0 * np.pi * 1000.0 / RATE * np.arange(24_000))[:, None], 2, axis=1).astype(
        np.float32
    )
    y = np.empty_like(x)
    early.process(x[:12_000], y[:12_000])
    early.set_room(0.8, 0.0)
    early.process(x[12_000:], y[12_000:])
    part = y[9000:16_000, 0].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(part * signal.windows.blackmanharris(len(part))))
    away = np.abs(np.fft.rfftfreq(len(part), 1.0 / RATE) - 1000.0) > 200.0
    assert 20.0 * np.log10(spectrum[away].max() / spectrum.max()) < -60.0


def test_something_of_the_old_room_is_left_after_the_fade() -> None:
    """From the first frame behind it every sample is within 1e-6 of that of a room which was the new one all along."""
    changed, always, x = taps(RATE, 0.2, 0.0), taps(RATE, 0.7, 1.0), noise(20_000)
    y, wanted = np.empty_like(x), np.empty_like(x)
    always.process(x, wanted)
    changed.process(x[:12_000], y[:12_000])
    changed.set_room(0.7, 1.0)
    changed.process(x[12_000:], y[12_000:])
    behind = 12_000 + round(RAMP_MS * RATE / 1000)
    np.testing.assert_allclose(y[behind:], wanted[behind:], atol=1e-6)
    assert np.abs(y[11_000:12_000] - wanted[11_000:12_000]).max() > 0.01


def test_reflections_that_are_off_are_heard() -> None:
    y = np.ones((4000, 2), np.float32)
    taps(RATE, 0.5, 0.5, -200.0).process(noise(4000), y)
    assert not y.any()
