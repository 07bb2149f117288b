"""Results of `roomtone bench` that are kept: names and files as a careless or a hostile hand would give them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import store
from benchmarks.bench.figures import Figure
from engine.errors import InputError

FIGURE = Figure.of([1.0, 2.0, 3.0], "µs")
DOCUMENT: dict[str, Any] = {"roomtone_bench": 1, "figures": {"128 tracks: p50": FIGURE.as_json()}}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of one's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "roomtone" / "bench"


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_what_is_kept_is_read_again_by_name_and_by_path(data: Path) -> None:
    file = store.save("before", DOCUMENT)
    assert file == data / "before.json"
    for what in ("before", str(file)):
        result = store.load(what)
        assert result.document == DOCUMENT
        assert result.figures == {"128 tracks: p50": FIGURE}
        assert result.label == what
    assert files(data) == ["before.json"]


def test_a_figure_that_is_steady_stays_so(data: Path) -> None:
    steady = Figure.of([1.0, 1.0], "ms", steady=True)
    store.save("live", {**DOCUMENT, "figures": {"period": steady.as_json()}})
    assert store.load("live").figures["period"] == steady


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            ".hidden",
            "../up",
            "a/b",
            "/tmp/a",
            "a\\b",
            "-option",
            "a b",
            "a\0b",
            "a\nb",
            "ä",
            "名",
        ),
        *("a" * 65, "before.json", "before.JSON", "con:", "a*", "\x1b[2J", "a;b", "~"),
    ],
)
def test_a_name_that_could_be_anything_else_is_refused(name: str, data: Path) -> None:
    for refused in (lambda: store.save(name, DOCUMENT), lambda: store.check_free(name)):
        with pytest.raises(InputError) as error:
            refused()
        assert "--save: " in str(error.value)
        assert "letters, digits" in str(error.value)
        assert "\x1b" not in str(error.value)
        assert "\n" not in str(error.value)
    assert files(data) == []


@pytest.mark.parametrize("name", ["a", "A1", "before-2.1_x", "_", "0", "a" * 64, "v1.0"])
def test_a_plain_name_is_taken(name: str, data: Path) -> None:
    store.save(name, DOCUMENT)
    assert store.load(name).document == DOCUMENT


def test_a_result_is_replaced_only_on_demand(data: Path) -> None:
    store.save("before", DOCUMENT)
    other = {**DOCUMENT, "note": "new"}
    for refused in (lambda: store.save("before", other), lambda: store.check_free("before")):
        with pytest.raises(
            InputError, match=r"there is a result `before` of 20.*; another name, or --force to"
        ):
            refused()
    assert store.load("before").document == DOCUMENT
    store.check_free("before", replace=True)
    store.save("before", other, replace=True)
    assert store.load("before").document == other


def test_of_many_who_keep_the_same_name_at_once_one_does(data: Path) -> None:
    kept: list[int] = []
    refused: list[int] = []
    gate = threading.Barrier(8)

    def keep(number: int) -> None:
        gate.wait()
        try:
            store.save("same", {**DOCUMENT, "number": number})
            kept.append(number)
        except InputError:
            refused.append(number)

    threads = [threading.Thread(target=keep, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(kept), len(refused)) == (1, 7)
    assert store.load("same").document["number"] == kept[0]
    assert files(data) == ["same.json"]


def test_a_disk_that_is_full_leaves_the_earlier_result_whole(data: Path) -> None:
    """As with a limit of 4 KiB a file: one line, exit code 1, and no half of a file."""
    store.save("before", DOCUMENT)
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from benchmarks.bench import store\n"
        "from engine.errors import RoomtoneError\n"
        "try:\n"
        "    store.save('before', {'roomtone_bench': 1, 'figures': {}, 'long': 'x' * 9000}, replace=True)\n"
        "except RoomtoneError as error:\n"
        "    print(error.exit_code, error)\n"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == f"1 {data / 'before.json'}: cannot be written (File too large)\n"
    assert store.load("before").document == DOCUMENT
    assert files(data) == ["before.json"]


def test_a_document_that_is_no_json_leaves_nothing(data: Path) -> None:
    with pytest.raises(ValueError):
        store.save("before", {**DOCUMENT, "load": float("nan")})
    assert files(data) == []


def test_a_data_folder_that_cannot_be_is_told_before_anything_is_measured(data: Path) -> None:
    data.parent.parent.mkdir(parents=True)
    data.parent.write_text("")
    with pytest.raises(InputError, match=r"--save: no folder for results can be made"):
        store.check_free("before")


def test_a_name_that_nobody_kept_is_answered_with_those_there_are(data: Path) -> None:
    with pytest.raises(InputError, match="no result is called `before`; none is kept yet"):
        store.load("before")
    for number, name in enumerate(("old", "newer")):
        os.utime(store.save(name, DOCUMENT), (number, number))
    (data / ".hidden.json").write_text("{}")
    (data / "folder.json").mkdir()
    with pytest.raises(InputError, match="there are newer, old; `roomtone bench --save NAME` keeps one"):
        store.load("before")


def with_figure(stored: Any, name: str = "f") -> str:
    return json.dumps({"roomtone_bench": 1, "figures": {name: stored}})


GOOD = FIGURE.as_json()

HOSTILE = [
    ("", "is not JSON (Expecting value"),
    ("{", "is not JSON"),
    ("[" * 100_000, "nested too deep"),
    ('{"roomtone_bench": ' + "1" * 5000 + "}", "is not JSON"),
    ("[]", "is no result of roomtone bench"),
    ("null", "is no result of roomtone bench"),
    ("{}", "roomtone_bench: is no result of roomtone bench"),
    ('{"roomtone_bench": true, "figures": {}}', "roomtone_bench: is no result of roomtone bench"),
    ('{"roomtone_bench": "1", "figures": {}}', "is no result of roomtone bench"),
    ('{"roomtone_bench": 2, "figures": {}}', "a newer roomtone (form 2; this one reads 1); measure again"),
    ('{"roomtone_bench": 0, "figures": {}}', "an older roomtone (form 0"),
    ('{"roomtone_bench": 1}', "figures: has no figures"),
    ('{"roomtone_bench": 1, "figures": []}', "figures: has no figures"),
    ('{"roomtone_bench": 1, "figures": {"f": NaN}}', "NaN is no number"),
    (with_figure(None), "figures['f']: is no figure"),
    (with_figure([]), "figures['f']: is no figure"),
    (with_figure({**GOOD, "better": "sideways"}), "is no figure (ValueError"),
    (with_figure({**GOOD, "value": "fast"}), "is no figure (ValueError"),
    (with_figure({**GOOD, "value": 10**400}), "is no figure (OverflowError"),
    (with_figure({**GOOD, "samples": 3}), "is no figure (TypeError"),
    (with_figure({**GOOD, "samples": ["inf"]}), "not finite"),
    (with_figure(GOOD).replace("2.0", "1e999", 1), "not finite"),
    (with_figure({k: v for k, v in GOOD.items() if k != "unit"}), "is no figure (KeyError"),
    (with_figure({**GOOD, "unit": "\x1b[31m"}), "a unit that cannot be printed"),
    (with_figure(GOOD, "\x1b[2J"), "is no name of a figure"),
    (with_figure(GOOD, "f" * 201), "is no name of a figure"),
    (with_figure(GOOD, "\ud800"), "is no name of a figure"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE, ids=[message[:40] for _, message in HOSTILE])
def test_a_file_that_is_no_result_is_told_with_file_and_remedy(
    text: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "r.json"
    file.write_text(text)
    with pytest.raises(InputError) as error:
        store.load(str(file))
    told = str(error.value)
    assert told.startswith(f"{file}: ")
    assert message in told
    assert "; " in told
    assert "\x1b" not in told
    assert "\n" not in told


def test_a_path_that_is_no_file_is_told_and_never_waited_for(tmp_path: Path) -> None:
    """A folder, a pipe that nobody writes to, a loop, more than 16 MiB, bytes that are no text, nothing at all."""
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "loop.json").symlink_to(tmp_path / "loop.json")
    with (tmp_path / "large.json").open("wb") as large:
        large.truncate((16 << 20) + 1)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    expected = {
        "folder": "cannot be read (Is a directory)",
        "pipe": "is not a file",
        "loop": "cannot be read (Too many levels of symbolic links)",
        "large": "is larger than any result (16 MiB)",
        "bytes": "is not text (UTF-8)",
        "none": "there is no such file",
    }
    for name, message in expected.items():
        with pytest.raises(InputError) as error:
            store.load(str(tmp_path / f"{name}.json"))
        assert str(error.value).startswith(f"{tmp_path / name}.json: --compare: {message}; ")
