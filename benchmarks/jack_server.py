"""A JACK server of our own on the dummy driver: a true audio device without hardware."""

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

RATE_HZ = 48_000
PERIOD_FRAMES = 128
READY_S = 15.0
REVIVALS = 5


def _sees_system(env: dict[str, str]) -> tuple[bool, str]:
    """Ask a child process, which may hang, whether PortAudio sees the JACK server; and if not, why."""
    probe = "import sounddevice as sd; print([d['name'] for d in sd.query_devices()])"
    try:
        done = subprocess.run(
            [sys.executable, "-c", probe], env=env, capture_output=True, text=True, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        return False, "PortAudio hangs"
    if done.returncode:
        return False, done.stderr.strip().splitlines()[-1]
    return "system" in done.stdout, f"PortAudio sees {done.stdout.strip()}"


def _forget_dead_servers() -> bool:
    """Remove the register of servers, of which there can be 8, if all in it are dead; return whether there was one."""
    names = []
    for name in Path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # it may have ended meanwhile
            names.append(name.read_text().strip())
    register = Path("/dev/shm/jack-shm-registry")
    if "jackd" in names or not register.exists():
        return False
    register.unlink()
    return True


class JackServer:
    """A JACK server of our own on the dummy driver, which no other JACK program finds.

    A `synchronous` one waits for its clients: on a busy machine the others lose MIDI messages.
    """

    def __init__(
        self, rate_hz: int = RATE_HZ, period_frames: int = PERIOD_FRAMES, synchronous: bool = False
    ) -> None:
        self.name = f"roomtone-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self.variables = {
            "JACK_DEFAULT_SERVER": self.name,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        options = "-r --no-mlock" + synchronous * " -S"
        self._command = f"jackd -n {self.name} {options} -d dummy -r {rate_hz} -p {period_frames}".split()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        self.process = self._spawn()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command,
            env={**os.environ, **self.variables},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def wait_until_ready(self) -> str:
        """Return "" once PortAudio sees the server, or why it does not."""
        until_s = time.monotonic() + READY_S
        reason = ""
        while time.monotonic() < until_s:
            if self.process.poll() is not None and _forget_dead_servers():
                self.process = self._spawn()
            if self.process.poll() is not None:
                self._log.seek(0)
                lines = self._log.read().decode(errors="replace").splitlines()[-2:]
                return f"jackd ended with exit code {self.process.returncode}: {' '.join(lines)}"
            ready, reason = _sees_system({**os.environ, **self.variables})
            if ready:
                return ""
            time.sleep(0.2)
        return reason

    def revive(self) -> None:
        """Start the server again after `kill`; one that finds the other's remains in its way starts once more."""
        for _ in range(REVIVALS):
            self.process = self._spawn()
            try:
                self.process.wait(0.3)
            except subprocess.TimeoutExpired:
                return

    def kill(self) -> None:
        """End the server as a crash would."""
        self.process.kill()
        self.process.wait(5)

    def close(self) -> None:
        """End the server and have it remove its shared memory and its place among the 8 a machine can have.

        A killed one leaves both; the next of the same name takes them over, and can then end properly.
        """
        if self.process.poll() is not None:
            self.process = self._spawn()
            self.wait_until_ready()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def serving(
    rate_hz: int = RATE_HZ, period_frames: int = PERIOD_FRAMES, synchronous: bool = False
) -> Iterator[JackServer]:
    """A server that this process and its children find, until the block ends; raises RuntimeError without one."""
    server = JackServer(rate_hz, period_frames, synchronous)
    before = {name: os.environ.get(name) for name in server.variables}
    try:
        os.environ.update(server.variables)
        if reason := server.wait_until_ready():
            raise RuntimeError(f"no JACK server: {reason}")
        yield server
    finally:
        server.close()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
