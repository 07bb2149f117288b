"""The masking of a render: the same at every quantum, true to what the unmasking shows, never half a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine.control.masking_report as masking_report
from dsp.bark import BANDS, EDGES_HZ
from dsp.maskers import pairs, weights
from engine.control.bounce import bounce
from engine.control.masking_log import BATCH, MaskingLog
from engine.control.masking_report import MaskingReport
from engine.control.offline import OfflineEngine
from engine.control.show import Show
from engine.errors import InputError, RoomtoneError
from engine.scene.composition import Composition, compose
from engine.scene.load import loads
from tests.command import TINY, interrupt, run, run_here, start
from tests.scenes import small

HOP_S = 4096 / 48_000


def reported(path: Path, composition: Composition, *, bands: bool = False, **render: Any) -> Any:
    with MaskingReport(path, composition, bands=bands) as report:
        bounce(composition, observers=[report], keep_samples=False, **render)
    return json.loads(path.read_text("utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The report of the small scene, 4 s, with bands."""
    return reported(tmp_path_factory.mktemp("masking") / "m.json", small(), bands=True)


class Spy:
    """Keeps the energies and cuts that were shown."""

    longest_quantum_frames = 2048

    def __init__(self) -> None:
        self.moments: list[tuple[Any, Any]] = []

    def watch(self, engine: OfflineEngine, end_frame: int) -> None:
        read = engine.meters.read
        if read("unmask", "shown")[0] > len(self.moments) and end_frame // 4096 > len(self.moments):
            self.moments.append((read("unmask", "energy"), read("unmask", "kept")))

    def finish(self) -> None:
        pass


@pytest.fixture(scope="module")
def shown() -> list[tuple[Any, Any]]:
    spy = Spy()
    bounce(small(), observers=[spy], keep_samples=False)
    return spy.moments


def test_the_quantum_does_not_change_the_report(tmp_path: Path) -> None:
    """64, 1000 and 2048 frames give the same file, though each renders another distance beyond the end."""
    texts = set()
    for quantum in (64, 1000, 2048):
        reported(tmp_path / "m.json", small(), duration_s=1.45, quantum_frames=quantum)
        texts.add((tmp_path / "m.json").read_text())
    assert len(texts) == 1
    assert json.loads(texts.pop())["snapshots"] == 1.45 // HOP_S == 16


def test_at_a_low_rate_no_moment_is_missed(tmp_path: Path) -> None:
    """At 8 kHz a moment is 688 frames, less than the longest quantum: 2 s have 23 of them at every quantum."""
    reports = [
        reported(tmp_path / "m.json", small(8000), duration_s=2.0, quantum_frames=quantum)
        for quantum in (64, 344, 2048)
    ]
    assert reports[0]["hop_s"] == 0.086
    assert reports[0]["snapshots"] == len(reports[0]["tracks"][0]["cut_db"]) == 23
    assert reports[0] == reports[1] == reports[2]


def test_watching_does_not_change_the_sound(tmp_path: Path) -> None:
    with MaskingReport(tmp_path / "m.json", small()) as report:
        watched = bounce(small(), observers=[report], duration_s=1.0)
    assert watched.sha256 == bounce(small(), duration_s=1.0).sha256


def test_the_report_has_the_fields_it_is_said_to_have(whole: Any) -> None:
    names = "scene seed rate hop_s cut_hop_s snapshots bands_hz tracks pairs"
    assert list(whole) == names.split()
    assert (whole["scene"], whole["seed"], whole["rate"]) == ("Small", 3, 48_000)
    assert whole["hop_s"] == whole["cut_hop_s"] == pytest.approx(HOP_S, abs=1e-6)
    assert whole["snapshots"] == 4.0 // HOP_S
    assert whole["bands_hz"] == pytest.approx(EDGES_HZ)
    assert [t["label"] for t in whole["tracks"]] == ["atmo", "car", "bird", "bell"]
    assert [t["importance"] for t in whole["tracks"]] == [0.0, 0.9, 0.3, 0.6]
    assert {t["yield"] for t in whole["tracks"]} == {"normal"}
    assert list(whole["pairs"]) == ["before", "after", "before_bands", "after_bands"]


def test_the_cuts_are_those_shown(whole: Any, shown: list[tuple[Any, Any]]) -> None:
    """Over time within 0.05 dB, their deepest and the time in cut; at least one track is cut by more than 3 dB."""
    cut_db = 10.0 * np.log10([kept for _, kept in shown])
    for i, track in enumerate(whole["tracks"]):
        assert np.abs(np.array(track["cut_db"]) - cut_db[:, :, i]).max() <= 0.0501
        assert track["deepest_cut_db"] == pytest.approx(cut_db[:, :, i].min(), abs=0.0051)
        in_cut = int((cut_db[:, :, i].min(axis=1) < -0.5).sum())
        assert track["time_in_cut_s"] == pytest.approx(in_cut * HOP_S, abs=1e-3)
        assert track["share_of_time_in_cut"] == pytest.approx(in_cut / len(shown), abs=1e-4)
    assert cut_db.min() < -3.0


def test_the_pairs_are_means_over_the_time_the_masked_is_active(
    whole: Any, shown: list[tuple[Any, Any]]
) -> None:
    """Against a loop over the moments, before and after and band by band, within the rounding, 5.1e-5."""
    loudest = np.zeros(4)
    active = np.zeros(4)
    sums = {name: np.zeros((BANDS, 4, 4)) for name in ("before", "after")}
    cuts_db, masking = np.zeros((BANDS, 4)), np.zeros((4, 4))
    for energy, kept in shown:
        loudest = np.maximum(loudest, energy.max(axis=0))
        heard = (energy.max(axis=0) > 10.0**-3.5 * loudest) & weights(energy).any(axis=0)
        active += heard
        now = pairs(energy, kept, per_band=True) * heard
        sums["before"] += pairs(energy, per_band=True) * heard
        sums["after"] += now
        masking += now.sum(axis=0) >= 0.1
        cuts_db += 10.0 * np.log10(kept) * heard
    assert 0 < active.min() < active.max() == len(shown)
    for name, total in sums.items():
        mean = total / active
        assert np.abs(np.array(whole["pairs"][name]) - mean.sum(axis=0)).max() <= 5.1e-5
        assert np.abs(np.array(whole["pairs"][f"{name}_bands"]) - mean.transpose(1, 2, 0)).max() <= 5.1e-5
        buried = [track[f"buried_{name}"] for track in whole["tracks"]]
        assert buried == pytest.approx(mean.sum(axis=(0, 1)), abs=5.1e-5)
    assert [t["active_s"] for t in whole["tracks"]] == pytest.approx(active * HOP_S, abs=1e-3)
    for i, track in enumerate(whole["tracks"]):
        assert track["mean_cut_db_by_band"] == pytest.approx(cuts_db[:, i] / active[i], abs=0.0051)
        for masker in track["maskers"]:
            j = [t["label"] for t in whole["tracks"]].index(masker["label"])
            assert masker["seconds"] == pytest.approx(masking[j, i] * HOP_S, abs=1e-3)
            assert masker["share"] == whole["pairs"]["after"][j][i]
            assert masker["share_before"] == whole["pairs"]["before"][j][i]
            best = np.argmax(sums["after"][:, j, i])
            assert EDGES_HZ[best] < masker["main_band_hz"] < EDGES_HZ[best + 1]
        shares = [masker["share"] for masker in track["maskers"]]
        assert shares == sorted(shares, reverse=True)
        assert len(shares) <= 3


def test_unmasking_shows_in_the_report(whole: Any) -> None:
    """The most important track, the car, is never cut and less buried after than before; the others make room.

    So the car hides more of both, and the rain, which makes room for all, is the more buried.
    """
    rain, car, bird, _ = whole["tracks"]
    assert car["buried_after"] < car["buried_before"]
    assert rain["buried_after"] > rain["buried_before"]
    before, after = whole["pairs"]["before"][1], whole["pairs"]["after"][1]
    assert after[0] > before[0]
    assert after[2] > before[2]
    assert car["time_in_cut_s"] == 0.0 < min(bird["time_in_cut_s"], rain["time_in_cut_s"])


def test_without_bands_there_are_none(tmp_path: Path) -> None:
    assert list(reported(tmp_path / "m.json", small(), duration_s=0.3)["pairs"]) == ["before", "after"]


def test_a_render_shorter_than_a_moment_has_a_report_too(tmp_path: Path) -> None:
    report = reported(tmp_path / "m.json", small(), duration_s=0.05)
    assert report["snapshots"] == 0
    assert report["tracks"][1]["buried_after"] is None
    assert report["tracks"][1]["cut_db"] == report["tracks"][1]["maskers"] == []
    assert not np.array(report["pairs"]["after"]).any()


def test_a_long_render_keeps_the_deepest_cuts_in_bounded_memory() -> None:
    """Room for 8 rows, 1000 moments: 8 rows or fewer of 128 moments each hold the minimum of these."""
    random = np.random.default_rng(3)
    log = MaskingLog(2, cut_cells=8 * 2 * BANDS)
    energy = np.full((BANDS, 2), 1e-4)
    cuts_db = random.uniform(-6.0, 0.0, (1000, BANDS, 2)).round(1)
    for cut_db in cuts_db:
        log.take(energy, 10.0 ** (cut_db / 10.0))
    assert log.moments_a_row == 128
    assert log.cut_tenths_db.shape == (8, 2, BANDS)
    assert log.cut_tenths_db.dtype == np.int8
    for row in range(8):
        deepest = cuts_db[128 * row : 128 * (row + 1)].min(axis=0).T
        assert np.array_equal(log.cut_tenths_db[row], np.rint(10.0 * deepest))


@pytest.mark.parametrize("moments", [1, BATCH, BATCH + 1, 3 * BATCH])
def test_no_moment_is_lost_between_batches(moments: int) -> None:
    """The mean of one and the same moment is that moment, within 1e-12."""
    energy = 10.0 ** np.random.default_rng(4).uniform(-7.0, -2.0, (BANDS, 5))
    kept = np.full_like(energy, 0.5)
    log = MaskingLog(5)
    for _ in range(moments):
        log.take(energy, kept)
    for _ in range(2):
        assert np.abs(log.pairs()[1] - pairs(energy, kept, per_band=True)).max() <= 1e-12


def test_a_show_tells_who_masks_whom() -> None:
    """What it tells after a second is of shape [4, 4] and not empty; the bands sum to it, within 1e-12."""
    with Show(small(), driver="null", spare=False) as show:
        show.wait(1.5)
        moment = show.masking(per_band=True)
        assert show.masking().after_bands is None
    assert moment.labels == ("atmo", "car", "bird", "bell")
    assert moment.before.shape == moment.after.shape == (4, 4)
    assert moment.before_bands is not None
    assert moment.after_bands is not None
    assert moment.after_bands.shape == (BANDS, 4, 4)
    assert np.abs(moment.before_bands.sum(axis=0) - moment.before).max() <= 1e-12
    assert 0.0 < moment.after.sum(axis=0).max() <= 1.0 + 1e-12
    for i, (name, share) in enumerate(moment.worst()):
        assert share == moment.after[:, i].max()
        assert name == (moment.labels[moment.after[:, i].argmax()] if share > 0.0 else "")


def test_an_interrupted_render_leaves_no_report_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_text("precious")

    def fail(done: int, total: int) -> None:
        if done > 10_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reported(path, small(), progress=fail)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_and_leaves_neither_report_nor_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(values: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(masking_report, "_shares", no_room)
    with pytest.raises(
        RoomtoneError, match=r"m\.json: cannot be written \(No space left on device"
    ) as failure:
        reported(tmp_path / "m.json", small(), duration_s=0.2, output=tmp_path / "o.wav")
    assert failure.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_report_never_replaces_a_sound_of_the_scene(tmp_path: Path) -> None:
    import soundfile

    sound = tmp_path / "hum.json"
    soundfile.write(sound, np.full(48_000, 0.1), 48_000, format="WAV")
    scene = loads("objects: [{label: hum, sound: hum.wav}]").found_in(tmp_path)
    (tmp_path / "hum.wav").symlink_to(sound)
    with pytest.raises(InputError, match="is a sound of this scene"):
        MaskingReport(sound, compose(scene, rate_hz=48_000))


BAD = [
    (("--masking", "no/such/folder/m.json"), "cannot be written (No such file or directory)"),
    (("--masking", "m.txt"), "m.txt: cannot write .txt; .json"),
    (("--masking", "folder.json"), "folder.json: is a folder; a file name"),
    (("--masking", "scene.json"), "scene.json: is the scene; must be another file"),
    (("--masking", "./o.wav"), "o.wav: is what -o names; must be another file"),
    (("--masking", "stems", "--stems", "stems"), "stems: is what --stems names; must be another file"),
    (("--masking-bands",), "--masking-bands: there is no file to write them to; give --masking FILE"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_a_name_that_will_not_do_exits_2_and_leaves_nothing(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "scene.json").write_text(TINY)
    (tmp_path / "folder.json").mkdir()
    done = run_here("render", "scene.json", "-o", "o.wav", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.json", "scene.json"]


def test_render_writes_the_report_beside_the_sound(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    done = run("render", "tiny.yaml", "--masking", "m.json", "--masking-bands", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "wrote tiny.wav and masking in m.json" in done.stdout
    report = json.loads((tmp_path / "m.json").read_text("utf-8"))
    assert np.array(report["pairs"]["after_bands"]).shape == (2, 2, BANDS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.json", "tiny.wav", "tiny.yaml"]


def test_ctrl_c_leaves_neither_report_nor_sound(tmp_path: Path) -> None:
    """Exit code 130, once the unfinished report is there."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    process = start("render", "tiny.yaml", "--duration", "3000", "--masking", "m.json", cwd=tmp_path)
    interrupt(process, tmp_path, ".m.*")
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.yaml"]
