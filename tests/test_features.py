"""Features of sounds against scipy, pyloudnorm and librosa; what must not change unseen; what no sound may break."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
from numpy.typing import NDArray

from engine.learn.bands import BANDS, CENTRES_HZ, EDGES_HZ, band_powers, fast_length
from engine.learn.features import RATE_HZ, features, schema, schema_hash
from engine.learn.mel import timbre
from engine.learn.rhythm import rhythm

Samples = NDArray[np.float32]
INDEX = {feature.name: i for i, feature in enumerate(schema())}


def noise(seed: int, seconds: float = 2.0, level: float = 0.1, rate_hz: float = RATE_HZ) -> Samples:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((round(seconds * rate_hz), 1))).astype(np.float32)


def sine(hz: float, seconds: float = 2.0, amplitude: float = 1.0, rate_hz: float = RATE_HZ) -> Samples:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (amplitude * np.sin(2.0 * np.pi * hz * t))[:, None].astype(np.float32)


def test_third_octaves_differ_from_a_butterworth_filter_bank() -> None:
    """White noise within 0.5 dB of tenth-order filters between the same edges, from 100 Hz on."""
    x = noise(1, 6.0)
    found = 10.0 * np.log10(band_powers(x, RATE_HZ))
    for k in range(7, 30):
        sos = scipy.signal.butter(10, EDGES_HZ[k : k + 2], "bandpass", fs=RATE_HZ, output="sos")
        wanted = 10.0 * np.log10(np.mean(scipy.signal.sosfilt(sos, x[:, 0].astype(np.float64)) ** 2))
        assert found[k] == pytest.approx(wanted, abs=0.5), CENTRES_HZ[k]


@pytest.mark.parametrize("rate_hz", [22_050.0, 44_100.0, 48_000.0, 96_000.0])
def test_a_tone_is_found_in_another_band_or_at_another_level_at_some_rate(rate_hz: float) -> None:
    """-9.03 dBFS RMS within 0.05 dB in the band of 1 kHz; all others are 30 dB below."""
    found = features(sine(1000.0, amplitude=0.5, rate_hz=rate_hz), rate_hz)
    bands = found[:BANDS]
    assert bands[17] == pytest.approx(-9.031, abs=0.05)
    assert np.delete(bands, 17).max() < -39.0
    assert found[INDEX["rms"]] == pytest.approx(-9.031, abs=0.02)
    assert found[INDEX["peak"]] == pytest.approx(-6.021, abs=0.05)
    assert found[INDEX["crest"]] == pytest.approx(3.01, abs=0.05)
    assert found[INDEX["centroid"]] == pytest.approx(1000.0, abs=25.0)
    assert found[INDEX["zero_crossings"]] == pytest.approx(2000.0, abs=3.0)


def test_the_bands_of_a_sound_lack_energy() -> None:
    """Together they hold the mean square of what lies between 17.5 Hz and the Nyquist frequency, within 0.02 dB."""
    x = noise(2)
    x -= x.mean()
    assert 10.0 * np.log10(band_powers(x, RATE_HZ).sum()) == pytest.approx(
        10.0 * np.log10(np.mean(np.square(x, dtype=np.float64))), abs=0.02
    )


def test_mel_cepstrum_centroid_or_flatness_are_not_librosas() -> None:
    """Within 0.01 dB, 0.1 Hz and 1e-4 of librosa's own defaults, for noise, a tone and clicks."""
    librosa = pytest.importorskip("librosa")
    clicks = np.zeros((44_100, 1), np.float32)
    clicks[::4_000] = 0.5
    for x in (noise(3, 1.0), sine(440.0, 1.0, 0.3), clicks):
        found = timbre(x[:, 0], RATE_HZ)
        wanted = librosa.feature.mfcc(y=x[:, 0], sr=RATE_HZ, n_mfcc=20).mean(axis=1)
        assert np.abs(found.mfcc - wanted).max() < 0.01
        centroid = librosa.feature.spectral_centroid(y=x[:, 0], sr=RATE_HZ).mean()
        assert found.centroid_hz == pytest.approx(float(centroid), abs=0.1)
        assert found.flatness == pytest.approx(
            float(librosa.feature.spectral_flatness(y=x[:, 0]).mean()), abs=1e-4
        )


def test_loudness_differs_from_pyloudnorms() -> None:
    """Within 0.1 LU for steady stereo noise."""
    x = np.concatenate([noise(4), noise(5)], axis=1)
    wanted = pyloudnorm.Meter(44_100).integrated_loudness(x.astype(np.float64))
    assert features(x, RATE_HZ)[INDEX["loudness"]] == pytest.approx(wanted, abs=0.1)


def test_sides_are_mixed_up() -> None:
    x = np.concatenate([noise(6, level=0.2), noise(6, level=0.05)], axis=1)
    found = features(x, RATE_HZ)
    assert found[INDEX["left"]] - found[INDEX["right"]] == pytest.approx(12.04, abs=0.01)


def test_levels_in_short_windows_hide_a_burst() -> None:
    """A burst of 40 ms each second: the 3 ms level has it in its 99th percentile and not in its 50th."""
    x = np.full((88_200, 1), 1e-4, np.float32)
    for at in (10_000, 54_100):
        x[at : at + 1_764] = 0.5
    found = features(x, RATE_HZ)
    assert found[INDEX["level_3_ms_p99"]] == pytest.approx(-6.02, abs=0.1)
    assert found[INDEX["level_3_ms_p50"]] == pytest.approx(-80.0, abs=0.1)
    assert found[INDEX["level_400_ms_p99"]] < -14.0


@pytest.mark.parametrize("frames", [1, 2, 5, 100, 1_000, 20_000])
@pytest.mark.parametrize("kind", ["silence", "dc", "click", "tiny", "loud"])
def test_a_sound_gives_a_number_that_is_not_finite_or_off_the_scale(frames: int, kind: str) -> None:
    """Everything is finite, levels are at least -144 dBFS."""
    x = np.zeros((frames, 2), np.float32)
    if kind == "dc":
        x[:] = 0.7
    elif kind == "click":
        x[frames // 2] = 1.0
    elif kind == "tiny":
        x[:] = 1e-38
    elif kind == "loud":
        x[::2] = 15.0
    found = features(x, 48_000.0 if frames % 2 else RATE_HZ)
    assert found.shape == (len(schema()),)
    assert np.isfinite(found).all()
    levels = [i for i, feature in enumerate(schema()) if feature.unit in ("dBFS", "LUFS")]
    assert found[levels].min() >= -144.0
    if kind == "silence":
        assert (found[levels] == -144.0).all()
        assert found[INDEX["zero_crossings"]] == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_is_taken(bad: float) -> None:
    x = noise(7, 0.1)
    x[17] = bad
    with pytest.raises(ValueError, match="not finite"):
        features(x, RATE_HZ)


@pytest.mark.parametrize("shape", [(0, 1), (100,), (100, 3)])
def test_a_shape_that_is_no_sound_is_taken(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        features(np.zeros(shape, np.float32), RATE_HZ)


def test_the_order_of_features_changes_without_a_new_hash() -> None:
    """What models were learned with: whoever changes a feature changes this."""
    assert len(schema()) == 76
    assert schema_hash() == "5b6920ce29cb8c0bfa4c176ff4f4a20d586203a175712f345f88aae8de93170f"
    assert len({feature.name for feature in schema()}) == len(schema())


def test_the_hash_depends_on_the_process() -> None:
    code = "from engine.learn.features import schema_hash; print(schema_hash())"
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == schema_hash()


def test_features_load_librosa() -> None:
    """It takes seconds: only what asks for a rhythm waits for it."""
    code = (
        "import sys, engine.learn.features, engine.learn.reference, engine.cli.match; "
        "print([m for m in sys.modules if m.split('.')[0] in ('librosa', 'sklearn')])"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_beats_are_not_counted() -> None:
    """Two clicks a second: 2 onsets a second within 0.3, the tempo 120 or an octave off; silence has none."""
    pytest.importorskip("librosa")
    x = np.zeros((44_100 * 6, 1), np.float32)
    rng = np.random.default_rng(8)
    for at in range(0, len(x), 22_050):
        x[at : at + 2_000, 0] = 0.5 * rng.standard_normal(2_000) * np.exp(-np.arange(2_000) / 300.0)
    found = rhythm(x, RATE_HZ)
    assert found.onsets_per_s == pytest.approx(2.0, abs=0.3)
    assert found.tempo_bpm is not None
    assert min(abs(np.log2(found.tempo_bpm / bpm)) for bpm in (60.0, 120.0, 240.0)) < 0.05
    assert rhythm(np.zeros((44_100, 1), np.float32), RATE_HZ).onsets_per_s == 0.0


def test_a_fast_length_is_short_or_slow() -> None:
    for least in (1, 2, 7, 97, 44_101, 176_401):
        length = fast_length(least)
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        assert rest == 1
        assert least <= length <= max(2, 1.2 * least)
