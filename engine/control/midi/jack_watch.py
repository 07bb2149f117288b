"""Watches a JACK server: whether it goes, whether anything changes, and what is connected. rtmidi tells none of it.

A port that goes and comes back between two looks has the same name and is no longer connected.

The server waits for its clients while it notifies them. So it is given functions of the C library to call: Python
code would wait for the interpreter, which may be waiting for the server just then.
"""

import ctypes
import sys
from collections.abc import Iterator

LIBRARIES = {"darwin": "libjack.0.dylib", "win32": "libjack64.dll"}
_NO_START_SERVER = 1
"""JackNoStartServer of jack/types.h."""

_SEMAPHORE_BYTES = 64
"""More than any system's sem_t takes."""


class _Semaphore:
    """A semaphore that C code posts and nobody waits for."""

    def __init__(self, libc: ctypes.CDLL) -> None:
        self._libc = libc
        self.memory = ctypes.create_string_buffer(_SEMAPHORE_BYTES)
        if libc.sem_init(self.memory, 0, 0):
            raise OSError("this system has no semaphores in memory")

    def take(self) -> bool:
        """Return whether it was posted since the last call."""
        posted = False
        while self._libc.sem_trywait(self.memory) == 0:
            posted = True
        return posted


class JackWatch:
    """A client of its own, without ports. Raises OSError where there is no library or no server."""

    def __init__(self, name: str) -> None:
        jack = self._jack = ctypes.CDLL(LIBRARIES.get(sys.platform, "libjack.so.0"))
        libc = ctypes.CDLL(None)
        self._lost, self._changed = _Semaphore(libc), _Semaphore(libc)
        jack.jack_client_open.restype = jack.jack_port_by_name.restype = ctypes.c_void_p
        jack.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p]
        jack.jack_port_by_name.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        jack.jack_port_get_all_connections.restype = ctypes.POINTER(ctypes.c_char_p)
        jack.jack_port_get_all_connections.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        jack.jack_free.argtypes = [ctypes.c_void_p]
        for function in (jack.jack_on_shutdown, jack.jack_set_graph_order_callback):
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        for function in (jack.jack_activate, jack.jack_deactivate, jack.jack_client_close):
            function.argtypes = [ctypes.c_void_p]
        status = ctypes.c_int()
        self._client = jack.jack_client_open(name.encode(), _NO_START_SERVER, ctypes.byref(status))
        if not self._client:
            raise OSError("no JACK server")
        post = ctypes.cast(libc.sem_post, ctypes.c_void_p)
        jack.jack_on_shutdown(self._client, post, self._lost.memory)
        jack.jack_set_graph_order_callback(self._client, post, self._changed.memory)
        if jack.jack_activate(self._client):
            raise OSError("the JACK server does not take a client")

    def lost(self) -> bool:
        """Return whether the server has gone since the last call."""
        return self._lost.take()

    def changed(self) -> bool:
        """Return whether connections have changed since the last call."""
        return self._changed.take()

    def connections(self, port: str) -> Iterator[str]:
        """Return the ports that `port` is connected to; none if there is no such port."""
        jack = self._jack
        found = jack.jack_port_by_name(self._client, port.encode())
        names = jack.jack_port_get_all_connections(self._client, found) if found else None
        if names:
            place = 0
            while names[place]:
                yield names[place].decode(errors="replace")
                place += 1
            jack.jack_free(names)

    def close(self) -> None:
        """Take leave of the server; without it a synchronous one waits for who has just disappeared."""
        self._jack.jack_deactivate(self._client)
        self._jack.jack_client_close(self._client)
