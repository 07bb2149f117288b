"""`roomtone match` as a user meets it: pair, reference, file, mistakes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from benchmarks.peers.mixed_pairs import RATE_HZ, Mix, at_level, procedural
from engine.learn.bands import BANDS
from tests.command import as_json, run_here

MIX = Mix(3.0 * np.sin(np.arange(BANDS) / 4.0), -35.0, 4.0, 20.0, 150.0, 5.0, -20.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("match")
    raw = at_level(procedural(np.random.default_rng([3, 1])), -20.0)[:88_200]
    soundfile.write(made / "raw.wav", raw, RATE_HZ, subtype="PCM_24")
    soundfile.write(made / "mixed.flac", np.clip(MIX.applied(raw), -1.0, 1.0), RATE_HZ, subtype="PCM_24")
    other = at_level(procedural(np.random.default_rng([4, 1])), -14.0)
    soundfile.write(made / "other.wav", other, RATE_HZ, subtype="FLOAT")
    (made / "words.wav").write_text("these are words")
    return made


def test_json_and_file_lack_a_setting_or_differ(folder: Path) -> None:
    """Files of 24 bits: ratio within 3 %, attack and release within 10 %; both hold the same numbers."""
    found = as_json(run_here("match", "raw.wav", "mixed.flac", "--json", "--out", "set.yaml", cwd=folder))
    assert found["mode"] == "pair"
    assert found["unknown"] == []
    assert found["compressor"]["ratio"] == pytest.approx(4.0, rel=0.03)
    assert found["compressor"]["attack_ms"] == pytest.approx(20.0, rel=0.1)
    assert found["compressor"]["release_ms"] == pytest.approx(150.0, rel=0.1)
    assert len(found["bands"]) == len(found["equaliser"]["curve_db"]) == 31
    assert np.mean(found["equaliser"]["curve_db"]) == pytest.approx(0.0, abs=0.001)
    written = yaml.safe_load((folder / "set.yaml").read_text("utf-8"))
    for name in ("equaliser", "compressor", "gain_db", "balance_db"):
        assert written[name] == found[name]
    again = run_here("match", "raw.wav", "mixed.flac", "--out", "set.yaml", cwd=folder)
    assert again.returncode == 0
    for word in ("Threshold", "Release (ms)", "16000", "STFT distance", "written to set.yaml"):
        assert word in again.stdout


def test_a_reference_claims_what_it_cannot_know(folder: Path) -> None:
    found = as_json(run_here("match", "raw.wav", "--reference", "other.wav", "--json", cwd=folder))
    assert found["mode"] == "reference"
    assert found["unknown"] == ["threshold_db", "ratio", "attack_ms", "release_ms"]
    assert max(abs(band["gain_db"]) for band in found["bands"]) <= 6.0
    shown = run_here("match", "raw.wav", "--reference", "other.wav", cwd=folder).stdout
    assert "unknown" in shown
    assert "do not tell" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("raw.wav",), "either MIXED or --reference"),
        (("raw.wav", "mixed.flac", "--reference", "other.wav"), "either MIXED or --reference"),
        (("raw.wav", "other.wav"), "do not belong together"),
        (("raw.wav", "missing.wav"), "missing.wav"),
        (("words.wav", "mixed.flac"), "words.wav: "),
        (("raw.wav", "mixed.flac", "--out", "other.wav"), "holds something else"),
        (("raw.wav", "mixed.flac", "--out", "raw.wav"), "is one of the sounds"),
        (("raw.wav", "mixed.flac", "--out", "nowhere/set.yaml"), "a folder that is there"),
    ],
)
def test_a_mistake_ends_in_a_traceback_or_loses_a_file(
    folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    """One line each, exit code 2, and every file as it was."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = run_here("match", *arguments, cwd=folder)
    assert done.returncode == 2
    assert message in done.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_help_lacks_an_example(folder: Path) -> None:
    shown = run_here("match", "--help", cwd=folder).stdout
    assert "--reference" in shown
    assert "Examples" in shown
