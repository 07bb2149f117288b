"""The engine process: its main thread is the DSP loop, its messenger thread serves the control process.

It always ends by `os._exit`: leaving the interpreter normally hangs when an audio server has died, and everything
that must outlive the process belongs to the control process.
"""

import os
import sys
import threading
import traceback
from typing import NoReturn

import numpy as np

from dsp.denormals import denormals_flushed
from engine.errors import HostError, RoomtoneError
from engine.host import priority
from engine.host.callback import compiled_callback
from engine.host.drivers import leave_device, open_driver
from engine.host.dsp_loop import DspLoop
from engine.host.messenger import Messenger
from engine.host.protocol import Inbox, Open, decode
from engine.host.session import DEVICE_LOST, Session
from engine.messages import Failed, Notice, Started, Stopped
from engine.rendering import Renderer
from engine.slots import SLOT_CAPACITY

LEAVE_DEVICE_S = 1.0
LAST_WORDS_S = 1.0


def serve() -> NoReturn:
    """Be an engine for the control process at the other end of stdin and stdout, then end the process."""
    target = os.dup(1)
    os.dup2(2, 1)  # what libraries print must not get between the messages
    code = 1
    try:
        code = _Engine(sys.stdin.fileno(), target).run()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


class _Engine:
    def __init__(self, source: int, target: int) -> None:
        inbox = Inbox(source)
        self._wish, rest = _read_open(inbox)
        self._session = Session.attach(self._wish.memory)
        snapshot = np.zeros(SLOT_CAPACITY)
        renderer = Renderer(self._wish.spec, self._session.params, snapshot)
        renderer.frame = self._wish.first_frame
        self._playing = False
        self._loop = DspLoop(renderer, self._session, self._wish.safety_quanta, self._on_lost)
        self._messenger = Messenger(inbox, rest, target, self._session, renderer, snapshot, self._loop)

    def run(self) -> int:
        """Play until there is nothing more to play; return the exit code."""
        self._messenger.start()
        try:
            if self._wish.driver != "null":
                compiled_callback()  # takes its time, and there is time while the graph is being built
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
        refused = [priority.request_priority(), priority.lock_memory()]
        for text in (notice, *(refused if self._wish.verbose else ())):
            if text:
                self._messenger.post(Notice(text))
        priority.settle()
        with denormals_flushed():
            self._loop.begin(driver)
            self._messenger.post(Started(driver.name, driver.device, driver.latency_s))
            self._messenger.post(Stopped(self._loop.run()))

    def _let_go(self) -> None:
        """Leave the device as the very last thing: it may hang, or even end the process by an assertion."""
        if not self._playing or self._session.statistics[DEVICE_LOST]:
            return
        thread = threading.Thread(target=leave_device, args=(self._loop.driver,), daemon=True)
        thread.start()
        thread.join(LEAVE_DEVICE_S)

    def _on_lost(self, device: str) -> None:
        self._messenger.post(Notice(f"{device} is gone: playing on silently to the null clock"))


def _read_open(inbox: Inbox) -> tuple[Open, list[bytes]]:
    """Return the handshake, and the bodies of messages that came with it."""
    bodies: list[bytes] = []
    while not bodies:
        bodies = inbox.wait(None)
        if inbox.closed:
            raise HostError("the control process ended before it said what to play")
    wish = decode(bodies[0])
    if not isinstance(wish, Open):
        raise HostError(f"the first message must be Open, not {type(wish).__name__}")
    return wish, bodies[1:]
