"""Masking of pairs over time and bands: levels, times and roles that are known beforehand."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dsp.bark import (
    CENTRES_HZ,
    EDGES_HZ,
    WIDTHS_HZ,
    hz_to_bark,
    masking_offset_db,
    spreading_matrix,
    threshold_in_quiet_energy,
)
from dsp.stft import hop_frames
from engine.analysis import BandEnergies, Masking, analyse, pair_map, read_stems, weights
from engine.analysis.pairs import ACTIVE_RANGE_DB, main_bands, masked_threshold, weighted_share
from engine.analysis.report import investigate
from engine.analysis.stems import Tracks, check_size
from engine.control.bounce import bounce
from engine.control.tracks import render_tracks
from engine.errors import InputError, SoundError
from engine.spec import Block
from tests.scenes import small

RATE_HZ = 48_000
HOP_S = 1024 / 48_000
KHZ = int(np.searchsorted(EDGES_HZ, 1000.0)) - 1
"""The band that 1 kHz lies in, 920 to 1080 Hz."""

Signal = NDArray[np.float64]


def tone(
    frequency_hz: float,
    level_db: float,
    begin_s: float = 0.1,
    end_s: float = 1.9,
    length_s: float = 2.0,
    rate_hz: int = RATE_HZ,
) -> Signal:
    """A tone of a peak level in dBFS, in silence, with cosine ramps of 80 ms that splatter into no other band."""
    t = np.arange(round(length_s * rate_hz)) / rate_hz
    ramp = np.clip((t - begin_s) / 0.08, 0.0, 1.0) * np.clip((end_s - t) / 0.08, 0.0, 1.0)
    envelope = 0.5 - 0.5 * np.cos(np.pi * ramp)
    return np.asarray(10.0 ** (level_db / 20.0) * envelope * np.sin(2.0 * np.pi * frequency_hz * t))


def energies(*signals: Signal, rate_hz: int = RATE_HZ) -> NDArray[np.float32]:
    bands = BandEnergies(len(signals), rate_hz, channels=1)
    bands.push(np.stack(signals, axis=1).astype(np.float32))
    return bands.finish()


def masking(*signals: Signal, rate_hz: int = RATE_HZ) -> Masking:
    energy = energies(*signals, rate_hz=rate_hz)
    return analyse(energy, weights(energy), hop_frames(rate_hz) / rate_hz)


# energies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_white_noise_has_its_power_in_every_band(rate_hz: int) -> None:
    """Mean energy is variance x bandwidth / (rate / 2) within 0.3 dB, by Parseval."""
    noise = np.random.default_rng(1).normal(0.0, 0.1, 20 * rate_hz)
    measured = energies(noise, rate_hz=rate_hz)[0, 2:-2].mean(axis=0)
    error_db = 10.0 * np.log10(measured / (0.01 * WIDTHS_HZ / (rate_hz / 2)))
    assert np.abs(error_db).max() <= 0.3


def test_a_full_scale_sine_is_half_and_all_in_its_band() -> None:
    """0.5 within 0.05 dB in the band of 1 kHz, and at least 45 dB less in all others."""
    energy = energies(tone(1000.0, 0.0))[0, 45]
    assert 10.0 * np.log10(energy[KHZ] / 0.5) == pytest.approx(0.0, abs=0.05)
    assert 10.0 * np.log10(np.delete(energy, KHZ).max() / 0.5) <= -45.0


def test_the_size_of_the_pushes_does_not_matter() -> None:
    """Pushes of 1 to 5000 frames give bit-equal energies; n frames give n // hop + 1."""
    noise = np.random.default_rng(2).normal(0.0, 0.1, (30_011, 6)).astype(np.float32)
    whole, parts = BandEnergies(3, RATE_HZ), BandEnergies(3, RATE_HZ)
    whole.push(noise)
    start = 0
    for size in [1, 5000, 127, 3, 2048, 1024, 10_000, 30_011]:
        parts.push(noise[start : start + size])
        start += size
    energy = whole.finish()
    assert energy.shape == (3, 30_011 // 1024 + 1, 25)
    assert np.array_equal(energy, parts.finish())


def test_panning_at_equal_power_changes_no_energy() -> None:
    """A tone at sqrt(2) (cos, sin) has the energy it has in the middle, within 1e-5."""
    mono = tone(440.0, -12.0).astype(np.float32)
    rows = []
    for angle in (0.0, 0.3, np.pi / 4, 1.5):
        bands = BandEnergies(1, RATE_HZ)
        bands.push(np.stack([mono * np.cos(angle), mono * np.sin(angle)], axis=1) * np.float32(np.sqrt(2.0)))
        rows.append(bands.finish()[0, 45, 4])
    assert rows == pytest.approx([rows[2]] * 4, rel=1e-5)


def test_two_rates_agree() -> None:
    """Of the same 400 sinusoids, 44.1 and 48 kHz give band energies and mean excess within 0.5 dB."""
    levels: list[NDArray[np.float64]] = []
    excess_db = []
    for rate_hz in (44_100, 48_000):
        random = np.random.default_rng(5)
        t = np.arange(2 * rate_hz) / rate_hz
        signals = []
        for loud in (0.01, 0.03):
            frequencies = np.geomspace(30.0, 15_000.0, 400) * random.uniform(0.995, 1.005, 400)
            phases = random.uniform(0.0, 2.0 * np.pi, 400)
            signals.append(
                loud * sum(np.sin(2 * np.pi * f * t + p) for f, p in zip(frequencies, phases, strict=True))
            )
        energy = energies(*signals, rate_hz=rate_hz)
        levels.append(10.0 * np.log10(energy[:, 5:-5, :23].mean(axis=1)))
        excess_db.append(masking(*signals, rate_hz=rate_hz).pairs[1, 0].excess_db)
    assert np.abs(levels[0] - levels[1]).max() <= 0.5
    assert excess_db[0] == pytest.approx(excess_db[1], abs=0.5)


# pairs ------------------------------------------------------------------------------------------------------------


@given(
    st.floats(4.0, 30.0),
    st.sampled_from([(150.0, 0.0), (450.0, 0.0), (1000.0, 20.0), (3400.0, 40.0), (8500.0, 50.0)]),
)
def test_a_tone_masks_a_fainter_one_in_its_band_by_their_difference_less_the_offset(
    difference_db: float, place: tuple[float, float]
) -> None:
    """The excess is the difference less 3 dB (above 12 Bark a quarter dB per Bark) to 0.5 dB; nothing the other way.

    In narrow bands for the same frequency only: there the window is wider than the band.
    """
    frequency_hz, apart_hz = place
    energy = energies(
        tone(frequency_hz + apart_hz / 2, -10.0), tone(frequency_hz - apart_hz / 2, -10.0 - difference_db)
    )
    found = analyse(energy, weights(energy), HOP_S)
    band = int(np.searchsorted(EDGES_HZ, frequency_hz)) - 1
    bark = float(hz_to_bark(CENTRES_HZ[band]))
    expected_db = difference_db - (3.0 if bark <= 12.0 else 0.25 * bark)
    if expected_db > 0.5:
        assert pair_map(energy, weights(energy), 0, 1)[45, band] == pytest.approx(expected_db, abs=0.5)
        assert found.pairs[0, 1].share >= 0.95
    # What the window leaks of the louder one into other bands may be masked.
    assert found.matrix[1, 0] <= 1e-3


def test_tones_less_than_the_offset_apart_do_not_mask_each_other() -> None:
    """2 dB apart at 1 kHz, below the 3 dB of the offset: nothing."""
    assert masking(tone(990.0, -20.0), tone(1010.0, -22.0)).pairs == {}


def test_sounds_apart_in_time_do_not_mask_each_other() -> None:
    found = masking(tone(1000.0, -10.0, 0.1, 0.9), tone(1000.0, -30.0, 1.0, 1.9))
    assert found.pairs == {}
    assert [m.share for m in found.totals] == [0.0, 0.0]


def test_sounds_apart_in_frequency_do_not_mask_each_other() -> None:
    found = masking(tone(250.0, -10.0), tone(8500.0, -30.0))
    assert found.pairs == {}
    assert [m.share for m in found.totals] == [0.0, 0.0]


def test_low_masks_high_more_than_high_masks_low() -> None:
    """1000 Hz over 1370 Hz exceeds 1370 over 1000 Hz by 12 dB per Bark, within 0.5 dB."""
    bands = {f: int(np.searchsorted(EDGES_HZ, f)) - 1 for f in (1000.0, 1370.0)}
    excess = {}
    for masker, maskee in ((1000.0, 1370.0), (1370.0, 1000.0)):
        energy = energies(tone(masker, 0.0), tone(maskee, -70.0))
        signed = pair_map(energy, weights(energy), 0, 1)
        excess[masker] = signed[45, bands[maskee]]
    distance = float(np.diff(hz_to_bark([1000.0, 1370.0]))[0])
    assert excess[1000.0] - excess[1370.0] == pytest.approx(12.0 * distance, abs=0.5)


def test_all_others_together_mask_by_the_sum_of_their_energies() -> None:
    """Two equal maskers exceed by 3.01 dB more than one, within 0.1 dB."""
    faint = tone(1000.0, -40.0)
    found = masking(faint, tone(985.0, -20.0), tone(1015.0, -20.0))
    one_db = found.pairs[1, 0].excess_db
    assert found.totals[0].excess_db == pytest.approx(one_db + 3.01, abs=0.1)


@pytest.mark.parametrize("swap_s", [0.7, 1.0, 1.31])
def test_roles_that_swap_once_are_counted_once_at_that_time(swap_s: float) -> None:
    """One change, in one band, within one hop and the 5 ms in which neither masks the other."""
    early, late = swap_s - 0.04, swap_s + 0.04
    falls = tone(990.0, -10.0, 0.1, late) + tone(990.0, -30.0, early, 1.9)
    rises = tone(1010.0, -30.0, 0.1, late) + tone(1010.0, -10.0, early, 1.9)
    found = masking(falls, rises)
    exchange = found.exchanges[0, 1]
    assert (exchange.changes, exchange.bands) == (1, 1)
    assert 0.0 <= exchange.times_s[0] - swap_s <= HOP_S + 0.005
    for pair, expected in (((0, 1), (0.1, swap_s)), ((1, 0), (swap_s, 1.9))):
        assert len(found.pairs[pair].intervals_s) == 1
        assert found.pairs[pair].intervals_s[0] == pytest.approx(expected, abs=0.08)
    energy = energies(falls, rises)
    signed = pair_map(energy, weights(energy), 0, 1)[:, KHZ]
    assert signed[20] == pytest.approx(17.0, abs=0.5)
    assert signed[70] == pytest.approx(-17.0, abs=0.5)


def test_a_pause_between_two_maskings_is_no_exchange() -> None:
    found = masking(tone(990.0, -10.0, 0.1, 0.7) + tone(990.0, -10.0, 1.2, 1.9), tone(1010.0, -30.0))
    assert found.exchanges == {}
    assert len(found.pairs[0, 1].intervals_s) == 2


def test_a_louder_playback_changes_nothing_far_from_the_threshold_in_quiet() -> None:
    """+10 dB on all tracks leaves every share within 1e-6 and every excess within 1e-4 dB."""
    energy = (10.0 ** np.random.default_rng(3).uniform(-2.0, 0.0, (3, 40, 25))).astype(np.float32)
    soft, loud = (analyse(e, weights(e), HOP_S) for e in (energy, energy * np.float32(10.0)))
    assert np.abs(soft.matrix - loud.matrix).max() <= 1e-6
    for pair, masked in soft.pairs.items():
        assert loud.pairs[pair].excess_db == pytest.approx(masked.excess_db, abs=1e-4)


def test_what_cannot_be_heard_is_neither_masked_nor_counted() -> None:
    """A tone at 1 kHz 1 dB below its threshold in quiet has no weight, one 1 dB above it has."""
    quiet_db = 10.0 * np.log10(threshold_in_quiet_energy()[KHZ] / 0.5)
    below, above = energies(tone(1000.0, quiet_db - 1.0), tone(1000.0, quiet_db + 1.0))
    assert not weights(below[None]).any()
    assert set(np.flatnonzero(weights(above[None]).any(axis=(0, 1)))) == {KHZ}


@pytest.mark.parametrize("seed", range(5))
def test_the_sums_are_those_of_a_loop_over_all_cells(seed: int) -> None:
    """Shares, mean excesses and role changes equal a float64 loop's: shares to 1e-6, levels to 1e-5 dB."""
    random = np.random.default_rng(seed)
    energy = (10.0 ** random.uniform(-9.0, -1.0, (3, 20, 25))).astype(np.float32)
    energy[0, 5:9] = 0.0
    found = analyse(energy, weights(energy), HOP_S)
    e = energy.astype(np.float64)
    tracks, frames, bands = e.shape
    spreading, offset_db, quiet = spreading_matrix(), masking_offset_db(), threshold_in_quiet_energy()

    def weight(i: int, t: int, b: int) -> float:
        if e[i, t, b] <= quiet[b]:
            return 0.0
        return max(0.0, 1.0 + 10.0 * float(np.log10(e[i, t, b] / e[i].max())) / ACTIVE_RANGE_DB)

    def excess(maskers: list[int], i: int, t: int, b: int) -> float:
        heard = sum(spreading[b, c] * e[j, t, c] for j in maskers for c in range(bands))
        if heard == 0.0 or weight(i, t, b) == 0.0:
            return float("-inf")
        return float(10.0 * np.log10(heard / e[i, t, b]) - offset_db[b])

    def summed(maskers: list[int], i: int) -> tuple[float, float]:
        cells = [(weight(i, t, b), excess(maskers, i, t, b)) for t in range(frames) for b in range(bands)]
        hidden = sum(w for w, x in cells if x > 0.0)
        return hidden / sum(w for w, _ in cells), sum(w * x for w, x in cells if x > 0.0) / hidden

    for i in range(tracks):
        others = [j for j in range(tracks) if j != i]
        for result, maskers in [(found.totals[i], others), *((found.pairs[j, i], [j]) for j in others)]:
            share, excess_db = summed(maskers, i)
            assert result.share == pytest.approx(share, abs=1e-6)
            assert result.excess_db == pytest.approx(excess_db, abs=1e-5)
            assert result.band_share.sum() == pytest.approx(share, abs=1e-6)
    for i in range(tracks):
        for j in range(i + 1, tracks):
            changes = 0
            for b in range(bands):
                last = 0
                for t in range(frames):
                    there, back = excess([j], i, t, b), excess([i], j, t, b)
                    role = 0 if max(there, back) <= 0.0 else 1 if there > back else -1
                    changes += role * last < 0
                    last = role or last
            assert found.exchanges[i, j].changes == changes


def test_masked_thresholds_add() -> None:
    random = np.random.default_rng(8)
    a, b = random.uniform(0.0, 1.0, (2, 7, 25))
    assert masked_threshold(a + b) == pytest.approx(masked_threshold(a) + masked_threshold(b), rel=1e-12)


def test_a_silent_track_is_told_from_one_that_is_not_masked() -> None:
    found = masking(tone(1000.0, -20.0), np.zeros(96_000))
    assert np.isnan(found.over_time[1]).all()
    assert np.nanmax(found.over_time[0]) == 0.0
    assert weighted_share(found, (0.5, 1.0)) == 0.0
    assert np.isnan(weighted_share(found, (0.0, 1.0)))


def test_importance_weighs_the_whole() -> None:
    """A wholly masked track of importance 0.25 beside a free one of 0.75 is a quarter, within 0.01."""
    found = masking(tone(990.0, -10.0), tone(1010.0, -35.0))
    assert weighted_share(found, (0.75, 0.25)) == pytest.approx(0.25, abs=0.01)


def test_main_bands_are_the_runs_of_the_fullest() -> None:
    share = np.zeros(25)
    share[[3, 4, 9]] = 0.2, 0.1, 0.3
    assert main_bands(share) == [(3, 4), (9, 10)]
    assert main_bands(np.zeros(25)) == []


def test_after_unmasking_the_weights_are_still_those_before() -> None:
    """Half of a tone is masked; cut by 60 dB there it is not forgotten: its share stays, the excess grows by 60 dB."""
    before = energies(tone(990.0, -10.0, 1.0), tone(1010.0, -30.0))
    after = before.copy()
    after[1, 47:] *= np.float32(1e-6)
    tracks = Tracks("t", ("a", "b"), (0.5, 0.5), RATE_HZ, 96_000, before, after)
    findings = investigate(tracks)
    assert findings.after is not None
    was, now = findings.before.totals[1], findings.after.totals[1]
    assert was.share == pytest.approx(0.5, abs=0.05)
    assert now.share == pytest.approx(was.share, abs=0.02)
    assert now.excess_db == pytest.approx(was.excess_db + 60.0, abs=1.0)
    assert findings.worst_pairs(5) == [(0, 1)]


# folders and scenes -----------------------------------------------------------------------------------------------


def test_a_scene_is_what_its_stems_are(tmp_path: Path) -> None:
    """Energies before and after unmasking agree to 1e-6 with those of the files of `render --stems`."""
    bounce(small(), stems=tmp_path, duration_s=1.5, keep_samples=False)
    files = read_stems(tmp_path, rate_hz=RATE_HZ)
    names = [t.name for t in small().tracks]
    before, after = BandEnergies(len(names), RATE_HZ), BandEnergies(len(names), RATE_HZ)

    def take(pre: Block, post: Block) -> None:
        before.push(pre)
        after.push(post)

    assert render_tracks(small(), take, duration_s=1.5) == ()
    order = [names.index(name) for name in files.names]
    assert files.samples == 72_000
    assert files.after is not None
    for rendered, read in ((before.finish(), files.before), (after.finish(), files.after)):
        assert read == pytest.approx(rendered[order], rel=1e-6, abs=1e-25)
    assert not np.array_equal(files.before, files.after)


def write(path: Path, signal: Signal, rate_hz: int = RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, signal, rate_hz, subtype="FLOAT" if path.suffix == ".wav" else None)


def test_files_of_different_rates_lengths_and_channels_are_brought_to_one(tmp_path: Path) -> None:
    """A mono 44.1 kHz WAV masks a shorter stereo 48 kHz FLAC by their 20 dB less 3, within 0.5 dB."""
    write(tmp_path / "loud.wav", tone(990.0, -10.0, rate_hz=44_100), 44_100)
    write(tmp_path / "faint.flac", np.stack([tone(1010.0, -30.0, 0.1, 0.9, 1.0)] * 2, axis=1))
    tracks = read_stems(tmp_path, rate_hz=RATE_HZ)
    assert tracks.names == ("faint", "loud")
    assert tracks.duration_s == pytest.approx(2.0, abs=0.001)
    assert tracks.after is None
    found = investigate(tracks).before
    assert found.pairs[1, 0].excess_db == pytest.approx(17.0, abs=0.5)
    assert (0, 1) not in found.pairs


def test_samples_that_are_not_numbers_read_as_silence(tmp_path: Path) -> None:
    """As everywhere in the program: bit-equal to a file with zeros in their place."""
    holes, zeros = tone(1000.0, -10.0), tone(1000.0, -10.0)
    holes[30_000:30_100] = np.nan
    holes[40_000] = np.inf
    zeros[30_000:30_100] = 0.0
    zeros[40_000] = 0.0
    write(tmp_path / "holes.wav", holes)
    write(tmp_path / "zeros.wav", zeros)
    energy = read_stems(tmp_path, rate_hz=RATE_HZ).before
    assert np.isfinite(energy).all()
    assert np.array_equal(energy[0], energy[1])


def test_the_same_name_twice_keeps_its_suffix(tmp_path: Path) -> None:
    for name in ("car.wav", "car.flac", "bird.wav", ".hidden.wav"):
        write(tmp_path / name, tone(1000.0, -10.0))
    assert read_stems(tmp_path, rate_hz=RATE_HZ).names == ("bird", "car.flac", "car.wav")


def test_importance_goes_by_name_and_a_wrong_name_is_refused(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        write(tmp_path / name, tone(1000.0, -10.0))
    assert read_stems(tmp_path, rate_hz=RATE_HZ, importance={"b": 0.9}).importance == (0.5, 0.9)
    with pytest.raises(InputError, match=r"importance: no track is called c; one of a, b"):
        read_stems(tmp_path, rate_hz=RATE_HZ, importance={"c": 0.9})


def test_a_track_of_a_render_may_be_silent_and_a_file_may_not(tmp_path: Path) -> None:
    for part in ("pre", "post"):
        write(tmp_path / part / "a.wav", tone(1000.0, -10.0))
        write(tmp_path / part / "b.wav", np.zeros(4800))
    findings = investigate(read_stems(tmp_path, rate_hz=RATE_HZ))
    assert [findings.silent(t) for t in range(2)] == [False, True]
    with pytest.raises(SoundError, match=r"b\.wav: is silent"):
        read_stems(tmp_path / "pre", rate_hz=RATE_HZ)


def test_more_than_fits_into_memory_is_refused_before_it_is_tried() -> None:
    check_size(16, 60 * RATE_HZ, RATE_HZ)
    with pytest.raises(InputError, match="duration: 512 tracks of 3600 s are too much; at most"):
        check_size(512, 3600 * RATE_HZ, RATE_HZ)
