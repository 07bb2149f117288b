"""The engine process: its main thread is the DSP loop, its messenger thread serves the control process.

It always ends by `os._exit`: leaving the interpreter normally hangs when an audio server has died, and everything
that must outlive the process belongs to the control process.
"""

import gc
import os
import sys
import threading
import traceback
from importlib import import_module
from typing import NoReturn

import numpy as np

from dsp.denormals import denormals_flushed
from engine.errors import HostError, RoomtoneError
from engine.host import priority
from engine.host.callback import compiled_callback
from engine.host.compile_guard import CompileGuard
from engine.host.drivers import get_ready, leave_device, open_driver
from engine.host.dsp_loop import DspLoop
from engine.host.framing import Inbox, write_all
from engine.host.messenger import Messenger
from engine.host.protocol import Open, decode, encode
from engine.host.session import DEVICE_LOST, Session
from engine.messages import DeviceLost, Failed, Notice, Preload, Ready, Started, Stopped
from engine.rendering import Renderer
from engine.slots import SLOT_CAPACITY

LEAVE_DEVICE_S = 1.0
LAST_WORDS_S = 1.0
ORPHAN_S = 3.0
"""How long an engine whose control process is gone may take to end its sound; a driver may hang for ever."""


def serve(spare: bool = False) -> NoReturn:
    """Be an engine for the control process at the other end of stdin and stdout, then end the process.

    A `spare` one imports what it is told to in the background.
    """
    target = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not get between the messages
    code = 1
    try:
        code = _Engine(sys.stdin.fileno(), target, spare).run()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class _Engine:
    def __init__(self, source: int, target: int, spare: bool) -> None:
        inbox = Inbox(source)
        self._wish, rest = _read_open(inbox, target, spare)
        self._session = Session.attach(self._wish.memory)
        snapshot = np.zeros(SLOT_CAPACITY)
        self._renderer = Renderer(self._wish.spec, self._session.params, snapshot, self._session.moves)
        self._renderer.frame = self._wish.first_frame
        self._playing = False
        self._guard = CompileGuard(lambda: self._renderer.frame)
        self._loop = DspLoop(
            self._renderer, self._session, self._wish.safety_quanta, self._on_lost, self._wish.adapt
        )
        self._messenger = Messenger(
            inbox, rest, target, self._session, self._renderer, snapshot, self._loop, self._guard
        )

    def run(self) -> int:
        """Play until there is nothing more to play; return the exit code."""
        self._messenger.start()
        threading.Thread(target=self._end_orphan, name="orphan", daemon=True).start()
        try:
            get_ready(self._wish)  # there is time while the graph is being built
            for module in self._wish.modules:
                import_module(module)
            self._messenger.begin.wait()
            if not self._messenger.quitting.is_set():
                self._play()
                self._messenger.quitting.wait()
        except Exception as error:
            traceback.print_exc()
            known = isinstance(error, RoomtoneError)
            self._messenger.post(Failed(str(error) if known else f"{type(error).__name__}: {error}"))
            return 1
        finally:
            self._messenger.finish(LAST_WORDS_S)
            self._let_go()
        return 0

    def _play(self) -> None:
        self._playing = True
        driver, notice = open_driver(self._wish, self._session)
        if notice:
            self._messenger.post(Notice(notice))
        rights = priority.request_rights(self._messenger.native_id)
        priority.settle()
        with denormals_flushed():
            self._loop.begin(driver)
            self._guard.arm()
            self._messenger.post(
                Started(driver.name, driver.device, driver.latency_s, rights, driver.input_latency_s)
            )
            self._messenger.post(Stopped(self._loop.run(), *(self._renderer.fade or ())))

    def _let_go(self) -> None:
        """Leave the device as the very last thing: it may hang, or even end the process by an assertion."""
        if not self._playing or self._session.statistics[DEVICE_LOST]:
            return
        thread = threading.Thread(target=leave_device, args=(self._loop.driver,), daemon=True)
        thread.start()
        thread.join(LEAVE_DEVICE_S)

    def _end_orphan(self) -> None:
        """End the process if nobody is left to end it and a driver keeps the main thread."""
        self._messenger.orphaned.wait()
        threading.Event().wait(ORPHAN_S)
        os._exit(1)

    def _on_lost(self, device: str) -> None:
        self._messenger.post(DeviceLost(device, self._renderer.frame))


def _read_open(inbox: Inbox, target: int, spare: bool) -> tuple[Open, list[bytes]]:
    """Return the handshake, and the bodies of messages that came with it; get ready as told until it comes."""
    bodies: list[bytes] = []
    while True:
        while not bodies:
            bodies = inbox.wait(None)
            if inbox.closed:
                raise HostError("the control process ended before it said what to play")
        message = decode(bodies.pop(0))
        if isinstance(message, Open):
            return message, bodies
        if not isinstance(message, Preload):
            raise HostError(f"the first message must be Open, not {type(message).__name__}")
        _preload(message.modules, spare)
        write_all(target, encode(Ready()))


def _preload(modules: tuple[str, ...], spare: bool) -> None:
    def load() -> None:
        compiled_callback()
        for module in modules:
            try:
                import_module(module)
            except Exception:  # the graph that needs it will say so
                traceback.print_exc()
        gc.collect()
        gc.freeze()  # so that it takes no time when it is wanted

    if spare:
        priority.in_background(load)
    else:
        load()
