"""`roomtone analyze` as a user meets it: table, JSON, pictures, mistakes."""

import io
import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from dsp.bark import EDGES_HZ
from engine.cli.analyze import PAIR_FILE
from engine.cli.common import StopRequest
from engine.cli.picture_files import write_pictures
from engine.errors import RoomtoneError
from engine.view.drawing import DPI
from engine.view.heatmaps import (
    MOST_COLUMNS,
    WIDTH_IN,
    _pool_extremes,
    matrix_png,
    over_time_png,
    pair_png,
)
from tests.command import TINY, as_json, interrupt, run, run_here, start

PICTURES = {"matrix.png": b"new matrix", "over-time.png": b"new shares", "pair-01-car-bell.png": b"new pair"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scene, and a folder `takes` of two tones in one band, 20 dB apart."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "takes").mkdir()
    t = np.arange(48_000) / 48_000
    for name, frequency_hz, amplitude in (("loud", 990.0, 0.3), ("faint", 1010.0, 0.03)):
        ramp = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.1)
        sound = amplitude * ramp * np.sin(2.0 * np.pi * frequency_hz * t)
        soundfile.write(tmp_path / "takes" / f"{name}.wav", sound, 48_000, subtype="FLOAT")
    return tmp_path


def test_help_shows_examples(tmp_path: Path) -> None:
    done = run_here("analyze", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "roomtone analyze stems --json" in done.stdout
    assert "analyze" in run_here("--help", cwd=tmp_path).stdout


def test_a_folder_is_told_in_a_table(folder: Path) -> None:
    done = run("analyze", "takes", "--importance", "faint=0.8", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    # The most important first.
    assert next(line for line in lines if line.startswith("faint")).startswith("faint 0.8")
    assert lines.index("loud 0.5 0 nobody") > [line[:5] for line in lines].index("faint")
    assert lines[-1].startswith("takes: 1.00 s, 2 tracks, ")
    assert "before → after" not in done.stdout
    assert sorted(p.name for p in folder.iterdir()) == ["takes", "tiny.yaml"]


def test_json_tells_everything_of_a_scene_before_and_after(folder: Path) -> None:
    report = as_json(
        run_here("analyze", "tiny.yaml", "--json", "--duration", "0.4", "--rate", "44100", cwd=folder)
    )
    assert (report["title"], report["rate"], report["frames"]) == ("Tiny", 44_100, 17_640)
    assert (report["window_frames"], report["hop_frames"]) == (1882, 941)
    assert report["band_edges_hz"] == EDGES_HZ.tolist()
    assert [t["name"] for t in report["tracks"]] == ["atmo", "bell"]
    for stage in ("before", "after"):
        assert np.shape(report["matrix"][stage]) == (2, 2)
        assert 0.0 <= report["masked_share"][stage] <= 1.0
        for track in report["tracks"]:
            assert track[stage]["share"] == pytest.approx(sum(track[stage]["band_share"]), abs=1e-3)
    for pair in report["pairs"]:
        row, column = (["atmo", "bell"].index(pair[end]) for end in ("masker", "maskee"))
        assert pair["before"]["share"] == report["matrix"]["before"][row][column]
    assert report["files"] == []


def test_json_of_a_folder_has_the_excess_of_the_pair(folder: Path) -> None:
    """20 dB apart in one band is 17 dB over the threshold, within 0.5; a folder has no `after`."""
    report = as_json(run_here("analyze", "takes", "--json", cwd=folder))
    (pair,) = report["pairs"]
    assert (pair["masker"], pair["maskee"]) == ("loud", "faint")
    assert pair["before"]["excess_db"] == pytest.approx(17.0, abs=0.5)
    assert pair["before"]["bands_hz"] == [[920, 1080]]
    assert "after" not in pair
    assert report["exchanges"] == []


def test_the_stems_of_a_render_are_told_before_and_after(folder: Path) -> None:
    """Every number of the tracks is that of the scene itself."""
    assert run_here("render", "tiny.yaml", "--stems", "stems", "--json", cwd=folder).returncode == 0
    scene = as_json(run_here("analyze", "tiny.yaml", "--json", cwd=folder))
    options = ("--importance", "atmo=0", "--importance", f"bell={scene['tracks'][1]['importance']}")
    stems = as_json(run_here("analyze", "stems", "--json", *options, cwd=folder))
    assert stems["tracks"] == scene["tracks"]
    assert stems["masked_share"] == scene["masked_share"]


def test_pictures_are_written_where_they_are_wanted(folder: Path) -> None:
    report = as_json(run_here("analyze", "takes", "--plots", "new/pictures", "--json", cwd=folder))
    names = ["matrix.png", "over-time.png", "pair-01-loud-faint.png"]
    assert report["files"] == [f"new/pictures/{name}" for name in names]
    assert sorted(p.name for p in (folder / "new/pictures").iterdir()) == names
    for name in names:
        assert_drawn((folder / "new/pictures" / name).read_bytes())
    assert as_json(run_here("analyze", "takes", "--plots", "p", "--pairs", "0", "--json", cwd=folder))[
        "files"
    ] == [
        "p/matrix.png",
        "p/over-time.png",
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_pictures_replace_those_of_an_earlier_run_and_nothing_else(tmp_path: Path) -> None:
    """Of 5 files there, the stale pair goes and the old matrix is replaced; the user's own stay."""
    own = {"pair-1-x.png": b"1", "pair-01-notes.txt": b"2", "cover.png": b"3"}
    for name, old in {**own, "pair-07-gone-bell.png": b"4", "matrix.png": b"5"}.items():
        (tmp_path / name).write_bytes(old)
    files = write_pictures(tmp_path, PICTURES, StopRequest(), PAIR_FILE)
    assert [f.name for f in files] == list(PICTURES)
    assert contents(tmp_path) == {**own, **PICTURES}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [1, 3])
def test_a_failure_while_pictures_are_written_leaves_the_earlier_ones(
    error: BaseException, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"matrix.png": b"old", "pair-02-gone-bell.png": b"old too"}
    for name, old in before.items():
        (tmp_path / name).write_bytes(old)
    write, calls = Path.write_bytes, []

    def fail(path: Path, data: bytes) -> int:
        calls.append(path)
        written = write(path, data[:1])
        if len(calls) == at:
            raise error
        return written

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises((RoomtoneError, KeyboardInterrupt)):
        write_pictures(tmp_path, PICTURES, StopRequest(), PAIR_FILE)
    assert contents(tmp_path) == before


def test_a_name_that_cannot_be_given_leaves_the_earlier_pictures(tmp_path: Path) -> None:
    """A folder called over-time.png is in the way of the second of three."""
    before = {"matrix.png": b"old", "pair-02-gone-bell.png": b"old too"}
    for name, old in before.items():
        (tmp_path / name).write_bytes(old)
    (tmp_path / "over-time.png").mkdir()
    with pytest.raises(RoomtoneError, match="pictures cannot be written"):
        write_pictures(tmp_path, PICTURES, StopRequest(), PAIR_FILE)
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 3


BAD = [
    (("nope",), "nope: is neither a folder nor a scene; a folder of sounds, a scene file, or one of"),
    (("takes/loud.wav", "--seed", "1"), "takes/loud.wav: --seed is for scenes; leave it out"),
    (("takes/loud.wav", "--plots", "p"), "takes/loud.wav: --plots is for scenes and folders; leave it out"),
    (("takes/loud.wav", "--room", "chruch"), '--room: no room is called "chruch"; did you mean church'),
    (
        ("takes/loud.wav", "--room", "forest"),
        "--room: forest has no reverberation; an enclosed room, such as church",
    ),
    (("takes", "--room", "church"), "takes: --room is for a single sound; leave it out"),
    (("tiny.yaml", "--room", "church"), "tiny.yaml: --room is for a single sound; leave it out"),
    (("bare",), "bare: holds no sound files; a folder with .wav"),
    (("one",), "one: holds only loud; 2 to 512 sounds"),
    (("hush",), "hush/b.wav: is silent; must have something to hear"),
    (("broken",), "broken/b.wav: is not a sound this program can decode"),
    (("odd",), "odd: pre/ and post/ differ in b; the same tracks in both"),
    (("alone.yaml",), "alone.yaml: has a single track; needs 2"),
    (("typo.yaml",), "typo.yaml:3: objects[0].importnce: unknown key"),
    (("takes", "--importance", "loud=2"), "importance: `loud=2`; NAME=VALUE with a value of 0 to 1"),
    (("takes", "--importance", "loud"), "importance: `loud`; NAME=VALUE"),
    (("takes", "--importance", "lout=1"), "importance: no track is called lout; one of faint, loud"),
    (("tiny.yaml", "--importance", "bell=1"), "--importance is for folders"),
    (("takes", "--seed", "0"), "--seed is for scenes"),
    (("takes", "--rate", "12345"), "rate: 12345 Hz is not a usual rate"),
    (("takes", "--duration", "0"), "duration: 0 seconds; more than 0"),
    (("tiny.yaml", "--duration", "nan"), "duration: nan seconds"),
    (("tiny.yaml", "--duration", "80000", "--rate", "8000", "--pairs", "-1"), "--pairs"),
    (
        ("takes", "--plots", "takes/loud.wav"),
        "plots: cannot be written to (File exists); a folder for pictures",
    ),
    (("takes", "--plots", "takes/loud.wav/deep"), "plots: cannot be written to (Not a directory)"),
    (("bare", "--plots", "left/over"), "bare: holds no sound files"),
    (("takes", "--plots", ""), "--plots: names no folder; a folder for pictures"),
    (("takes", "--pairs", "3"), "--pairs: there is no folder to draw them in; give --plots FOLDER"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_exits_2_with_a_plain_message_and_leaves_nothing(
    arguments: tuple[str, ...], message: str, folder: Path
) -> None:
    loud = (folder / "takes" / "loud.wav").read_bytes()
    for name in ("bare", "one", "hush", "broken", "odd/pre", "odd/post"):
        (folder / name).mkdir(parents=True)
    for name in (
        "one/loud.wav",
        "hush/a.wav",
        "broken/a.wav",
        "odd/pre/a.wav",
        "odd/pre/b.wav",
        "odd/post/a.wav",
    ):
        (folder / name).write_bytes(loud)
    soundfile.write(folder / "hush" / "b.wav", np.zeros(4800), 48_000)
    (folder / "broken" / "b.wav").write_bytes(b"RIFF" + bytes(range(256)))
    (folder / "bare" / "notes.txt").write_text("no sound")
    (folder / "alone.yaml").write_text("duration: 0.5\natmo: {sound: synth:wind}\nobjects: []\n")
    (folder / "typo.yaml").write_text("title: T\nobjects:\n  - {label: car, importnce: 0.5}\n")
    before = sorted(str(p) for p in folder.rglob("*"))
    done = run_here("analyze", *arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert sorted(str(p) for p in folder.rglob("*")) == before


def test_bad_input_ends_a_process_in_one_line(folder: Path) -> None:
    """Exit code 2, and no traceback."""
    done = run("analyze", "nope", cwd=folder)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("roomtone: nope: is neither a folder nor a scene")


def test_an_interrupted_analysis_exits_130_and_leaves_nothing(folder: Path) -> None:
    process = start("analyze", "tiny.yaml", "--duration", "3000", "--plots", "pictures", cwd=folder)
    interrupt(process, folder, "pictures")
    assert sorted(p.name for p in folder.iterdir()) == ["takes", "tiny.yaml"]


ALL_IN_TURN = """
import sys
from engine.cli import main
for words in ("--help", "render tiny.yaml --duration 0.1 --json",
              "play tiny.yaml --driver null --duration 0.2 --no-spare --json",
              "analyze tiny.yaml --duration 0.1 --json"):
    sys.argv[1:] = words.split()
    try:
        main()
    except SystemExit as leaving:
        assert not leaving.code, (words, leaving.code)
    assert "matplotlib" not in sys.modules, words
print("to the end")
"""


def test_matplotlib_is_imported_for_pictures_only(folder: Path) -> None:
    """One process does everything but draw."""
    done = subprocess.run(
        [sys.executable, "-c", ALL_IN_TURN],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "to the end"


# pictures ---------------------------------------------------------------------------------------------------------

Picture = NDArray[np.floating]


def assert_drawn(png: bytes) -> Picture:
    """Return the picture's float `[height, width, 4]` after checking that it is a PNG of more than one colour."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    picture = np.asarray(matplotlib.image.imread(io.BytesIO(png)))
    assert picture.shape[:2] == struct.unpack(">II", png[16:24])[::-1]
    levels = np.rint(255.0 * picture).astype(np.uint8)
    assert len(np.unique(levels.view(np.uint32))) > 50
    return picture


def pair_picture(cells_db: NDArray[np.floating], stages: int = 1) -> Picture:
    maps: Mapping[str, NDArray[np.floating]] = {f"stage {n}": cells_db for n in range(stages)}
    return assert_drawn(pair_png("a", "b", maps, ["caption"] * stages, 0.02, EDGES_HZ))


def test_a_pair_picture_has_its_size_and_shows_the_direction_by_colour() -> None:
    """1200 pixels wide; purple (more blue than red) where the masker masks, orange the other way, white for neither.

    Six values in turn, each over a sixth of the picture, looked at in the middle of it.
    """
    signed_db = np.repeat([15.0, 1.0, -1.0, -15.0, 0.0, np.nan], 20)
    picture, double = (pair_picture(np.tile(signed_db[:, None], 25), stages) for stages in (1, 2))
    assert picture.shape[1] == double.shape[1] == round(WIDTH_IN * DPI) == 1200
    assert double.shape[0] > 1.5 * picture.shape[0]
    seen = [np.median(picture[150:250, x - 25 : x + 25, :3], axis=(0, 1)) for x in range(174, 1100, 168)]
    for (red, _, blue), lowest, highest in zip(
        seen, (0.05, 0.05, -1.0, -1.0), (1.0, 1.0, -0.05, -0.05), strict=False
    ):
        assert lowest <= blue - red <= highest
    assert seen[4].min() == 1.0
    assert seen[5] == pytest.approx([0.82] * 3, abs=0.01)


def test_the_matrix_is_darker_where_more_is_masked() -> None:
    shares = np.array([[0.0, 0.9], [0.1, 0.0]])
    one = assert_drawn(matrix_png("t", ["a", "b"], {"before": shares}, [False, False]))
    two = assert_drawn(matrix_png("t", ["a", "b"], {"before": shares, "after": shares}, [False, False]))
    assert two.shape[1] > one.shape[1]
    dark = (one[..., 2] > 0.3) & (one[..., 0] < 0.2)
    # Left of the bar only the upper row, the masker's, is dark.
    rows = np.nonzero(dark[:, : int(0.8 * one.shape[1])])[0]
    assert rows.size > 1000
    assert rows.max() < one.shape[0] * 0.55


@pytest.mark.parametrize("tracks", [1, 3, 60])
def test_names_of_any_kind_and_number_are_drawn_without_a_word(
    tracks: int, recwarn: pytest.WarningsRecorder
) -> None:
    names = [f"$x_{{{n}}} 猫 \\frac a very long name indeed" for n in range(tracks)]
    random = np.random.default_rng(1)
    shares = random.uniform(0.0, 1.0, (tracks, tracks))
    over_time = random.uniform(0.0, 1.0, (tracks, 30)).astype(np.float32)
    over_time[0] = np.nan
    assert_drawn(matrix_png("$", names, {"before": shares, "after": shares}, [True] + [False] * (tracks - 1)))
    assert_drawn(over_time_png("$", names, {"before": over_time}, 0.02))
    assert not list(recwarn)


def test_a_long_analysis_keeps_its_extremes_when_drawn_narrow() -> None:
    """Of 100 000 frames a single one of -20 dB is still there, in at most 1000 columns."""
    signed = np.full((100_000, 25), np.nan)
    signed[:, 3] = 1.0
    signed[77_777, 3] = -20.0
    pooled = _pool_extremes(signed)
    assert len(pooled) <= MOST_COLUMNS
    assert np.nanmin(pooled[:, 3]) == -20.0
    assert np.isnan(pooled[:, 4]).all()
