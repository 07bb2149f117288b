"""Live equals offline: what is played, on a device or without one, is what is rendered, sample for sample."""

import errno
import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.jack_server import JackServer
from benchmarks.soak_live import segments
from engine.control.bounce import bounce
from engine.control.show import Show
from engine.errors import HostError, InputError, ParamError, RoomtoneError
from engine.host.protocol import DriverName
from tests.scenes import small

SECONDS = 2.0


def played(path: Path, driver: DriverName) -> str:
    """Play the small scene for a little more than `SECONDS`, record it, and hash the first of them."""
    with Show(small(), driver=driver, safety_quanta=16, record=path) as show:
        show.stop(at_frame=round((SECONDS + 0.1) * 48_000))
        show.wait(30.0)
        assert show.stopped
    samples = soundfile.read(path, dtype="float32")[0][: round(SECONDS * 48_000)]
    return hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()


def test_live_on_the_null_clock_and_offline_give_the_same_samples(tmp_path: Path) -> None:
    assert played(tmp_path / "take.wav", "null") == bounce(small(), endless=True, duration_s=SECONDS).sha256


@pytest.mark.live
def test_live_on_a_device_and_offline_give_the_same_samples(jack_server: JackServer, tmp_path: Path) -> None:
    reference = bounce(small(), endless=True, duration_s=SECONDS).sha256
    assert played(tmp_path / "take.wav", "portaudio") == reference


def test_a_parameter_turned_live_is_heard_and_a_bad_value_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "take.wav"
    with Show(small(), driver="null", record=path, spare=False) as show:
        show.wait(0.5)
        for track in ("atmo", "car", "bird", "bell"):
            show.set(f"trim.{track}.level_db", -90.0)
        show.set("room.wet_level", 0.0)
        with pytest.raises(ParamError, match=r"room\.wet_level: nan is refused; must be 0 to 1"):
            show.set("room.wet_level", float("nan"))
        assert show.get("room.wet_level") == 0.0
        turned = show.frame
        show.wait(1.0)
    samples = soundfile.read(path)[0]
    assert np.abs(samples[: turned // 2]).max() > 1e-3
    settled = samples[turned + 24_000 :]
    assert len(settled) > 4800
    assert np.abs(settled).max() < 1e-4


def test_meters_and_transport_can_be_read_while_it_plays() -> None:
    with Show(small(), driver="null", spare=False) as show:
        show.wait(1.0)
        assert show.meters.read("meter", "peak").max() > 1e-3
        assert show.meters.read("mix", "peak")[0] > 1e-3
        assert show.meters.read("meter", "momentary_lufs")[0] > -60.0
        first = show.frame
        show.wait(0.3)
        assert show.frame > first
        assert show.statistics().load_mean > 0.0


def test_nothing_is_left_in_shared_memory_after_a_show() -> None:
    before = segments()
    with Show(small(), driver="null", spare=False) as show:
        show.wait(0.2)
        assert segments() != before
    assert segments() <= before


def test_what_cannot_be_recorded_is_refused_before_anything_plays(tmp_path: Path) -> None:
    before = segments()
    with pytest.raises(Exception, match="cannot write"):
        Show(small(), driver="null", record=tmp_path / "take.xyz")
    time.sleep(0.1)
    assert segments() <= before


def test_a_show_that_is_never_started_leaves_no_file(tmp_path: Path) -> None:
    show = Show(small(), driver="null", record=tmp_path / "take.wav", spare=False)
    assert list(tmp_path.iterdir()) == []
    show.close()
    assert list(tmp_path.iterdir()) == []
    assert show.recording is None


def test_a_start_that_fails_leaves_no_file(tmp_path: Path) -> None:
    show = Show(small(), driver="null", record=tmp_path / "take.wav", spare=False)
    os.kill(show._engine.pid, signal.SIGKILL)
    with pytest.raises(HostError), show:
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_recording_may_be_named_by_a_string(tmp_path: Path) -> None:
    with Show(small(), driver="null", record=str(tmp_path / "take.flac"), spare=False) as show:
        show.wait(0.3)
    assert show.recording == tmp_path / "take.flac"
    assert soundfile.info(show.recording).frames > 4800


def test_a_full_disk_is_told_and_the_show_ends(tmp_path: Path) -> None:
    """The reason is kept, and no file is left."""
    with Show(small(), driver="null", record=tmp_path / "take.wav", spare=False) as show:
        assert show._recorder is not None
        assert show._recorder._writer is not None
        show._recorder._writer._bytes.error = OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(RoomtoneError, match=r"take\.wav: cannot be written \(No space left on device"):
            show.wait(10.0)
    assert show.recording is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wish", [{"seed": 7}, {"rate_hz": 44_100}])
def test_a_composition_keeps_its_own_seed_and_rate(wish: dict[str, int]) -> None:
    """Another one is refused, not ignored."""
    with pytest.raises(InputError, match=f"{next(iter(wish))}: a composition has its own"):
        Show(small(), seed=wish.get("seed"), rate_hz=wish.get("rate_hz"), driver="null", spare=False)
