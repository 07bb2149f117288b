"""What is naturally dominant must be turned down before the mix, as far as told and no further, and say why."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.bark import CENTRES_HZ, SINE_POWER, SPL_AT_0DBFS
from dsp.clip_loudness import active_loudness
from dsp.perceived_loudness import LOUDNESS_BANDS, loudness_sone, specific_loudness
from dsp.synth import synthesise
from engine.scene import feature_store
from engine.scene.composition import compose
from engine.scene.energy import MOST_REDUCTION_DB, TONE_SONE, Energy, energy_of, reduce, together
from engine.scene.explain import explain
from engine.scene.load import loads
from tests.command import run

RATE_HZ = 48_000


def energy(samples: NDArray[np.float32], rate_hz: int = RATE_HZ) -> Energy:
    return energy_of(samples, rate_hz, active_loudness(samples, rate_hz))


def tone(frequency_hz: float, seconds: float = 5.0, level_db: float = -20.0) -> NDArray[np.float32]:
    n = np.arange(round(seconds * RATE_HZ))
    x = 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency_hz * n / RATE_HZ)
    return x.astype(np.float32)[:, None]


def noise(seconds: float = 5.0, seed: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((round(seconds * RATE_HZ), 1), np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
@pytest.mark.parametrize(("sound", "wanted_db"), [("engine", 4.5), ("bird", 1.5)])
def test_a_motorcycle_and_a_bird_lose_other_than_the_worked_numbers(
    sound: str, wanted_db: float, seed: int
) -> None:
    """At importance 0.5 the running engine loses 4.5 dB and the bird 1.5 dB, each within 1 dB."""
    samples = synthesise(sound, rate_hz=RATE_HZ, seed=seed).astype(np.float32)
    assert reduce(energy(samples), 0.5).reduction_db == pytest.approx(wanted_db, abs=1.0)


def test_the_tone_that_all_is_compared_with_is_not_that_loud() -> None:
    """1 kHz at any level: the figure it is set to within 1 %, and nothing is taken off (0.02 dB at most)."""
    for level_db in (-60.0, -20.0, 0.0):
        found = energy(tone(1000.0, level_db=level_db))
        assert found.loudness_sone == pytest.approx(TONE_SONE, rel=0.01)
        assert reduce(found, 0.0).reduction_db <= 0.02


def test_loudness_is_another_function_than_the_book_has() -> None:
    """Zwicker's eq. 8.7 written out for single bands with the spreading of 15 and 27 dB per Bark: within 1e-9."""
    from dsp.bark import hz_to_bark, threshold_in_quiet_db

    z = hz_to_bark(CENTRES_HZ)
    for band in (3, 8, 17):
        for level_db in (20.0, 50.0, 80.0):
            bands = np.zeros(LOUDNESS_BANDS)
            bands[band] = SINE_POWER * 10 ** ((level_db - SPL_AT_0DBFS) / 10)
            for other in range(LOUDNESS_BANDS):
                distance = z[other] - z[band]
                excitation_db = level_db - (15 * distance if distance >= 0 else -27 * distance)
                quiet_db = min(70.0, float(threshold_in_quiet_db(CENTRES_HZ[other])))
                ratio = 10 ** ((excitation_db - quiet_db) / 10)
                wanted = max(0.0, 0.08 * 10 ** (0.023 * quiet_db) * ((0.5 + 0.5 * ratio) ** 0.23 - 1))
                assert specific_loudness(bands)[other] == pytest.approx(wanted, rel=1e-9, abs=1e-12)


def test_ten_decibels_more_change_loudness_by_another_factor() -> None:
    """Noise in all bands from 80 to 90 dB: loudness times 10^0.23, which is 1.7, within 3 %: what eq. 8.7 tends to."""
    bands = np.full(LOUDNESS_BANDS, SINE_POWER * 10 ** ((80 - SPL_AT_0DBFS) / 10))
    assert loudness_sone(10 * bands) / loudness_sone(bands) == pytest.approx(10**0.23, rel=0.03)


def test_wide_sounds_are_not_louder_than_narrow_ones_of_the_same_level() -> None:
    """White noise at least 15 phon above the tone, a third of an octave between them, at one LUFS."""
    wide, narrow = energy(noise()), energy(tone(1000.0))
    spectrum = np.fft.rfft(noise()[:, 0])
    f = np.fft.rfftfreq(5 * RATE_HZ, 1 / RATE_HZ)
    spectrum[(f < 891.0) | (f > 1122.0)] = 0.0
    third = energy(np.fft.irfft(spectrum).astype(np.float32)[:, None])
    assert wide.dominance_phon > 15.0
    assert narrow.dominance_phon < third.dominance_phon < wide.dominance_phon


@given(
    phon=st.floats(0.0, 60.0),
    more=st.floats(0.0, 20.0),
    importance=st.floats(0.0, 1.0),
    most=st.floats(0.0, 6.0),
)
def test_a_reduction_leaves_its_bounds_or_falls_with_dominance(
    phon: float, more: float, importance: float, most: float
) -> None:
    """0 to the most there may be, at importance 1 half of importance 0; more dominance never takes less off."""

    def of(phon: float, importance: float) -> float:
        sone = TONE_SONE * 2 ** (phon / 10)
        fake = _Heard(np.zeros(24), np.zeros(24), sone)
        return reduce(fake, importance, most).reduction_db

    assert 0.0 <= of(phon, importance) <= most <= MOST_REDUCTION_DB
    assert of(phon + more, importance) >= of(phon, importance)
    assert of(phon, 1.0) == pytest.approx(0.5 * of(phon, 0.0))
    assert of(phon, importance) <= of(phon, 0.0)


class _Heard(Energy):
    """An energy that is heard as loud as told."""

    def __init__(self, mean: NDArray[np.float64], peak: NDArray[np.float64], sone: float) -> None:
        super().__init__(mean, peak)
        object.__setattr__(self, "_sone", sone)

    @property
    def loudness_sone(self) -> float:
        """As told."""
        return float(self.__dict__["_sone"])


def test_the_same_sound_is_another_at_another_rate_or_level() -> None:
    """Within 0.3 phon at 44.1, 48 and 96 kHz, and at 40 dB less."""
    wanted = energy(synthesise("babble", rate_hz=48_000, seed=3).astype(np.float32)).dominance_phon
    for rate_hz in (44_100, 96_000):
        samples = synthesise("babble", rate_hz=rate_hz, seed=3).astype(np.float32)
        assert energy(samples, rate_hz).dominance_phon == pytest.approx(wanted, abs=0.3)
    quiet = 0.01 * synthesise("babble", rate_hz=48_000, seed=3).astype(np.float32)
    assert energy(quiet).dominance_phon == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("frames", [1, 10, 1000])
def test_a_very_short_sound_has_no_energy(frames: int) -> None:
    found = energy(noise()[:frames])
    assert np.isfinite(found.mean).all()
    assert math.isfinite(found.dominance_phon)
    assert 0.0 <= reduce(found, 0.5).reduction_db <= 6.0


def test_a_track_of_two_sounds_is_one_of_them() -> None:
    one, two = energy(tone(400.0)), energy(noise())
    both = together([one, two])
    np.testing.assert_allclose(both.mean, 0.5 * (one.mean + two.mean))
    np.testing.assert_allclose(both.peak, np.maximum(one.peak, two.peak))


def test_what_was_kept_of_a_file_is_used_for_another_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Measured once; a file with new content is measured again; damaged measures are."""
    monkeypatch.setattr(feature_store, "cache_root", lambda: tmp_path / "cache")
    times = []

    def counted(*args: object) -> Energy:
        times.append(1)
        return energy_of(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("engine.scene.material.energy_of", counted)
    scene = loads("objects: [{label: x, sound: x.wav}]").found_in(tmp_path)

    def reduction_db() -> float:
        found = compose(scene, rate_hz=RATE_HZ).tracks[1].reduction
        assert found is not None
        return found.reduction_db

    soundfile.write(tmp_path / "x.wav", noise(1.0), RATE_HZ, subtype="FLOAT")
    first = reduction_db()
    before = len(times)
    assert reduction_db() == first
    assert len(times) == before
    soundfile.write(tmp_path / "x.wav", tone(1000.0, 1.0), RATE_HZ, subtype="FLOAT")
    assert reduction_db() < first - 1.0
    assert len(times) == before + 1
    store = feature_store.FeatureStore()
    content = feature_store.content_hash(tmp_path / "x.wav")
    for bad in ({}, {"bands": 3}, {"bands": [[1, 2]]}, {"bands": [["x"]]}):
        store.put(content, f"energy of {RATE_HZ} frames at {RATE_HZ} Hz", 1, bad)
        assert reduction_db() < first - 1.0


def test_an_explanation_does_not_add_up() -> None:
    """Importance's level, gain and reduction make the level of every track within 0.02 dB; the atmo has its own."""
    text = "{atmo: {sound: synth:rain, level_db: -40}, levels_db: [-35, -25], objects: ["
    text += "{label: engine, importance: 0.2}, {label: bird, gain_db: -3}, {label: mic, sound: 'input:1'}]}"
    composition = compose(loads(text), rate_hz=RATE_HZ)
    atmo, *tracks = explain(composition)
    assert atmo["level_db"] == -40.0
    assert [t["importance_level_db"] for t in tracks] == [-33.0, -30.0, -30.0]
    for facts, track in zip(tracks, composition.tracks[1:], strict=True):
        made = facts["importance_level_db"] + facts["gain_db"] - facts["reduction_db"]
        assert track.level_db == pytest.approx(made, abs=0.02)
    assert tracks[2]["reduction_db"] == 0.0
    off = compose(loads(text[:1] + "reduction_db: 0, " + text[1:]), rate_hz=RATE_HZ)
    assert [t["reduction_db"] for t in explain(off)[1:]] == [0.0, 0.0, 0.0]


def test_render_explains_nothing(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("{duration: 0.2, objects: [{label: bird}, {label: engine}]}")
    shown = run("render", "s.yaml", "--explain", "-o", "s.wav", cwd=tmp_path)
    assert "phon louder than a tone of its level" in shown.stdout
    assert "13500" in shown.stdout
    found = json.loads(run("render", "s.yaml", "--explain", "--json", cwd=tmp_path).stdout)["explain"]
    assert [t["label"] for t in found] == ["atmo", "bird", "engine"]
    assert len(found[2]["mean_db"]) == 24
    assert found[1]["reduction_db"] < found[2]["reduction_db"]
