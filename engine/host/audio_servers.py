"""Which audio servers run, and at what rate and buffer. JACK is asked in a throw-away process: its library may hang."""

import contextlib
import ctypes
import json
import os
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.host.ask import ask
from engine.host.child import python_command, python_environment

TIMEOUT_S = 4.0
CONNECT_S = 1.0

_LIBRARIES = {"darwin": "libjack.0.dylib", "win32": "libjack64.dll"}
_NO_START_SERVER = 1
"""JackNoStartServer of jack/types.h."""


@dataclass(frozen=True, slots=True)
class AudioServer:
    """A server that runs; rate and buffer are None where it does not tell.

    `realtime` says whether its clients get real-time priority from it (None: unknown), `version` what its library
    calls itself.
    """

    rate_hz: int | None
    buffer_frames: int | None
    realtime: bool | None = None
    version: str = ""


def ask_jack(timeout_s: float = TIMEOUT_S) -> AudioServer | None:
    """Return the JACK server that a client would find now, never starting one; None if there is none.

    Raises TimeoutError if it does not answer.
    """
    answer = ask(python_command("engine.host.audio_servers"), timeout_s, python_environment())
    try:
        told = json.loads(answer.output.splitlines()[-1])
    except (IndexError, ValueError):  # the library ended the process
        return None
    return AudioServer(**told) if told else None


def ask_pipewire(
    environment: Mapping[str, str] = os.environ, timeout_s: float = TIMEOUT_S
) -> AudioServer | None:
    """Return the PipeWire server of this user, None if there is none.

    Its rate and buffer are those it uses unless a program asks for others. Raises TimeoutError if it does not answer.
    """
    if not _listens(pipewire_socket(environment)):
        return None
    command = shutil.which("pw-metadata", path=environment.get("PATH"))
    if command is None:
        return AudioServer(None, None)
    try:
        answer = ask([command, "-n", "settings", "0"], timeout_s, environment)
    except TimeoutError:
        raise
    except OSError:
        return AudioServer(None, None)
    return AudioServer(*pipewire_settings(answer.output))


def pipewire_socket(environment: Mapping[str, str]) -> Path:
    """Return where PipeWire listens, by the variables its own clients go by."""
    folder = environment.get("PIPEWIRE_RUNTIME_DIR") or environment.get("XDG_RUNTIME_DIR") or ""
    return Path(folder or "/nowhere", environment.get("PIPEWIRE_REMOTE") or "pipewire-0")


def pipewire_settings(printed: str) -> tuple[int | None, int | None]:
    """Return rate (Hz) and buffer (frames) from what `pw-metadata -n settings 0` prints; forced ones come first."""
    values = {key: int(value) for key, value in re.findall(r"key:'clock\.([a-z-]+)' value:'(\d+)'", printed)}
    rate, quantum = (values.get(f"force-{what}") or values.get(what) for what in ("rate", "quantum"))
    return rate, quantum


def _listens(path: Path) -> bool:
    if not hasattr(socket, "AF_UNIX"):
        return False
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
        client.settimeout(CONNECT_S)
        try:
            client.connect(str(path))
        except OSError:  # a path that is too long for a socket as well
            return False
    return True


def _answer() -> dict[str, Any] | None:
    try:
        jack = ctypes.CDLL(_LIBRARIES.get(sys.platform, "libjack.so.0"))
    except OSError:
        return None
    jack.jack_client_open.restype = ctypes.c_void_p
    jack.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
    status = ctypes.c_int()
    client = jack.jack_client_open(b"roomtone-check", _NO_START_SERVER, ctypes.byref(status))
    if not client:
        return None
    handle = ctypes.c_void_p(client)
    version = ""
    with contextlib.suppress(AttributeError):  # JACK 1 has no such function
        jack.jack_get_version_string.restype = ctypes.c_char_p
        version = jack.jack_get_version_string().decode(errors="replace")
    rate, buffer = jack.jack_get_sample_rate(handle), jack.jack_get_buffer_size(handle)
    server = AudioServer(rate, buffer, bool(jack.jack_is_realtime(handle)), version)
    jack.jack_client_close(handle)
    return asdict(server)


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(_answer())}\n")
    sys.stdout.flush()
    os._exit(0)  # leaving normally hangs where the server has died meanwhile
