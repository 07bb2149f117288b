import os
import shutil
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from benchmarks.jack_server import JackServer

# No deadline, because shared machines stall; the same examples in every run, because a red test must mean a change.
settings.register_profile("roomtone", deadline=None, derandomize=True)
settings.load_profile("roomtone")


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
    """Keep what the tests break out of the user's own log of incidents."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def jack_daemon() -> Iterator[JackServer]:
    if shutil.which("jackd") is None:
        pytest.skip("jackd is not installed")
    server = JackServer()
    try:
        reason = server.wait_until_ready()
        if reason:
            pytest.skip(f"no JACK server: {reason}")
        yield server
    finally:
        server.close()


@pytest.fixture
def jack_server(jack_daemon: JackServer, monkeypatch: pytest.MonkeyPatch) -> JackServer:
    """A JACK server at 48 kHz and 128 frames that child processes of this test find."""
    for name, value in jack_daemon.variables.items():
        monkeypatch.setenv(name, value)
    return jack_daemon


@pytest.fixture
def no_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have child processes look for a JACK server that is not there."""
    monkeypatch.setenv("JACK_DEFAULT_SERVER", f"nowhere-{os.getpid()}")
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
