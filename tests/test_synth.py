"""The built-in sounds: reproducible, level at every rate and length, and like what they are named after.

What a sound should show is measured here with numpy and scipy alone, on the finished samples.
"""

import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from dsp.synth import SOUNDS, find, synthesise

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

RATE_HZ = 44_100
TEXTURES = sorted(name for name, sound in SOUNDS.items() if sound.texture)
EVENTS = sorted(name for name, sound in SOUNDS.items() if not sound.texture)


@cache
def heard(name: str, duration_s: float | None = None, seed: int = 3, rate_hz: int = RATE_HZ) -> F64:
    """Return a sound as the mean of its channels, never to be written to."""
    out = synthesise(name, rate_hz=rate_hz, seed=seed, duration_s=duration_s)
    mono: F64 = out.mean(axis=1, dtype=np.float64)
    return mono


def share(mono: F64, low_hz: float, high_hz: float) -> float:
    """Return the part (0..1) of the energy that lies between two frequencies."""
    power = np.abs(np.fft.rfft(mono)) ** 2
    freq_hz = np.fft.rfftfreq(mono.size, 1.0 / RATE_HZ)
    return float(power[(freq_hz >= low_hz) & (freq_hz < high_hz)].sum() / power.sum())


def envelope(mono: F64, points_per_s: int) -> F64:
    """Return the RMS of successive slices, `points_per_s` of them in a second."""
    size = RATE_HZ // points_per_s
    slices = mono[: mono.size // size * size].reshape(-1, size)
    rms: F64 = np.sqrt(np.mean(slices**2, axis=1))
    return rms


def modulation_peak_hz(mono: F64, low_hz: float, high_hz: float, *, per_octave: bool = False) -> float:
    """Return the strongest modulation frequency of the envelope between two limits, per hertz or per octave."""
    level = envelope(mono, 210)
    freq_hz, power = signal.welch(level - level.mean(), 210.0, nperseg=min(level.size, 1024))
    weighted = power * freq_hz if per_octave else power
    inside = (freq_hz >= low_hz) & (freq_hz <= high_hz)
    return float(freq_hz[inside][np.argmax(weighted[inside])])


def onsets_s(mono: F64, threshold: float, dead_s: float) -> F64:
    """Return when |mono| first passes `threshold` times its peak, at most once every `dead_s`."""
    over = np.flatnonzero(np.abs(mono) > threshold * np.abs(mono).max()) / RATE_HZ
    found: list[float] = []
    for at_s in over:
        if not found or at_s - found[-1] > dead_s:
            found.append(float(at_s))
    return np.array(found)


def digest(name: str, seed: int) -> str:
    return hashlib.sha256(synthesise(name, rate_hz=22_050, seed=seed, duration_s=0.5).tobytes()).hexdigest()


def test_the_library_has_every_promised_sound() -> None:
    promised = "rain wind stream sea fire thunder engine car footsteps babble bird crickets bell clock door"
    assert set(promised.split()) <= set(SOUNDS)
    for name, sound in SOUNDS.items():
        assert sound.name == name
        assert sound.about
        assert 0.05 <= sound.nominal_s <= 600.0
        assert all(alias == alias.lower() for alias in sound.names)


def test_no_label_means_two_sounds() -> None:
    claimed: dict[str, str] = {}
    for name, sound in SOUNDS.items():
        for label in (name, *sound.names):
            assert claimed.setdefault(label, name) == name
            assert find(label) is sound


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Automobile", "car"),
        ("traffic", "car"),
        ("CARS", "car"),
        ("church_bells", "bell"),
        ("Church Bell", "bell"),
        ("sea-waves", "sea"),
        ("beaches", "sea"),
        ("Leaf", "leaves"),
        ("cricket", "crickets"),
        ("foot step", "footsteps"),
        ("motorcycles", "engine"),
        ("people", "babble"),
        ("bonfires", "fire"),
    ],
)
def test_a_label_finds_its_sound_however_it_is_written(label: str, name: str) -> None:
    found = find(label)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("label", ["", "s", "xylophone", "carpet", "scar"])
def test_a_label_that_names_no_sound_finds_none(label: str) -> None:
    assert find(label) is None


def test_an_unknown_name_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(ValueError, match=r"no sound is called 'thunderr'.*thunder"):
        synthesise("thunderr", rate_hz=RATE_HZ, seed=0)


@pytest.mark.parametrize("duration_s", [0.049, 600.1, 0.0, -1.0, float("nan"), float("inf")])
def test_a_duration_out_of_range_is_refused(duration_s: float) -> None:
    with pytest.raises(ValueError, match=r"duration_s must be 0\.05 to 600"):
        synthesise("rain", rate_hz=RATE_HZ, seed=0, duration_s=duration_s)


@pytest.mark.parametrize("rate_hz", [22_049, 192_001, 0, -44_100])
def test_a_rate_out_of_range_is_refused(rate_hz: int) -> None:
    with pytest.raises(ValueError, match="rate_hz must be 22050 to 192000"):
        synthesise("rain", rate_hz=rate_hz, seed=0)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be 0 or more"):
        synthesise("rain", rate_hz=RATE_HZ, seed=-1)


def test_a_synonym_gives_the_same_bytes_as_the_name() -> None:
    by_name = synthesise("car", rate_hz=RATE_HZ, seed=5, duration_s=0.5)
    np.testing.assert_array_equal(synthesise("Automobiles", rate_hz=RATE_HZ, seed=5, duration_s=0.5), by_name)


def test_a_fresh_process_gives_the_same_bytes() -> None:
    code = (
        "import hashlib; from dsp.synth import SOUNDS, synthesise\n"
        "for n in sorted(SOUNDS):\n"
        "    x = synthesise(n, rate_hz=22050, seed=7, duration_s=0.5)\n"
        "    print(hashlib.sha256(x.tobytes()).hexdigest())"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [digest(name, 7) for name in sorted(SOUNDS)]


@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_another_seed_is_another_take(name: str) -> None:
    assert len({digest(name, seed) for seed in range(4)}) == 4


def test_two_sounds_of_one_seed_share_no_random_numbers() -> None:
    rain = heard("rain", 2.0)
    wind = heard("wind", 2.0)
    assert abs(np.corrcoef(rain, wind)[0, 1]) < 0.05


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_level_and_shape_hold_at_every_rate_and_odd_length(name: str, rate_hz: int) -> None:
    """Peak -3 dBFS within 0.01 dB, mean below -80 dBFS, finite, no subnormals; events 0 at both ends."""
    for duration_s in (0.05, 0.77777):
        out: F32 = synthesise(name, rate_hz=rate_hz, seed=1, duration_s=duration_s)
        assert out.dtype == np.float32
        assert out.flags.c_contiguous
        assert out.shape[0] == round(duration_s * rate_hz)
        assert out.shape[1] in (1, 2)
        assert np.isfinite(out).all()
        size = np.abs(out)
        assert abs(20.0 * np.log10(float(size.max())) + 3.0) < 0.01
        assert np.abs(out.mean(axis=0, dtype=np.float64)).max() < 1e-4
        assert not ((size > 0.0) & (size < np.finfo(np.float32).tiny)).any()
        if not SOUNDS[name].texture:
            assert size[0].max() < 1e-4
            assert size[-round(0.01 * rate_hz) :].max() < 10.0 ** (-53.0 / 20.0)


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_not_cut_off_at_its_natural_length(name: str) -> None:
    """The 100 ms before the last 10 ms are at least 20 dB below the loudest 100 ms."""
    mono = heard(name)[: -RATE_HZ // 100]
    level = envelope(mono[mono.size % (RATE_HZ // 10) :], 10)
    assert 20.0 * np.log10(level[-1] / level.max() + 1e-12) < -20.0


@pytest.mark.parametrize("name", TEXTURES)
def test_a_texture_is_as_loud_at_its_end_as_at_its_beginning(name: str) -> None:
    """First against last third of a minute within 3 dB; the gusts of wind and leaves within 6 dB."""
    mono = heard(name, 60.0, rate_hz=22_050)
    third = mono.size // 3
    ratio_db = 20.0 * np.log10(np.std(mono[:third]) / np.std(mono[-third:]))
    assert abs(ratio_db) < (6.0 if name in ("wind", "leaves") else 3.0)


@pytest.mark.parametrize("name", sorted(set(TEXTURES) - {"keyboard", "crickets"}))
def test_a_texture_has_no_fade_at_either_end(name: str) -> None:
    """The first and the last 20 ms of 16 takes together are within 6 dB of the whole."""
    takes = np.stack([heard(name, 0.5, seed) for seed in range(16)])
    size = RATE_HZ // 50
    for end in (takes[:, :size], takes[:, -size:]):
        assert abs(10.0 * np.log10(np.mean(end**2) / np.mean(takes**2))) < 6.0


@pytest.mark.parametrize("name", ["rain", "wind", "sea", "stream", "babble", "fire", "leaves"])
def test_a_wide_texture_has_two_different_channels(name: str) -> None:
    """Correlation between left and right below 0.5."""
    out = synthesise(name, rate_hz=RATE_HZ, seed=3, duration_s=20.0)
    assert out.shape[1] == 2
    assert abs(np.corrcoef(out[:, 0], out[:, 1])[0, 1]) < 0.5


@pytest.mark.parametrize("name", sorted(SOUNDS))
def test_a_sound_has_the_same_colour_at_another_rate(name: str) -> None:
    """Mean of log frequency, weighted by energy, at 44.1 and 88.2 kHz within 20 %."""
    means = []
    for rate_hz in (44_100, 88_200):
        mono = synthesise(name, rate_hz=rate_hz, seed=3, duration_s=3.0).mean(axis=1)
        power = np.abs(np.fft.rfft(mono))[1:] ** 2
        means.append(np.average(np.log(np.arange(1, power.size + 1)), weights=power))
    assert abs(means[0] - means[1]) < np.log(1.2)


def test_rain_is_broadband_and_made_of_drops() -> None:
    """80 % of the energy in 1-15 kHz, flatness > 0.3 there, peaks 12 dB above RMS, kurtosis above 3.3."""
    mono = heard("rain")
    assert share(mono, 1000.0, 15_000.0) > 0.8
    freq_hz, power = signal.welch(mono, RATE_HZ, nperseg=2048)
    band = power[(freq_hz > 1000.0) & (freq_hz < 12_000.0)]
    assert np.exp(np.mean(np.log(band))) / band.mean() > 0.3
    assert np.abs(mono).max() / mono.std() > 10.0 ** (12.0 / 20.0)
    kurtosis = np.mean(mono**4) / np.mean(mono**2) ** 2
    assert kurtosis > 3.3  # 3.0 is plain noise


def test_wind_gusts_slowly_between_100_and_1000_hz() -> None:
    """At least 80 % of the energy in 100-1000 Hz; the level over 0.5 s varies by more than 6 dB."""
    mono = heard("wind")
    assert share(mono, 100.0, 1000.0) > 0.8
    level = envelope(mono, 2)
    assert 20.0 * np.log10(np.percentile(level, 90) / np.percentile(level, 10)) > 6.0


def test_wind_gets_brighter_as_it_gets_stronger() -> None:
    mono = heard("wind")
    pieces = mono[: mono.size // 22_050 * 22_050].reshape(-1, 22_050)
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    centroid = (power * np.arange(power.shape[1])).sum(axis=1) / power.sum(axis=1)
    assert np.corrcoef(np.log(power.sum(axis=1)), centroid)[0, 1] > 0.5


def test_the_sea_breaks_every_8_to_12_seconds_and_brightens_as_it_does() -> None:
    """The level repeats after 8-12 s; the loudest fifth has twice the share of 500 Hz-4 kHz of the quietest."""
    mono = heard("sea")
    middle = signal.sosfilt(signal.butter(2, [500.0, 4000.0], "band", fs=RATE_HZ, output="sos"), mono)
    level = envelope(middle, 10)
    lag = np.correlate(level - level.mean(), level - level.mean(), "full")[level.size - 1 :]
    assert 8.0 <= (40 + np.argmax(lag[40:160])) / 10.0 <= 12.0
    brightness = level / envelope(mono, 10)
    order = np.argsort(envelope(mono, 10))
    fifth = level.size // 5
    assert brightness[order[-fifth:]].mean() > 2.0**0.5 * brightness[order[:fifth]].mean()


def test_a_stream_is_made_of_ringing_bubbles_and_not_of_plain_noise() -> None:
    """In 300-3000 Hz the cells of the spectrogram vary by more than 1.3 times their mean; noise by 1."""
    _, _, power = signal.spectrogram(heard("stream"), RATE_HZ, nperseg=1024)
    band = power[7:70]
    assert np.median(band.std(axis=1) / band.mean(axis=1)) > 1.3
    assert share(heard("stream"), 200.0, 6000.0) > 0.8


def test_a_drip_rises_in_pitch() -> None:
    mono = heard("drip", 1.0)
    at = int(np.argmax(np.abs(mono[1200:]))) + 1200

    def pitch_hz(part: F64) -> float:
        crossings = np.flatnonzero((part[:-1] < 0.0) & (part[1:] >= 0.0))
        return float(RATE_HZ / np.median(np.diff(crossings)))

    assert pitch_hz(mono[at + 700 : at + 1600]) > 1.05 * pitch_hz(mono[at : at + 500])


def test_fire_is_a_low_rumble_with_sparse_crackles() -> None:
    """Half of the energy below 300 Hz; above 2 kHz, crackles stand more than 18 dB out of the RMS."""
    mono = heard("fire")
    assert share(mono, 20.0, 300.0) > 0.5
    high = signal.sosfilt(signal.butter(4, 2000.0, "high", fs=RATE_HZ, output="sos"), mono)
    assert np.abs(high).max() / high.std() > 10.0 ** (18.0 / 20.0)
    assert 2.0 < onsets_s(high, 0.1, 0.02).size / SOUNDS["fire"].nominal_s < 25.0


def test_thunder_cracks_first_and_then_rolls_below_300_hz() -> None:
    """70 % of the energy below 300 Hz, 85 % after 1 s; 90 % of what is above 1.5 kHz comes before 1 s."""
    mono = heard("thunder")
    assert share(mono, 0.0, 300.0) > 0.7
    assert share(mono[RATE_HZ:], 0.0, 300.0) > 0.85
    high = signal.sosfilt(signal.butter(4, 1500.0, "high", fs=RATE_HZ, output="sos"), mono)
    assert np.sum(high[:RATE_HZ] ** 2) > 0.9 * np.sum(high**2)
    level = envelope(mono, 1)
    assert level[:3].max() > 4.0 * level[7] > 0.0


def test_an_engine_fires_60_times_a_second_and_is_strong_in_1_to_4_khz() -> None:
    """Firing at 60 Hz +- 5 %, alternate firings unequal (30 Hz), at least 15 % of the energy in 1-4 kHz."""
    mono = heard("engine")
    assert share(mono, 1000.0, 4000.0) > 0.15
    assert modulation_peak_hz(mono, 50.0, 90.0) == pytest.approx(60.0, rel=0.05)
    assert modulation_peak_hz(mono, 20.0, 45.0) == pytest.approx(30.0, rel=0.05)


def test_a_passing_car_is_loudest_in_the_middle_and_its_tones_fall() -> None:
    """Loudest within 0.5 s of the middle; the motor's second harmonic falls by 5 to 12 % from end to end."""
    mono = heard("car")
    level = envelope(mono, 10)
    assert abs(np.argmax(level) / 10.0 - SOUNDS["car"].nominal_s / 2.0) < 0.5

    def tone_hz(begin_s: float) -> float:
        part = mono[int(begin_s * RATE_HZ) :][: 2 * RATE_HZ]
        power = np.abs(np.fft.rfft(part * np.hanning(part.size), 8 * part.size)) ** 2
        freq_hz = np.fft.rfftfreq(8 * part.size, 1.0 / RATE_HZ)
        inside = (freq_hz > 140.0) & (freq_hz < 195.0)
        return float(freq_hz[inside][np.argmax(power[inside])])

    assert 0.05 < 1.0 - tone_hz(6.0) / tone_hz(1.0) < 0.12


def test_a_train_clacks_over_a_joint_every_0_82_seconds() -> None:
    level = envelope(heard("train"), 100)
    level = level - level.mean()
    lag = np.correlate(level, level, "full")[level.size - 1 :]
    assert (60 + np.argmax(lag[60:110])) / 100.0 == pytest.approx(0.82, abs=0.03)


def test_a_bird_whistles_phrases_between_2_and_7_khz() -> None:
    """95 % of the energy in 2-7 kHz, one tone at a time that moves by more than 300 Hz, and pauses."""
    mono = heard("bird")
    assert share(mono, 2000.0, 7000.0) > 0.95
    freq_hz, _, power = signal.spectrogram(mono, RATE_HZ, nperseg=1024, noverlap=768)
    frame = power.sum(axis=0)
    sung = frame > 0.05 * frame.max()
    assert np.std(freq_hz[np.argmax(power, axis=0)][sung]) > 300.0
    assert np.median(power.max(axis=0)[sung] / frame[sung]) > 0.15
    assert np.mean(envelope(mono, 50) < 1e-3) > 0.1


def test_crickets_sing_near_4_5_khz_in_chirps_of_three_or_four_pulses() -> None:
    """Carrier 3-6 kHz; pulses 25-36 a second; chirps 2-3.5 a second."""
    mono = heard("crickets")
    assert share(mono, 3000.0, 6000.0) > 0.95
    assert 25.0 <= modulation_peak_hz(mono, 12.0, 60.0) <= 36.0
    assert 2.0 <= modulation_peak_hz(mono, 1.0, 8.0) <= 3.5


def test_a_frog_croaks_in_pulses_of_80_hz() -> None:
    assert modulation_peak_hz(heard("frog"), 40.0, 105.0) == pytest.approx(80.0, abs=5.0)


def test_footsteps_come_in_heel_and_toe_pairs_slightly_irregular() -> None:
    """A heel every 0.54 s +- 5 % on average, no two gaps alike, a toe 80 to 140 ms after it."""
    mono = heard("footsteps")
    heel_s = onsets_s(mono, 0.25, 0.3)
    gaps_s = np.diff(heel_s)
    assert gaps_s.mean() == pytest.approx(0.54, rel=0.05)
    assert 0.003 < gaps_s.std() < 0.05
    level = np.mean(
        [envelope(mono[int(at_s * RATE_HZ) :][: RATE_HZ // 5], 100)[:18] for at_s in heel_s[:-1]], axis=0
    )
    assert 0.08 <= (6 + np.argmax(level[6:])) / 100.0 <= 0.14


def test_babble_has_the_rhythm_of_syllables_and_the_formants_of_speech() -> None:
    """Modulation strongest in 2-8 Hz (per octave); 70 % of the energy in 200-4000 Hz; the centre moves by 100 Hz."""
    mono = heard("babble")
    assert 2.0 <= modulation_peak_hz(mono, 0.5, 20.0, per_octave=True) <= 8.0
    assert share(mono, 200.0, 4000.0) > 0.7
    freq_hz, _, power = signal.spectrogram(mono, RATE_HZ, nperseg=2048)
    band = (freq_hz > 200.0) & (freq_hz < 3500.0)
    centre_hz = (power[band] * freq_hz[band, np.newaxis]).sum(axis=0) / power[band].sum(axis=0)
    assert centre_hz.std() > 100.0


def test_applause_is_many_claps_and_not_hiss() -> None:
    mono = heard("applause")
    assert share(mono, 500.0, 6000.0) > 0.7
    assert np.mean(mono**4) / np.mean(mono**2) ** 2 > 3.5  # 3.0 is plain noise


def test_a_bell_has_hum_prime_tierce_quint_and_nominal() -> None:
    """Partials at 0.5, 1, 1.2, 1.5 and 2 times the prime within 0.5 %, each 26 dB above what is around it."""
    mono = heard("bell")
    size = 4 * RATE_HZ
    power = np.abs(np.fft.rfft(mono[:size] * np.hanning(size)))
    freq_hz = np.fft.rfftfreq(size, 1.0 / RATE_HZ)
    hum = freq_hz < 300.0
    prime_hz = 2.0 * freq_hz[hum][np.argmax(power[hum])]
    for ratio in (1.0, 1.2, 1.5, 2.0):
        near = np.abs(freq_hz / (ratio * prime_hz) - 1.0) < 0.05
        assert freq_hz[near][np.argmax(power[near])] == pytest.approx(ratio * prime_hz, rel=0.005)
        assert power[near].max() > 20.0 * np.median(power[near])


def test_a_bells_hum_outlives_its_nominal() -> None:
    mono = heard("bell")
    early, late = mono[: 2 * RATE_HZ], mono[4 * RATE_HZ : 6 * RATE_HZ]
    assert share(late, 100.0, 320.0) > 3.0 * share(early, 100.0, 320.0)


def test_a_clock_ticks_every_half_second_and_every_other_tick_is_lower() -> None:
    """Intervals 0.5 s +- 5 ms; a tock's centre of gravity lies below its tick's."""
    mono = heard("clock")
    tick_s = onsets_s(mono, 0.2, 0.2)
    assert np.abs(np.diff(tick_s) - 0.5).max() < 0.005
    centre = []
    for at_s in tick_s[:-1]:
        power = np.abs(np.fft.rfft(mono[int(at_s * RATE_HZ) :][: RATE_HZ // 10])) ** 2
        centre.append(float((power * np.arange(power.size)).sum() / power.sum()))
    assert np.mean(centre[1::2]) < 0.9 * np.mean(centre[::2])


def test_a_door_creaks_before_it_thuds() -> None:
    """The creak's energy lies above 300 Hz in separate slips; the loudest low thud comes after it."""
    mono = heard("door")
    creak = mono[: 2 * RATE_HZ]
    assert share(creak, 300.0, 6000.0) > 0.7
    low = signal.sosfilt(signal.butter(4, 200.0, "low", fs=RATE_HZ, output="sos"), mono)
    assert 2.2 < np.argmax(np.abs(low)) / RATE_HZ < 2.6
    slips = envelope(mono[: RATE_HZ // 5], 1000)
    assert slips.max() > 10.0 * np.percentile(slips, 20)


def test_a_door_asked_for_12_seconds_shuts_three_times() -> None:
    low = signal.sosfilt(signal.butter(4, 200.0, "low", fs=RATE_HZ, output="sos"), heard("door", 12.0))
    assert onsets_s(low, 0.5, 1.0).size == 3


def test_a_kettle_ends_in_a_whistle_above_2_khz() -> None:
    mono = heard("kettle")
    assert share(mono[: 3 * RATE_HZ], 0.0, 1500.0) > 0.5
    assert share(mono[8 * RATE_HZ : 11 * RATE_HZ], 2200.0, 3500.0) > 0.8


def test_a_keyboard_is_pressed_several_times_a_second() -> None:
    strokes_per_s = onsets_s(heard("keyboard"), 0.15, 0.05).size / SOUNDS["keyboard"].nominal_s
    assert 4.0 < strokes_per_s < 12.0


def test_leaves_rustle_above_2_khz() -> None:
    mono = heard("leaves")
    assert share(mono, 2000.0, 14_000.0) > 0.85
    assert np.mean(mono**4) / np.mean(mono**2) ** 2 > 3.5  # 3.0 is plain noise
