"""The score: nothing changes nothing, a quieter masker masks less, and turning oneself down is no gain."""

import ast
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest

from benchmarks import peaq_ear
from benchmarks.level import GatedLoudness
from benchmarks.masking_score import Judge, active_frames, band_weights, si_sdr_db

Floats = npt.NDArray[np.float64]


def tone(frequency_hz: float, amplitude: float, seconds: float = 1.0, phase: float = 0.0) -> Floats:
    at_s = np.arange(round(seconds * 48_000)) / 48_000
    return amplitude * np.sin(2 * np.pi * frequency_hz * at_s + phase)


def noise(seed: int, amplitude: float = 0.1, seconds: float = 1.0) -> Floats:
    return amplitude * np.random.default_rng(seed).standard_normal(round(seconds * 48_000))


@pytest.mark.parametrize("name", ["peaq_ear", "masking_score", "level"])
def test_judge_shares_a_model_with_what_it_judges(name: str) -> None:
    """The judge imports nothing of `dsp` but the K-weighting of `dsp.loudness`, and nothing of the engine."""
    tree = ast.parse((Path(__file__).parent.parent / "benchmarks" / f"{name}.py").read_text("utf-8"))
    modules = {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    own = {m for m in modules if m.split(".")[0] in ("dsp", "engine", "benchmarks")}
    assert own <= {"dsp.loudness", "benchmarks", "benchmarks.peaq_ear", "benchmarks.level"}


def test_nothing_done_changes_a_figure() -> None:
    """Both ratios are exactly 1, no LU is lost, and SI-SDR is at its top of 60 dB."""
    tracks = np.array([noise(1), noise(2, 0.2), tone(1000, 0.1)])
    figures = Judge(tracks, [0.9, 0.5, 0.7]).score(tracks).figures()
    assert figures["weighted_ratio"] == figures["important_ratio"] == 1.0
    assert figures["audible_gain"] == 0.0
    assert figures["important_lost_lu"] == figures["others_lost_lu"] == 0.0
    assert figures["si_sdr_db"] == 60.0


def test_quieter_masker_masks_as_before() -> None:
    """Two tones of 1 kHz, one 22 dB louder: 6.02 dB less of it take 6.02 / 20 = 0.301 off M, within 0.01.

    All bands that count are masked by 8 to 18 dB, so none is at an end of the scale; 0.01 is for the slopes.
    """
    maskee, masker = tone(1000, 0.002), tone(1000, 0.002 * 10 ** (22 / 20), phase=1.0)
    track = Judge(np.array([maskee, masker]), [1.0, 0.0]).score(np.array([maskee, masker / 2])).tracks[0]
    assert track.before.fully_masked == 1.0
    assert track.before.buried - track.after.buried == pytest.approx(0.301, abs=0.01)


def test_masking_at_one_band_is_not_that_of_the_formula() -> None:
    """M, A and F of two noises are the weighted means over every frame and band, computed here by loops."""
    one, other = noise(1), noise(2, 0.2)
    own = peaq_ear.pitch_patterns(one)
    mask = peaq_ear.mask_patterns(peaq_ear.pitch_patterns(other))
    buried = audible = hidden = total = 0.0
    for row, row_mask in zip(own, mask, strict=True):
        top_db = max(10 * np.log10(e) for e in row)
        for band, (e, m) in enumerate(zip(row, row_mask, strict=True)):
            w = min(1.0, max(0.0, 1 + (10 * np.log10(e) - top_db + 6) / 20))
            if e <= peaq_ear.INTERNAL_NOISE[band]:
                w = 0.0
            msr_db = 10 * np.log10(m / e)
            buried += w * min(1.0, max(0.0, msr_db / 20))
            audible += w * min(15.0, max(0.0, -msr_db)) / 15
            hidden += w * (msr_db > 0)
            total += w
    tracks = np.array([one, other])
    scored = Judge(tracks, [1.0, 0.0]).score(tracks).tracks[0].before
    assert scored.buried == pytest.approx(buried / total, rel=1e-6)
    assert scored.audible == pytest.approx(audible / total, rel=1e-6)
    assert scored.fully_masked == pytest.approx(hidden / total, rel=1e-6)


def test_disjoint_tracks_mask_each_other() -> None:
    """Tones of 200 Hz and 8 kHz: M and F below 0.01, A above 0.95 for both; a ratio without masking is 1."""
    tracks = np.array([tone(200, 0.1), tone(8000, 0.1)])
    score = Judge(tracks, [1.0, 1.0]).score(tracks)
    for track in score.tracks:
        assert track.before.buried < 0.01
        assert track.before.fully_masked < 0.01
        assert track.before.audible > 0.95
    assert score.important_ratio == 1.0


def test_order_of_tracks_matters() -> None:
    """Swapped tracks have swapped scores, within 1e-9, and the same figures of the scene."""
    tracks, after = np.array([noise(1), noise(2, 0.2)]), np.array([noise(1), noise(2, 0.1)])
    one = Judge(tracks, [0.9, 0.3]).score(after)
    other = Judge(tracks[::-1], [0.3, 0.9]).score(after[::-1])
    assert one.tracks[0].after.buried == pytest.approx(other.tracks[1].after.buried, rel=1e-9)
    assert one.figures() == pytest.approx(other.figures(), rel=1e-9)


def test_turning_oneself_down_is_a_gain() -> None:
    """A tone masked by 0 to 12 dB that is made 6.02 dB quieter has 0.301 more M, within 1e-3, and lost 6.02 LU."""
    tracks = np.array([tone(1000, 0.002), tone(1000, 0.002 * 10 ** (15 / 20), phase=1.0)])
    track = Judge(tracks, [1.0, 0.0]).score(np.array([tracks[0] / 2, tracks[1]])).tracks[0]
    assert track.before.fully_masked == 1.0
    assert track.after.buried - track.before.buried == pytest.approx(0.301, abs=1e-3)
    assert track.lost_lu == pytest.approx(6.0206, abs=1e-3)


def test_pauses_count() -> None:
    """A track that sounds in the first half only is judged there: a masker in the second half changes nothing."""
    half = np.where(np.arange(48_000) < 20_000, 1.0, 0.0)
    tracks = np.array([noise(1) * half, noise(2, 0.2)])
    active = active_frames(tracks[0])
    assert active[:18].all()
    assert not active[20:].any()
    louder = tracks.copy()
    louder[1, 24_000:] *= 4.0
    score = Judge(tracks, [1.0, 0.0]).score(louder)
    assert score.tracks[0].after == score.tracks[0].before


def test_faint_band_counts() -> None:
    """w is 1 within 6 dB of the loudest band, 0.5 at 16 dB, 0 from 26 dB on and below the internal noise."""
    own = np.full((2, peaq_ear.BANDS), 1e-6)
    own[0, 40:45] = 10.0 ** (np.array([60.0, 54.5, 44.0, 34.0, 30.0]) / 10)
    own[1, :41] = 1.0
    weights = band_weights(own)
    assert weights[0, 40:45] == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
    assert weights[0].sum() == pytest.approx(2.5)
    assert np.all(weights[1] == 0.0)


def test_silent_track_has_a_score() -> None:
    """A track without sound is left out; the others are as they would be without it."""
    sounding = np.array([noise(1), noise(2)])
    with_silence = np.array([sounding[0], np.zeros(48_000), sounding[1]])
    whole = Judge(with_silence, [0.9, 0.9, 0.2]).score(with_silence)
    assert len(whole.tracks) == 2
    assert whole.figures() == pytest.approx(Judge(sounding, [0.9, 0.2]).score(sounding).figures())


@pytest.mark.parametrize("after", [np.zeros((1, 4096)), np.zeros((2, 4095))])
def test_other_tracks_are_scored(after: Floats) -> None:
    """Another number of tracks or frames raises ValueError."""
    with pytest.raises(ValueError, match="does not fit"):
        Judge(np.array([noise(1)[:4096], noise(2)[:4096]]), [1.0, 0.0]).score(after)


def test_si_sdr_is_of_another_scale() -> None:
    """Noise at right angles 20 dB below reads 20 dB, at any gain; a plain gain reads 60."""
    x, n = noise(1), noise(2)
    n -= (n @ x) / (x @ x) * x
    n *= 0.1 * np.sqrt((x @ x) / (n @ n))
    assert si_sdr_db(x, 0.3 * (x + n)) == pytest.approx(20.0, abs=1e-6)
    assert si_sdr_db(x, 0.3 * x) == 60.0
    assert si_sdr_db(np.zeros(8), np.zeros(8)) == 60.0


def test_loudness_lost_differs_from_the_standard() -> None:
    """For noise low-passed by averaging two samples the loss is pyloudnorm's difference within 0.03 LU."""
    x = noise(3, 0.1, 4.0)
    y = x.copy()
    y[1:] = 0.5 * (x[1:] + x[:-1])
    meter = pyloudnorm.Meter(48_000, filter_class="DeMan")
    truth = meter.integrated_loudness(x) - meter.integrated_loudness(y)
    assert truth > 1.0
    assert GatedLoudness(x, 48_000).lost_lu(y) == pytest.approx(truth, abs=0.03)


def test_blocks_turned_down_leave_the_gate() -> None:
    """Half of the time 20 dB quieter loses 10 log10(1 / 0.505) = 2.97 LU, though a new gate would see no loss."""
    x = noise(4, 0.1, 8.0)
    y = x.copy()
    y[4 * 48_000 :] *= 0.1
    assert GatedLoudness(x, 48_000).lost_lu(y) == pytest.approx(2.97, abs=0.1)


@pytest.mark.parametrize("seconds", [0.05, 0.35, 1.0])
def test_short_or_faint_track_has_no_loudness(seconds: float) -> None:
    """Below 400 ms, or below -70 LUFS, half the amplitude still is 6.02 LU; silence lost nothing."""
    for amplitude in (0.1, 1e-6):
        x = noise(5, amplitude, seconds)
        assert GatedLoudness(x, 48_000).lost_lu(x / 2) == pytest.approx(6.0206, abs=1e-3)
    assert GatedLoudness(0 * x, 48_000).lost_lu(0 * x) == 0.0
