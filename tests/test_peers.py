"""Peers must do the work they are said to do."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import signal as reference

from benchmarks.peers import faust
from benchmarks.peers.ours import Ours
from benchmarks.peers.pedalboard_peer import PedalboardPeer, equaliser, stand_in
from benchmarks.peers.peer import MissingPeerError
from benchmarks.peers.scsynth_peer import ScsynthPeer, render
from benchmarks.peers.scsynth_tracks import checked_track
from benchmarks.peers.task import NOISE_BANDWIDTH, Bell, Task
from dsp.bank import BarkBank
from dsp.bark import CENTRES_HZ
from dsp.dynamic_eq import DynamicEq
from dsp.svf import bell_response

Samples = npt.NDArray[np.float32]

RATE_HZ, QUANTUM_FRAMES = 48_000, 128
FRAMES = 2 * RATE_HZ // 256 * 256
SETTLED_PERIODS = 90
AGREED_DB = 0.1


@pytest.fixture(scope="module")
def task() -> Task:
    """One track, its bells standing still."""
    task = Ours(1, QUANTUM_FRAMES, RATE_HZ).task
    return replace(
        task, bells=tuple(tuple(replace(b, to_db=b.from_db) for b in bells) for bells in task.bells)
    )


def response(bells: Sequence[Bell], frequency_hz: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
    whole = np.ones(len(frequency_hz), np.complex128)
    for bell in bells:
        whole *= bell_response(bell.centre_hz, bell.q, 10.0 ** (-bell.from_db / 20.0), frequency_hz, RATE_HZ)
    return whole


def worst_db(x: Samples, y: Samples, bells: Sequence[Bell]) -> float:
    """Return how far y is from x through the bells, at the worst of 40 frequencies, in dB."""
    frequency_hz = np.geomspace(40.0, 18_000.0, 40)
    at = np.exp(-2j * np.pi * np.outer(frequency_hz / RATE_HZ, np.arange(len(x))))
    measured, expected = (at @ y) / (at @ x), response(bells, frequency_hz)
    return float(np.max(np.abs(20.0 * np.log10(np.abs(measured / expected)))))


def impulse(frames: int) -> Samples:
    """Return float32[1, 2, frames]; not at the first frame, which scsynth runs twice."""
    x = np.zeros((1, 2, frames), np.float32)
    x[:, :, QUANTUM_FRAMES] = 1.0
    return x


def our_energies(x: Samples) -> npt.NDArray[np.float64]:
    """Return the mean of our energies of float32[2, frames] once they have settled."""
    bank, lanes = BarkBank(1, RATE_HZ, 256), np.ascontiguousarray(x.T)
    found = []
    for start in range(0, len(lanes), 256):
        bank.filter(lanes[start : start + 256], 0)
        bank.smooth()
        found.append(bank.energy[:, 0].copy())
    return np.asarray(np.mean(found[SETTLED_PERIODS:], axis=0))


def assert_same_energies(theirs: Samples, x: Samples) -> None:
    """`theirs` is float32[25, frames]: all bands within 0.1 dB."""
    mean = theirs[:, SETTLED_PERIODS * 256 : x.shape[1]].mean(axis=1, dtype=np.float64)
    assert np.max(np.abs(10.0 * np.log10(mean / our_energies(x)))) < AGREED_DB


def test_the_bands_that_peers_are_told_are_butterworth(task: Task) -> None:
    """Both sections in series are `scipy.signal.butter(2, edges, "bandpass")`, to 1e-6 at 200 frequencies."""
    frequency_hz = np.geomspace(20.0, 20_000.0, 200)
    for band in task.bands:
        sos = [[s.scale, 0.0, -s.scale, 1.0, s.a1, s.a2] for s in (band.first, band.second)]
        _, ours = reference.sosfreqz(sos, frequency_hz, fs=RATE_HZ)
        designed = reference.butter(2, (band.low_hz, band.high_hz), "bandpass", output="sos", fs=RATE_HZ)
        _, theirs = reference.sosfreqz(designed, frequency_hz, fs=RATE_HZ)
        gain = math.sqrt(band.weight * NOISE_BANDWIDTH)
        np.testing.assert_allclose(gain * np.abs(ours), np.abs(theirs), atol=1e-6)


def test_no_bell_rests_while_our_side_is_timed() -> None:
    """All four of each track work, and their depths move by 0.01 dB at least."""
    task = Ours(12, QUANTUM_FRAMES, RATE_HZ).task
    assert [len(bells) for bells in task.bells] == [4] * 12
    depths_db = np.array([[(b.from_db, b.to_db) for b in bells] for bells in task.bells])
    assert depths_db.min() > 0.25
    assert np.abs(depths_db[..., 0] - depths_db[..., 1]).min() > 0.01
    assert len(set(task.bells)) == 12


@pytest.mark.parametrize("quantum_frames", [37, 128, 1000])
def test_our_side_filters_what_it_is_timed_for(quantum_frames: int) -> None:
    """Noise at 0.1 in both channels has a mono sum of mean square 0.005: all bands together read 0.002 to 0.005."""
    ours = Ours(3, quantum_frames, RATE_HZ)
    assert ours.run(math.ceil(RATE_HZ / quantum_frames)) > 0.0
    assert np.all(ours._bank.energy.sum(axis=0) > 0.002)
    assert np.all(ours._bank.energy.sum(axis=0) < 0.005)


def test_a_faust_program_lacks_no_filter(task: Task) -> None:
    """50 sections in 25 energies, four bells in series on each side."""
    source = faust.program(task)
    assert source.split("energies = ")[1].count("section(") == 50
    assert source.split("energies = ")[1].count("energy(") == 25
    assert source.split("equaliser = ")[1].split(";")[0].count("bell(") == 4
    assert source.count("equaliser(") == 2


def test_faust_hears_the_same_energies(task: Task) -> None:
    """Noise, all bands within 0.1 dB of ours."""
    pytest.importorskip("dawdreamer")
    from benchmarks.peers.dawdreamer_peer import engine

    x = task.noise(FRAMES)
    made = engine(task, faust.program(task, energies_out=True), x)
    made.render(FRAMES / RATE_HZ)
    assert_same_energies(made.get_audio()[2:], x[0])


def test_faust_has_the_same_bells(task: Task) -> None:
    """Impulse response, within 0.1 dB from 40 Hz to 18 kHz, on both sides."""
    pytest.importorskip("dawdreamer")
    from benchmarks.peers.dawdreamer_peer import engine

    x = impulse(8192)
    made = engine(task, faust.program(task), x)
    made.render(8192 / RATE_HZ)
    for side in (0, 1):
        assert worst_db(x[0, side], made.get_audio()[side], task.bells[0]) < AGREED_DB


def test_faust_moves_its_bells_the_same_way() -> None:
    """From idle to 6 dB in one control period, like `DynamicEq` does it: within 1e-5 of full scale."""
    pytest.importorskip("dawdreamer")
    from benchmarks.peers.dawdreamer_peer import engine

    eq = DynamicEq(1, RATE_HZ, 256, 4)
    eq.steer(np.full((1, 25), -6.0, np.float32), 6.0, 1e-6, 0.2)
    bells = tuple(
        Bell.of(float(CENTRES_HZ[band]), 0.0, float(depth_db), RATE_HZ)
        for band, depth_db in zip(eq.band[0], eq.depth_db[0], strict=True)
    )
    assert max(bell.to_db for bell in bells) > 1.0
    task = replace(Ours(1, QUANTUM_FRAMES, RATE_HZ).task, bells=(bells,))
    x = task.noise(256)
    lanes, y = np.ascontiguousarray(x[0].T), np.zeros((256, 2), np.float32)
    eq.filter(lanes, y, 0)
    made = engine(task, faust.program(task), x)
    made.render(256 / RATE_HZ)
    assert np.max(np.abs(y - lanes)) > 0.01
    np.testing.assert_allclose(made.get_audio().T, y, atol=1e-5)


def test_every_track_of_the_faust_graph_is_rendered() -> None:
    """Three tracks, of which each has its own noise and its own bells, come out as their sum, to 1e-6."""
    pytest.importorskip("dawdreamer")
    from benchmarks.peers.dawdreamer_peer import engine

    task = Ours(3, QUANTUM_FRAMES, RATE_HZ).task
    x = task.noise(1280)
    together = engine(task, faust.program(task), x)
    together.render(task.duration_s(10))
    alone = np.zeros((2, 1280))
    for t in range(3):
        one = engine(replace(task, tracks=1, bells=task.bells[t : t + 1]), faust.program(task), x[t : t + 1])
        one.render(task.duration_s(10))
        alone += one.get_audio()
    np.testing.assert_allclose(together.get_audio(), alone, atol=1e-6)


def test_pedalboard_has_the_same_bells(task: Task) -> None:
    """Impulse response of the peak filters, within 0.1 dB from 40 Hz to 18 kHz."""
    x = impulse(8192)
    y = equaliser(task.bells[0]).process(x[0], RATE_HZ, reset=False)
    assert worst_db(x[0, 0], y[0], task.bells[0]) < AGREED_DB


def test_the_bank_that_stands_in_lacks_no_band(task: Task) -> None:
    assert len(stand_in(task)) == 25


@pytest.mark.parametrize("tracks", [1, 2, 3, 128])
def test_pedalboard_never_takes_tracks_for_frames(tracks: int) -> None:
    """A bank for all tracks gives each what a board of its own gives it, also where tracks are as many as frames."""
    task = Ours(tracks, QUANTUM_FRAMES, RATE_HZ).task
    together: Any = PedalboardPeer(one_bank=True).start(task, 1)
    apart: Any = PedalboardPeer(one_bank=False).start(task, 1)
    mono = task.noise(QUANTUM_FRAMES)[:, 0]
    y = together._banks[0].process(mono, RATE_HZ, reset=False)
    for t in {0, tracks // 2, tracks - 1}:
        alone = apart._banks[t].process(mono[t : t + 1], RATE_HZ, reset=False)
        np.testing.assert_array_equal(y[t], alone[0])


@pytest.fixture
def scsynth() -> str:
    program = shutil.which("scsynth")
    if program is None:
        pytest.skip("scsynth is not installed")
    return program


def through_scsynth(program: str, folder: Path, task: Task, x: Samples) -> Samples:
    """Return float32[2 + bands, frames] of what the checked track makes of float32[2, frames]."""
    import soundfile

    heard = folder / "in.wav"
    soundfile.write(heard, x.T, RATE_HZ, subtype="FLOAT")
    definition = checked_track("checked", task, task.bells[0])
    quanta, outputs = x.shape[1] // QUANTUM_FRAMES, 2 + len(task.bands)
    _, y = render(program, folder, [definition], quanta, task, outputs=outputs, heard=heard)
    return np.ascontiguousarray(y.T)


def test_scsynth_hears_the_same_energies(scsynth: str, task: Task, tmp_path: Path) -> None:
    """Noise, all bands within 0.1 dB of ours."""
    x = task.noise(FRAMES)[0]
    assert_same_energies(through_scsynth(scsynth, tmp_path, task, x)[2:], x)


def test_scsynth_has_the_same_bells(scsynth: str, task: Task, tmp_path: Path) -> None:
    """Impulse response, within 0.1 dB from 40 Hz to 18 kHz, on both sides."""
    x = impulse(8192)[0]
    y = through_scsynth(scsynth, tmp_path, task, x)
    for side in (0, 1):
        assert worst_db(x[side], y[side, :8192], task.bells[0]) < AGREED_DB


def test_synths_that_do_not_start_are_not_timed(scsynth: str) -> None:
    """One of four asks for a unit generator that is not there; scsynth goes on without it, with exit code 0."""
    task = Ours(4, QUANTUM_FRAMES, RATE_HZ).task
    runner: Any = ScsynthPeer().start(task, 8)
    try:
        runner.run(8)
        runner._full[2].sound("NoSuchUnit", 0.0)
        with pytest.raises(MissingPeerError, match="UGen 'NoSuchUnit' not installed"):
            runner.run(8)
    finally:
        runner.close()
