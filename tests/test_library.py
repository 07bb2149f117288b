"""A library of sounds: labels, what is chosen for them, measures that are kept, and nothing hostile that gets in."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from engine.errors import SceneError, SoundError
from engine.scene import library_features
from engine.scene.composition import compose
from engine.scene.feature_store import FeatureStore, content_hash
from engine.scene.labels import MAX_LABEL, label_of, words
from engine.scene.library import read_library
from engine.scene.library_features import REVERBERATION, features_of, measure, scan
from engine.scene.load import load_scene, loads
from engine.scene.retrieval import Finder
from engine.scene.reverberation import reverberation_of
from engine.scene.sidecar import MAX_BYTES, read_sidecar
from engine.scene.sounds import FileSound, Lookup, SynthSound, track_sound
from engine.scene.taxonomy import Node, Taxonomy

SAMPLES = Path("/usr/share/sonic-pi/samples")
CROW = SAMPLES / "misc_crow.flac"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.scene.feature_store.cache_root", lambda: tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "sounds"
    made.mkdir()
    return made


def put(folder: Path, *names: str, sidecar: str | None = None) -> None:
    """Files that are found by name; what is in them does not matter."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"RIFF")
        if sidecar is not None:
            file.with_suffix(".yaml").write_text(sidecar)


def chosen(folder: Path, label: str, **how: int | bool) -> str | None:
    """The file or `synth:NAME` that is taken for a label."""
    seed = int(how.pop("seed", 0))
    sound = Lookup([folder], seed).find(label, **{k: bool(v) for k, v in how.items()})
    if isinstance(sound, SynthSound):
        return f"synth:{sound.name}"
    return None if sound is None else sound.path.relative_to(os.path.realpath(folder)).as_posix()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("dog_bark-03.wav", "dog bark"),
        ("DogBark03.WAV", "dog bark"),
        ("12345__some-body__heavy-rain-loop_stereo.flac", "heavy rain"),
        ("Church Bells (take 2) 48kHz 24bit.ogg", "church bells"),
        ("birds/0012.wav", "birds"),
        ("birds/owl.wav", "owl"),
        ("01.wav", ""),
        ("SFX_v2_final.wav", ""),
        ("Café_Straße.wav", "café straße"),
        ("tür\u202egnp.wav", "türgnp"),
        ("a\x1b[31m dog.wav", "dog"),
        ("\udcff dog.wav", "dog"),
        (" ".join(["word"] * 40) + ".wav", "word word word word word word word word"),
        ("x" * 200 + ".wav", ""),
    ],
)
def test_the_name_of_a_file_gives_another_label(name: str, label: str) -> None:
    assert label_of(Path(name)) == label


@given(st.text(max_size=300))
def test_a_label_from_a_hostile_name_is_long_or_unprintable(name: str) -> None:
    label = label_of(Path(name.replace("/", "_") + ".wav"))
    assert len(label) <= MAX_LABEL
    assert label.isprintable()
    assert words(label) == words(label.upper())


def test_words_that_mean_the_same_do_not_compare_equal() -> None:
    same = [("Church_Bells", "church bell"), ("leaves", "leaf"), ("WOLVES", "wolf"), ("bushes", "bush")]
    same += [("flies", "fly"), ("children", "child"), ("buses", "bus"), ("glasses", "glass")]
    for one, other in same:
        assert words(one) == words(other)
    for word in ("glass", "bus", "tennis", "gas", "bass", "news"):
        assert words(word) == (word,)


def test_a_library_is_preferred_in_another_order_than_told(folder: Path) -> None:
    """Label or synonym, then the procedural sound, then the nearest, a file first; then a procedural one; then none."""
    put(folder, "misc/big_cat.wav", "lion.wav", "sparrow.wav", "old_door.wav", "violin.wav")
    assert chosen(folder, "tiger") == "misc/big_cat.wav"
    assert chosen(folder, "lioness") == "lion.wav"
    assert chosen(folder, "bird") == "synth:bird"
    assert chosen(folder, "door") == "synth:door"
    assert chosen(folder, "songbird") == "synth:bird"
    assert chosen(folder, "maple") == "synth:leaves"
    assert chosen(folder, "cello") == "violin.wav"
    assert chosen(folder, "helicopter") is None
    put(folder, "door.wav", "tree.wav", "aircraft.wav", "nature.wav")
    assert chosen(folder, "door") == "door.wav"
    assert chosen(folder, "maple") == "tree.wav"
    assert chosen(folder, "helicopter") == "aircraft.wav"
    (folder / "tree.wav").unlink()
    assert chosen(folder, "maple") == "synth:leaves", "nature is further than a tree"


def test_a_fallback_keeps_its_way_to_itself(folder: Path) -> None:
    put(folder, "animal.wav")
    found = Lookup([folder]).find("tiger")
    assert isinstance(found, FileSound)
    assert found.found is not None
    assert found.found.way == ("tiger", "big cat", "roaring cat", "animal")
    assert found.found.score < 1.0 - 3 * 0.2 + 0.1
    assert str(found.found).startswith("tiger -> big cat -> roaring cat -> animal: animal.wav (3 up, 0 down")


def test_what_is_broad_lets_its_kinds_stand_for_one_another(folder: Path) -> None:
    """A bicycle is a vehicle, and so is a ship."""
    put(folder, "bicycle.wav", "owl.wav")
    assert chosen(folder, "helicopter") is None
    assert chosen(folder, "elephant") is None
    assert chosen(folder, "animal") == "owl.wav", "asked for as such, any kind will do"


def test_a_cyclic_taxonomy_never_ends(folder: Path) -> None:
    ring = Taxonomy.of(Node(label=f"n{a}", parents=(f"n{b}",)) for a, b in itertools.pairwise("abcdefa"))
    assert Finder([folder], known=ring).choose("na") is None
    put(folder, "nc.wav")
    match = Finder([folder], known=ring).matches("na")[0]
    assert (match.way, match.up) == (("na", "nb", "nc"), 2)


def test_nothing_changes_for_scenes_without_a_library() -> None:
    for label, name in [("rain", "rain"), ("sparrows", None), ("Church_Bells", "bell"), ("truck", "car")]:
        sound = track_sound(label, None, Path())
        assert isinstance(sound, SynthSound)
        assert name is None or (sound == SynthSound(name) and sound.found is None)
    with pytest.raises(
        SoundError, match='"brid" has no sound, and no procedural sound has that name; did you'
    ):
        track_sound("brid", None, Path())


def test_a_start_without_a_library_pays_for_it(tmp_path: Path) -> None:
    """Neither SQLite nor taxonomy, sidecars or retrieval are imported for a scene of known labels."""
    code = (
        "import sys; from engine.scene.load import loads; from pathlib import Path\n"
        "loads('objects: [rain, car]', folder=Path('.'))\n"
        "import engine.scene.shelf\n"
        "print([m for m in ('sqlite3', 'engine.scene.taxonomy', 'engine.scene.sidecar', 'engine.scene.retrieval',"
        " 'engine.scene.library') if m in sys.modules])"
    )
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=here, check=True)
    assert done.stdout.strip() == "[]"


def test_a_label_without_anything_near_names_nothing_near(folder: Path) -> None:
    put(folder, "theremin.wav")
    with pytest.raises(
        SoundError, match=r"neither the library nor a procedural sound.*did you mean theremin"
    ):
        track_sound("thermin", None, folder, [folder])
    with pytest.raises(SoundError, match=r"nor is there one of what it is near to \(aircraft, vehicle\)"):
        track_sound("helicopter", None, folder, [folder])


def test_equal_sounds_are_drawn_without_the_seed_or_change_with_the_neighbours(folder: Path) -> None:
    """All four come up in 40 seeds; each seed has its own, whatever lies beside them."""
    put(folder, *(f"owl-{i}.wav" for i in range(4)))
    before = [chosen(folder, "owl", seed=seed) for seed in range(40)]
    assert len(set(before)) == 4
    assert before == [chosen(folder, "owl", seed=seed) for seed in range(40)]
    put(folder, "aardvark.wav", "z/owl_cage.wav", "crow.wav")
    assert before == [chosen(folder, "owl", seed=seed) for seed in range(40)]
    put(folder, "owl-9.wav")
    after = [chosen(folder, "owl", seed=seed) for seed in range(40)]
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {"owl-9.wav"}


def test_one_vote_of_five_wins_over_many_of_four(folder: Path) -> None:
    put(folder, "owl-1.wav", sidecar="rating: 5.0\nvotes: 1\n")
    put(folder, "owl-2.wav", sidecar="rating: 4.6\nvotes: 200\n")
    put(folder, "owl-3.wav", sidecar="rating: 2\n")
    put(folder, "owl-4.wav")
    matches = Finder([folder]).matches("owl")
    assert [m.entry.place for m in matches] == ["owl-2.wav", "owl-1.wav", "owl-4.wav", "owl-3.wav"]
    put(folder, "owl-5.wav", sidecar="rating: 4.6\nvotes: 200\ndownloads: 5000\n")
    assert chosen(folder, "owl") == "owl-5.wav"


def test_quality_outweighs_the_label_itself(folder: Path) -> None:
    put(folder, "owl.wav", sidecar="rating: 0\nrole: atmo\n")
    put(folder, "barn owl.wav", "bird.wav", sidecar="rating: 5\nvotes: 9999\ndownloads: 1000000\n")
    assert chosen(folder, "owl") == "owl.wav"


def test_a_long_sound_is_taken_for_an_event_or_a_short_one_for_a_bed(folder: Path) -> None:
    put(folder, "owl-1.wav", "owl-2.wav", "owl-3.wav", "owl-4.wav")
    lengths = {"owl-1.wav": (2.0, 1), "owl-2.wav": (60.0, 1), "owl-3.wav": (2.0, 5), "owl-4.wav": (0.05, 1)}

    def finder(loops: bool) -> list[str]:
        told = Finder(
            [folder],
            features=lambda entries: {
                e.path: {"duration_s": lengths[e.place][0], "events": lengths[e.place][1]} for e in entries
            },
        )
        return [match.entry.place for match in told.matches("owl", loops=loops)]

    assert finder(False)[0] == "owl-1.wav"
    assert finder(True)[0] == "owl-2.wav"
    (folder / "owl-1.yaml").write_text("rt60_s: 3.0\n")
    assert finder(False)[0] != "owl-1.wav", "it brings a room of its own"
    (folder / "owl-1.yaml").write_text("loopable: true\nrating: 5\n")
    assert finder(True)[0] == "owl-1.wav"


def test_synonyms_and_tags_of_a_sidecar_do_not_count(folder: Path) -> None:
    put(folder, "a1.wav", sidecar="label: grumbling gizmo\nsynonyms: [Doohickeys]\ntags: [widget, door]\n")
    for label in ("grumbling gizmo", "doohickey", "gizmo", "widgets", "shiny doohickey"):
        assert chosen(folder, label) == "a1.wav", label
    assert chosen(folder, "door") == "synth:door", "a tag is no label"


SIDECARS = [
    ("label: &a dog\ntags: [*a]\n", 1, "anchors"),
    ("label: !!python/object:os.system dog\n", 1, "tags"),
    ("label: dog\nlabel: cat\n", 2, "given twice"),
    ("label: dog\nrating: 6\n", 2, "rating: is 6; must be 0 to 5"),
    ("rating: .nan\n", 1, "rating: is not a number"),
    ("rating: '5'\n", 1, "must be 0 to 5"),
    ("label: dog\n\nname: cat\n", 3, "unknown key `name`; known keys are label"),
    ("role: bed\n", 1, "must be object or atmo"),
    ("label: 'a\\e[31mb'\n", 1, r"U\+001B"),
    ("label: 'a\\u202eb'\n", 1, r"U\+202E"),
    ("label: '?!'\n", 1, "holds no word"),
    (f"label: {'x' * 65}\n", 1, "1 to 64 characters"),
    (f"tags: [{', '.join(['x'] * 65)}]\n", 1, "at most 64 labels"),
    ("tags:\n  - dog\n  - ' '\n", 3, r"tags\[1\]: is blank"),
    ("- dog\n", 1, "must be a mapping"),
    ("label: dog\n\x07\n", 2, r"U\+0007"),
    ("label: [dog\n", 2, "not valid YAML"),
    ("[" * 100, 1, "nested too deeply"),
    ("#" * (MAX_BYTES + 1), 0, "at most 16384 bytes"),
    ("objects: [dog]\n", 1, "unknown key `objects`"),
]


@pytest.mark.parametrize(("text", "line", "what"), SIDECARS, ids=range(len(SIDECARS)))
def test_a_hostile_sidecar_is_taken_or_refused_without_its_line(
    text: str, line: int, what: str, folder: Path
) -> None:
    """The sound is left out, the file and its line are told, and everything else is found."""
    text = (
        text.replace("'a\\e", '"a\\e').replace("mb'", 'mb"').replace("'a\\u", '"a\\u').replace("eb'", 'eb"')
    )
    put(folder, "owl.wav", sidecar=text)
    put(folder, "crow.wav")
    with pytest.raises(SceneError, match=what):
        read_sidecar(folder / "owl.yaml")
    library = read_library([folder])
    assert [entry.place for entry in library.entries] == ["crow.wav"]
    assert library.problems[0].file == os.path.realpath(folder / "owl.yaml")
    assert library.problems[0].line == line
    assert str(library.problems[0]).isprintable()


def test_a_mended_sidecar_is_still_refused(folder: Path) -> None:
    put(folder, "a1.wav", sidecar="rating: 7\n")
    assert not read_library([folder]).entries
    (folder / "a1.yaml").write_text("label: owl\n")
    assert read_library([folder]).entries[0].label == "owl"
    (folder / "a1.yaml").write_text("")
    assert read_library([folder]).entries[0].label == ""


def test_a_library_leads_outside_its_folders(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "sounds-secret"
    put(outside, "owl.wav", sidecar="label: secret\n")
    put(folder, "crow.wav", ".hidden/owl.wav", ".owl.wav", "notes.txt", "in/raven.wav", "dog.wav")
    (folder / "file owl.wav").symlink_to(outside / "owl.wav")
    (folder / "linked").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "broken.wav").symlink_to(folder / "none.wav")
    (folder / "dev.wav").symlink_to("/dev/zero")
    (folder / "dog.yaml").symlink_to(outside / "owl.yaml")
    (folder / "inner owl.wav").symlink_to("in/raven.wav")
    os.mkfifo(folder / "pipe.wav")
    (folder / "folder.wav").mkdir()
    library = read_library([folder])
    assert [entry.place for entry in library.entries] == ["crow.wav", "inner owl.wav"]
    assert {Path(problem.file).name for problem in library.problems} == {
        *("file owl.wav", "dev.wav", "broken.wav", "pipe.wav", "dog.yaml")
    }
    assert not any("secret" in problem.what for problem in library.problems)
    both = read_library([folder, outside])
    assert "file owl.wav" in [entry.place for entry in both.entries]
    assert len({entry.path for entry in both.entries}) == len(both.entries)


def test_folders_that_are_not_there_stop_the_others(folder: Path, tmp_path: Path) -> None:
    put(folder, "owl.wav")
    library = read_library([tmp_path / "none", folder, folder])
    assert [entry.place for entry in library.entries] == ["owl.wav"]
    assert [problem.what for problem in library.problems] == ["no such folder"]


def tone(path: Path, hz: float, seconds: float, level: float = 0.5, rate_hz: int = 48_000) -> None:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    soundfile.write(path, level * np.sin(2 * np.pi * hz * t), rate_hz, subtype="FLOAT")


@pytest.mark.parametrize(("hz", "band", "rate_hz"), [(1000, 8, 48_000), (150, 1, 44_100), (5000, 18, 96_000)])
def test_a_tone_is_measured_in_the_wrong_band_or_at_the_wrong_level(
    hz: float, band: int, rate_hz: int, tmp_path: Path
) -> None:
    """Within 0.15 dB of its mean square, -9.03 dB, in the band of Zwicker's table that holds it."""
    tone(tmp_path / "tone.wav", hz, 2.0, rate_hz=rate_hz)
    told = measure(tmp_path / "tone.wav")
    assert told["dominant_bands"][0] == band
    power = sum(10 ** (level / 10) for level in told["band_mean_db"])
    assert 10 * np.log10(power) == pytest.approx(-9.03, abs=0.15)
    assert told["band_peak_db"][band] == pytest.approx(-9.03, abs=0.15)
    assert (told["duration_s"], told["channels"], told["rate_hz"]) == (2.0, 1, rate_hz)
    assert told["events"] == 1


def test_events_are_counted_wrong(tmp_path: Path) -> None:
    """Three bursts with most of a second between."""
    t = np.arange(48_000) / 48_000
    burst = np.where(t < 0.2, np.sin(2 * np.pi * 440 * t), 0.0)
    soundfile.write(tmp_path / "three.wav", np.tile(burst, 3), 48_000)
    assert measure(tmp_path / "three.wav")["events"] == 3


def test_what_is_known_to_be_no_sound_is_chosen(folder: Path) -> None:
    """Before a scan nobody knows; afterwards neither noise nor silence is taken, until it is mended."""
    put(folder, "owl-1.wav")
    soundfile.write(folder / "owl-2.wav", np.zeros((4800, 2)), 48_000)
    tone(folder / "owl-3.wav", 440, 0.5)
    (folder / "owl-3.yaml").write_text("rating: 0\n")
    assert chosen(folder, "owl") != "owl-3.wav"
    for _ in range(2):
        done = scan(read_library([folder]).entries, FeatureStore())
        assert [Path(problem.file).name for problem in done.problems] == ["owl-1.wav", "owl-2.wav"]
        assert chosen(folder, "owl") == "owl-3.wav"
    assert done.unchanged == 1
    tone(folder / "owl-2.wav", 440, 0.5)
    assert chosen(folder, "owl") == "owl-2.wav"


def test_a_moved_file_is_measured_again_or_a_changed_one_is_not(folder: Path, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path / "f.sqlite")
    tone(folder / "owl.wav", 440, 0.5)
    tone(folder / "crow.wav", 880, 0.5)

    def counts() -> tuple[int, int, int]:
        done = scan(read_library([folder]).entries, store)
        return done.measured, done.recognised, done.unchanged

    assert counts() == (2, 0, 0)
    assert counts() == (0, 0, 2)
    (folder / "in").mkdir()
    (folder / "owl.wav").rename(folder / "in" / "dog.wav")
    assert counts() == (0, 1, 1)
    tone(folder / "crow.wav", 880, 0.75)
    assert counts() == (1, 0, 1)
    known = features_of(store, entries := read_library([folder]).entries)
    assert {e.place: known[e.path]["duration_s"] for e in entries} == {"crow.wav": 0.75, "in/dog.wav": 0.5}
    os.utime(folder / "crow.wav")
    assert not features_of(store, [e for e in read_library([folder]).entries if e.place == "crow.wav"])
    assert counts() == (0, 1, 1), "touched, and the same"


def test_a_scan_does_not_tell_the_reverberation_that_the_send_is_chosen_by(folder: Path) -> None:
    """Claps with a tail of 0.8 s: the scan finds it within 10 %, and it is what a scene would be told."""
    room = np.random.default_rng(5).standard_normal(48_000) * 10.0 ** (
        -3.0 * np.arange(48_000) / 48_000 / 0.8
    )
    claps = np.zeros(48_000 * 10)
    claps[:: 48_000 * 2] = 1.0
    heard = signal.fftconvolve(claps, np.concatenate(([4.0], 0.05 * room)))
    soundfile.write(folder / "clap.wav", 0.2 * heard, 48_000, subtype="FLOAT")
    store, entries = FeatureStore(), read_library([folder]).entries
    scan(entries, store)
    told = features_of(store, entries)[folder / "clap.wav"]["rt60_s"]
    assert told == reverberation_of(folder / "clap.wav", store).rt60_s
    assert told == pytest.approx(0.8, rel=0.1)


def test_the_reverberation_that_is_known_is_not_told(folder: Path) -> None:
    """A sidecar comes first, then what was measured of the content; of two owls the dry one is taken."""
    tone(folder / "owl-1.wav", 440, 0.5)
    tone(folder / "owl-2.wav", 450, 0.5)
    store, entries = FeatureStore(), read_library([folder]).entries
    scan(entries, store)
    for entry, rt60_s in zip(entries, (1.5, None), strict=True):
        store.put(content_hash(entry.path), *REVERBERATION, {"rt60_s": rt60_s})
    assert [features_of(store, entries)[entry.path]["rt60_s"] for entry in entries] == [1.5, None]
    assert {chosen(folder, "owl", seed=seed) for seed in range(8)} == {"owl-2.wav"}
    (folder / "owl-1.yaml").write_text("rt60_s: 0.2\n")
    assert {chosen(folder, "owl", seed=seed) for seed in range(8)} == {"owl-1.wav", "owl-2.wav"}


def test_a_file_that_cannot_be_read_stops_a_scan(folder: Path, tmp_path: Path) -> None:
    put(folder, "broken.wav", "empty.flac")
    (folder / "empty.flac").write_bytes(b"")
    tone(folder / "owl.wav", 440, 0.5)
    entries = read_library([folder]).entries
    tone(folder / "gone.wav", 440, 0.5)
    gone = read_library([folder]).entries
    (folder / "gone.wav").unlink()
    store = FeatureStore(tmp_path / "f.sqlite")
    done = scan([*entries, *(e for e in gone if e.place == "gone.wav")], store)
    assert (done.files, done.measured) == (4, 1)
    assert sorted(Path(p.file).name for p in done.problems) == ["broken.wav", "empty.flac", "gone.wav"]


def test_an_interrupted_scan_loses_what_it_had(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(6):
        tone(folder / f"owl-{i}.wav", 100 * i + 100, 0.1)
    entries, store, calls = (
        read_library([folder]).entries,
        FeatureStore(tmp_path / "f.sqlite"),
        itertools.count(),
    )

    def progress(name: str, done: int, total: int) -> None:
        if next(calls) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(entries, store, progress)
    done = scan(entries, store)
    assert done.unchanged >= 4
    assert done.unchanged + done.measured == 6


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 5000, b"nonsense" * 1000])
def test_a_damaged_or_unwritable_store_stops_a_scan_or_a_choice(
    content: bytes, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "cache" / "features.sqlite"
    file.parent.mkdir()
    file.write_bytes(content)
    tone(folder / "owl.wav", 440, 0.5)
    assert chosen(folder, "owl") == "owl.wav"
    entries = read_library([folder]).entries
    assert scan(entries, FeatureStore(file)).measured == 1
    scan(entries, FeatureStore(file))
    assert scan(entries, FeatureStore(file)).unchanged == 1
    (tmp_path / "plain").write_text("")
    nowhere = FeatureStore(tmp_path / "plain" / "f.sqlite")
    assert scan(entries, nowhere).measured == scan(entries, nowhere).measured == 1


SCAN = (
    "import sys; from pathlib import Path; from engine.scene.feature_store import FeatureStore\n"
    "from engine.scene.library import read_library; from engine.scene.library_features import scan\n"
    "done = scan(read_library([Path(sys.argv[1])]).entries, FeatureStore(Path(sys.argv[2])))\n"
    "assert not done.problems, done.problems"
)


def test_two_scans_at_once_get_in_each_others_way(folder: Path, tmp_path: Path) -> None:
    for file in sorted(SAMPLES.glob("elec_*.flac")):
        shutil.copy(file, folder)
    store = tmp_path / "f.sqlite"
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", SCAN, str(folder), str(store)]
    both = [subprocess.Popen(command, env=here, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [(process.wait(60), process.communicate()[1]) for process in both] == [(0, "")] * 2
    entries = read_library([folder]).entries
    assert len(entries) == 25
    assert len(features_of(FeatureStore(store), entries)) == 25


def test_a_scene_does_not_play_what_the_library_has(folder: Path, tmp_path: Path) -> None:
    """A file by its label, one by fallback, a procedural one by fallback; the same again with the names written out."""
    shutil.copy(CROW, folder / "crow-1.flac")
    (folder / "crow-1.yaml").write_text("credit: A. Recordist\nlicence: CC0\n")
    shutil.copy(SAMPLES / "elec_bell.flac", folder / "big_cat.flac")
    text = "seed: 3\nduration: 2\nobjects:\n  - {label: crow%s}\n  - {label: tiger%s}\n  - {label: maple%s}\n"
    (tmp_path / "scene.yaml").write_text(text % ("", "", ""))
    made = compose(load_scene(tmp_path / "scene.yaml", library=[folder]), rate_hz=48_000)
    places = {number: found.place for number, found in made.found.items()}
    assert places == {1: "crow-1.flac", 2: "big_cat.flac", 3: "synth:leaves"}
    assert [material.source for material in made.materials[1:]] == [
        "crow-1.flac",
        "big_cat.flac",
        "synth:leaves",
    ]
    assert made.materials[1].credit == "A. Recordist, CC0"
    assert made.materials[1].path == folder / "crow-1.flac"
    named = text % (", sound: crow-1.flac", ", sound: big_cat.flac", ", sound: 'synth:leaves'")
    (tmp_path / "scene.yaml").write_text(named)
    again = compose(load_scene(tmp_path / "scene.yaml", library=[folder]), rate_hz=48_000)
    assert not again.found
    for one, other in zip(made.materials, again.materials, strict=True):
        assert np.array_equal(one.samples, other.samples)
    assert list(made.timeline(48_000)) == list(again.timeline(48_000))


def test_a_sound_of_the_library_that_cannot_be_decoded_is_told_without_its_field(folder: Path) -> None:
    put(folder, "owl.wav")
    scene = loads("objects: [owl]", folder=folder, library=[folder])
    with pytest.raises(SoundError, match=r"objects\[0\].sound: owl.wav is not a sound"):
        compose(scene, rate_hz=48_000)


def test_measures_are_kept_under_a_version_that_nobody_raises() -> None:
    assert (library_features.KIND, library_features.VERSION) == ("library", 1)
