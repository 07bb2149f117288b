"""Looks whether a device that went away is back, from throw-away processes.

Not from here, and not from the engine: PortAudio's list is frozen once it is initialised, to initialise it anew
beside a dead audio server hangs or aborts, and so may the look itself. So each look has a hard time-out.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time

from engine.host.child import python_command, python_environment

INTERVAL_S = 0.75
TIMEOUT_S = 2.5
FOUND, NOT_FOUND = 0, 1
"""Exit codes of a look."""

NICENESS = 10


class DeviceProbe:
    """Looks for one device again and again, from `start` until it is `found` or `stop` is called.

    Devices are named as for `EngineHandle`; None means any output there is.
    """

    def __init__(self) -> None:
        self._leaving = threading.Event()
        self._thread: threading.Thread | None = None
        self.found = False

    def start(self, device: str | None = None) -> None:
        """Begin to look for `device`, anew if need be."""
        self.stop()
        self._leaving = threading.Event()
        self._thread = threading.Thread(
            target=self._look_on, args=(device, self._leaving), name="device probe", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Look no more, and have found nothing; no process is left."""
        self._leaving.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT_S)
            self._thread = None
        self.found = False

    def _look_on(self, device: str | None, leaving: threading.Event) -> None:
        while not leaving.is_set():
            began_s = time.monotonic()
            with contextlib.suppress(OSError):  # no process to be had now: later, perhaps
                if _look(device, leaving):
                    self.found = not leaving.is_set()
                    return
            leaving.wait(max(0.0, began_s + INTERVAL_S - time.monotonic()))


def _look(device: str | None, leaving: threading.Event) -> bool:
    """Return whether the device is there; False too if the look takes too long, or is not wanted any more."""
    command = python_command("engine.host.probe")
    # The answer is the exit code: an audio server that the look wakes up could hold a pipe open.
    child = subprocess.Popen(
        command if device is None else [*command, device],
        env=python_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until_s = time.monotonic() + TIMEOUT_S
    try:
        while child.poll() is None and time.monotonic() < until_s and not leaving.wait(0.02):
            pass
    finally:
        child.kill()
        child.wait()
    return child.returncode == FOUND


def _answer(device: str | None) -> int:
    from engine.host.device_choice import find_output, load_sounddevice

    try:
        find_output(load_sounddevice(), device)
    except Exception:
        return NOT_FOUND
    return FOUND


if __name__ == "__main__":
    os.nice(NICENESS)
    # Without taking leave: with a dead server that hangs.
    os._exit(_answer(sys.argv[1] if len(sys.argv) > 1 else None))
