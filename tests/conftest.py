import os
import re
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from benchmarks.jack_server import JackServer

# No deadline, because shared machines stall; the same examples in every run, because a red test must mean a change.
settings.register_profile("roomtone", deadline=None, derandomize=True)
settings.load_profile("roomtone")


REAL_TIME = re.compile(
    r"\b(Show|EngineHandle|Session|Segment|JackServer|MidiPorts|segments)\b|\"(play|check|live)\""
)
"""What a file has in it that starts engines or servers, or looks at what they leave in shared memory."""


@pytest.hookimpl(tryfirst=True)  # before the plug-in reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, keep a file's tests on one, and all that play in real time one after the other."""
    groups: dict[Path, str] = {}
    for item in items:
        if item.path not in groups:
            plays = REAL_TIME.search(item.path.read_text("utf-8"))
            groups[item.path] = "real time" if plays else item.path.stem
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-live", action="store_true", help="a live test that is skipped fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: "pytest.CallInfo[None]"
) -> "Generator[None, pytest.TestReport, pytest.TestReport]":
    report = yield
    if report.skipped and item.get_closest_marker("live") and item.config.getoption("--require-live"):
        report.outcome = "failed"
        report.longrepr = f"a live test was skipped: {call.excinfo.value if call.excinfo else ''}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _own_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the tests break out of the user's own log of incidents, and the user's library out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROOMTONE_CONFIG", str(tmp_path_factory.mktemp("config")))
        patch.delenv("ROOMTONE_LIBRARY", raising=False)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@contextmanager
def jack_of_its_own(synchronous: bool = False, **shape: int) -> Iterator[JackServer]:
    """A JACK server for whoever asks; skips where there can be none."""
    if shutil.which("jackd") is None:
        pytest.skip("jackd is not installed")
    server = JackServer(**shape, synchronous=synchronous)
    try:
        reason = server.wait_until_ready()
        if reason:
            pytest.skip(f"no JACK server: {reason}")
        yield server
    finally:
        server.close()


def find(server: JackServer, monkeypatch: pytest.MonkeyPatch) -> JackServer:
    """Have child processes of this test find `server`."""
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(scope="session")
def jack_daemon() -> Iterator[JackServer]:
    with jack_of_its_own() as server:
        yield server


@pytest.fixture
def jack_server(jack_daemon: JackServer, monkeypatch: pytest.MonkeyPatch) -> JackServer:
    """A JACK server at 48 kHz and 128 frames that all tests share."""
    return find(jack_daemon, monkeypatch)


@pytest.fixture
def steady_jack_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    """A server for one test alone that loses no MIDI message, however busy the machine is."""
    with jack_of_its_own(period_frames=256, synchronous=True) as server:
        yield find(server, monkeypatch)


@pytest.fixture
def mortal_jack_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    """The same for one test alone, which may kill it."""
    with jack_of_its_own() as server:
        yield find(server, monkeypatch)


@pytest.fixture
def own_jack_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    """A server for one test alone, at another rate and with a period larger than the ring is deep."""
    with jack_of_its_own(rate_hz=44_100, period_frames=1024) as server:
        yield find(server, monkeypatch)


@pytest.fixture
def no_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have child processes look for a JACK server that is not there."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", f"nowhere-{os.getpid()}")
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
