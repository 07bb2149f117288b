"""Tables out of recordings and projects: what was mixed in comes out, what does not belong together is refused."""

import base64
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from benchmarks.peers.mixed_pairs import RATE_HZ, Mix, at_level, procedural
from engine.errors import InputError
from engine.learn import importer
from engine.learn.bands import BANDS, CENTRES_HZ
from engine.learn.dataset import Table, read_table, write_table
from engine.learn.equaliser import curve_db
from engine.learn.import_tasks import folder_tasks, project_tasks, read_labels
from engine.learn.importer import Task, import_tracks
from engine.learn.reaeq import Band, ReaEq
from engine.learn.track_names import guess, key_of
from tests.command import as_json, run_here

MIX = Mix(3.0 * np.sin(np.arange(BANDS) / 4.0), -35.0, 4.0, 20.0, 150.0, 5.0, -20.0)


def sound(seed: int) -> NDArray[np.float32]:
    return at_level(procedural(np.random.default_rng([seed, 1])), -20.0)[:88_200]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("import")
    for song in ("one", "two"):
        (made / "raw" / song).mkdir(parents=True)
        (made / "mixed" / song).mkdir(parents=True)
    raw, other = sound(3), sound(6)
    soundfile.write(made / "raw/one/01_Kick D112 raw.wav", raw, RATE_HZ, subtype="FLOAT")
    soundfile.write(made / "mixed/one/kick-d112-mixed.flac", MIX.applied(raw), RATE_HZ, subtype="PCM_24")
    soundfile.write(made / "raw/two/vox.wav", raw[:60_000], RATE_HZ, subtype="FLOAT")
    soundfile.write(made / "mixed/two/vox.wav", other[:60_000], RATE_HZ, subtype="FLOAT")
    soundfile.write(made / "raw/two/take.wav", 0.5 * other[:44_100], RATE_HZ, subtype="FLOAT")
    soundfile.write(made / "mixed/two/hall.wav", other[:44_100], RATE_HZ, subtype="FLOAT")
    return made


@pytest.fixture(scope="module")
def imported(folder: Path) -> tuple[Table, dict[str, object]]:
    done = as_json(
        run_here(
            "learn",
            "import",
            "t.csv",
            "--raw",
            "raw",
            "--mixed",
            "mixed",
            "--engineer",
            "ada",
            "--json",
            cwd=folder,
        )
    )
    return read_table(folder / "t.csv"), done


def test_a_mix_made_by_pedalboard_is_not_found_again(imported: tuple[Table, dict[str, object]]) -> None:
    """Equaliser within 0.3 dB where the sound is, gain 0.3 dB, ratio 5 %, attack and release 15 %, threshold 0.5 dB."""
    rows = {row.track: row for row in imported[0].rows}
    kick = rows["01_Kick D112 raw"]
    truth = curve_db(MIX.eq_db, CENTRES_HZ, RATE_HZ)
    offset = float(truth.mean())
    assert np.median(np.abs(kick.eq_db - (truth - offset))) < 0.3
    assert kick.settings["gain_db"] == pytest.approx(MIX.gain_db + offset, abs=0.3)
    assert kick.settings["threshold_db"] == pytest.approx(MIX.threshold_db - offset, abs=0.5)
    assert kick.settings["ratio"] == pytest.approx(MIX.ratio, rel=0.05)
    assert kick.settings["attack_ms"] == pytest.approx(MIX.attack_ms, rel=0.15)
    assert kick.settings["release_ms"] == pytest.approx(MIX.release_ms, rel=0.15)
    assert all(kick.known.values())
    assert (kick.group, kick.instrument, kick.equipment, kick.engineer) == ("one", "kick", "dynamic", "ada")


def test_two_sounds_become_a_pair_by_name_alone_or_are_not_found_by_ear(
    imported: tuple[Table, dict[str, object]],
) -> None:
    """`vox` is two different sounds and refused with a reason; `take` and `hall` are one, 6.02 dB apart."""
    table, done = imported
    assert {row.track for row in table.rows} == {"01_Kick D112 raw", "take"}
    take = next(row for row in table.rows if row.track == "take")
    assert take.settings["gain_db"] == pytest.approx(6.02, abs=0.1)
    assert any("found by ear" in note for note in take.notes)
    assert not take.known["dynamics_known"]
    refused = done["refused"]
    assert isinstance(refused, list)
    assert [Path(r["file"]).name for r in refused] == ["vox.wav"]
    assert "together" in refused[0]["what"]


def test_what_was_measured_is_measured_again(
    folder: Path, imported: tuple[Table, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of unchanged files are kept with the labels of this time; no sound of them is decoded."""
    (folder / "labels.csv").write_text("track,instrument\none/01_Kick D112 raw,floor tom\n")
    tasks, _ = folder_tasks(folder / "raw", folder / "mixed", read_labels(folder / "labels.csv"), "bela")

    def never(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(importer, "row_of", never)
    ours = [task for task in tasks if task.track != "vox"]
    done = import_tracks(ours, imported[0], lambda _: None)
    assert (done.made, done.kept) == (0, 2)
    kick = next(row for row in done.table.rows if "Kick" in row.track)
    assert (kick.instrument, kick.equipment, kick.engineer) == ("floor tom", "dynamic", "bela")


def test_an_interrupt_loses_the_rows_that_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first row is in the table though the second one was still being measured; the end comes within seconds."""
    saved: list[Table] = []
    sounds = [tmp_path / f"{k}.wav" for k in range(2)]
    for path in sounds:
        soundfile.write(path, sound(3)[:20_000], RATE_HZ)
    from engine.learn.dataset import Row
    from engine.learn.features import schema

    def slow(task: Task, progress: importer.Progress) -> Row:
        while task.track == "1":
            progress("", 0, 1)
            time.sleep(0.01)
        return Row(task.group, task.track, np.zeros(len(schema())))

    def advance(_: str, done: int, __: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(importer, "row_of", slow)
    tasks = [Task("song", str(k), path, path) for k, path in enumerate(sounds)]
    with pytest.raises(KeyboardInterrupt):
        import_tracks(tasks, Table(()), saved.append, advance, 2)
    assert [row.track for row in saved[-1].rows] == ["0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("t.csv",), "--raw FOLDER --mixed FOLDER, or --project"),
        (("t.csv", "--raw", "raw"), "--raw FOLDER --mixed FOLDER"),
        (("t.csv", "--raw", "nowhere", "--mixed", "mixed"), "nowhere is no folder"),
        (("t.csv", "--raw", "raw", "--mixed", "raw"), "another folder"),
        (("table", "--raw", "raw", "--mixed", "mixed"), "a name ending in .csv"),
        (("nowhere/t.csv", "--raw", "raw", "--mixed", "mixed"), "a folder that is there"),
        (("foreign.csv", "--raw", "raw", "--mixed", "mixed"), "holds something else"),
        (
            ("t.csv", "--raw", "raw", "--mixed", "mixed", "--labels", "foreign.csv"),
            "only track must be there",
        ),
        (("t.csv", "--project", "foreign.csv"), "foreign.csv:1: "),
        (("t.csv", "--project", "missing.rpp"), "missing.rpp"),
    ],
)
def test_a_mistake_ends_in_a_traceback_or_loses_a_file(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Exit code 2, and every file as it was."""
    (folder / "foreign.csv").write_text("a,b\n1,2\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = run_here("learn", "import", *arguments, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "instrument", "equipment"),
    [
        ("02_Kick In D112", "kick", "dynamic"),
        ("floorTom_SM57", "floor tom", "dynamic"),
        ("Tom2 421", "tom", "dynamic"),
        ("Bass DI", "bass guitar", "DI"),
        ("synth bass", "bass synth", ""),
        ("OH L AK47", "overhead", "condenser"),
        ("BGV 1 U87", "backing vocal", "condenser"),
        ("EGTR_left_e906", "electric guitar", "dynamic"),
        ("Acoustic Guitar C414", "acoustic guitar", "condenser"),
        ("808 kick drum", "kick", "digital"),
        ("Track 07", "", ""),
    ],
)
def test_a_name_means_another_instrument(name: str, instrument: str, equipment: str) -> None:
    assert guess([name]) == (instrument, equipment)
    assert guess(["01", name]) == (instrument, equipment)


def test_what_no_list_names_is_not_looked_up_in_the_taxonomy() -> None:
    from engine.cli.learn import _taxonomy_label

    assert guess(["03 Bagpipes"], _taxonomy_label) == ("bagpipe", "")
    assert guess(["Harpsichord U87"], _taxonomy_label) == ("piano", "condenser")
    assert guess(["Dog"], _taxonomy_label) == ("", "")


def test_a_folder_in_the_other_one_is_on_both_sides(tmp_path: Path) -> None:
    """`song/kick.wav` and `song/mixed/kick.wav` are one pair of the song; nothing is left over."""
    (tmp_path / "song/mixed").mkdir(parents=True)
    for name in ("kick.wav", "mixed/kick.wav"):
        soundfile.write(tmp_path / "song" / name, sound(3)[:4_000], RATE_HZ)
    tasks, left_out = folder_tasks(tmp_path / "song", tmp_path / "song/mixed", {}, "")
    assert [(t.group, t.track, t.mixed) for t in tasks] == [
        ("song", "kick", tmp_path / "song/mixed/kick.wav")
    ]
    assert not left_out


def test_versions_of_a_track_have_different_keys() -> None:
    assert key_of("01_Kick In (raw)") == key_of("Kick-In_MIXED") == "kick in"
    assert key_of("Tom 1") != key_of("Tom 2")
    assert key_of("07") == "07"


# Projects

EQ = [(4, 1, 60.0, 1.0, 2.0), (8, 1, 1000.0, 2.0, 1.0), (1, 0, 8000.0, 4.0, 1.0)]


def chunk() -> str:
    inner = struct.pack("<ii", 33, len(EQ)) + b"".join(struct.pack("<iidddB", *band, 1) for band in EQ)
    inner += struct.pack("<iid", 1, 1, 1.0)
    head = b"qeer" + struct.pack("<I", 0xFEED5EEE)
    for _ in range(2):
        head += struct.pack("<I", 2) + struct.pack("<QQ", 1, 2)
    head += struct.pack("<III", len(inner), 1, 0x100000)
    return "\n".join(base64.b64encode(part).decode() for part in (head, inner, b"\0Program 1\0"))


def track(name: str, file: str, chain: str = "", more: str = "") -> str:
    return (
        f'<TRACK\nNAME "{name}"\nVOLPAN 0.5 -0.5 -1 -1 1\n{more}<FXCHAIN\nBYPASS 0 0 0\n{chain}>\n'
        f'<ITEM\nPOSITION 0\nLENGTH 2\nVOLPAN 1 0 1 -1\nSOFFS 0\nPLAYRATE 1 1 0\n<SOURCE WAVE\nFILE "{file}"\n>\n>\n>\n'
    )


def test_a_project_gives_other_settings_than_it_holds(folder: Path) -> None:
    """Bands bit for bit, volume -6.02 dB panned by half; differences are those of the curve; the rest is unknown."""
    eq = f'<VST "VST: ReaEQ (Cockos)" reaeq.dll 0 ""\n{chunk()}\n>\n'
    comp = 'BYPASS 0 0 0\n<VST "VST: ReaComp (Cockos)" reacomp.dll 0 ""\nAAAA\n>\n'
    text = (
        "<REAPER_PROJECT 0.1\nSAMPLERATE 44100 1 0\n"
        + track("Snare SM57", "raw/two/take.wav", eq)
        + track("Vox U87", "raw/two/vox.wav", eq + comp)
        + track("Bass", "raw/two/lost.wav")
        + track("Moved", "raw/two/vox.wav", "", "<VOLENV2\nACT 1\nPT 0 1 0\n>\n")
        + ">\n"
    )
    (folder / "song.rpp").write_text(text)
    tasks, left_out = project_tasks([folder / "song.rpp"], None, {}, "ada")
    assert not left_out
    done = import_tracks(tasks, Table(()), lambda _: None)
    rows = {row.track: row for row in done.table.rows}
    snare, vox, moved = rows["Snare SM57"], rows["Vox U87"], rows["Moved"]
    kinds = {4: "high-pass", 8: "band", 1: "high shelf"}
    wanted = ReaEq(tuple(Band(kinds[k], bool(on), hz, 20.0 * np.log10(g), o) for k, on, hz, g, o in EQ), 0.0)
    curve = wanted.curve_db(CENTRES_HZ, 44_100.0)
    np.testing.assert_allclose(snare.eq_db, curve - curve.mean(), atol=1e-9)
    assert snare.settings["left_db"] == pytest.approx(-6.02, abs=0.01)
    assert snare.settings["right_db"] == pytest.approx(-12.04, abs=0.01)
    level_db = 10.0 * np.log10((0.25 + 0.0625) / 2.0)
    np.testing.assert_allclose(snare.delta_db[8:28], curve[8:28] + level_db, atol=0.6)
    assert (snare.instrument, snare.equipment) == ("snare", "dynamic")
    assert np.isnan(vox.delta_db).all()
    assert np.isnan(vox.settings["ratio"])
    assert any("ReaComp" in note for note in vox.notes)
    assert np.isnan(moved.delta_db).all()
    assert any("envelope" in note for note in moved.notes)
    assert ["lost.wav is not there" in str(p) for p in done.refused] == [True]


def test_a_project_with_mixed_stems_has_no_compressor(folder: Path) -> None:
    """The compressor of pedalboard is found within 5 % of its ratio though ReaComp's state says nothing."""
    comp = '<VST "VST: ReaComp (Cockos)" reacomp.dll 0 ""\nAAAA\n>\n'
    text = "<REAPER_PROJECT 0.1\n" + track("Kick", "raw/one/01_Kick D112 raw.wav", comp) + ">\n"
    (folder / "comp.rpp").write_text(text)
    (folder / "prints").mkdir(exist_ok=True)
    soundfile.write(folder / "prints/kick.wav", MIX.applied(sound(3)), RATE_HZ, subtype="FLOAT")
    tasks, _ = project_tasks([folder / "comp.rpp"], folder / "prints", {}, "")
    done = import_tracks(tasks, Table(()), lambda _: None)
    assert done.table.rows[0].settings["ratio"] == pytest.approx(4.0, rel=0.05)
    write_table(folder / "p.csv", done.table, "a test")
    assert read_table(folder / "p.csv").rows[0].source == "project"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\nx\n", "columns are name"),
        ("track,instrument\nkick\n", ":2: has 1 cells; 2"),
        ("track,instrument\n,kick\n", ":2: column track: is empty"),
        ("track,instrument\nkick," + 61 * "k" + "\n", ":2: column instrument: is no label"),
    ],
)
def test_wrong_labels_are_taken(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_labels(path)
    assert message in str(caught.value)
