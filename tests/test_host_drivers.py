from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.errors import HostError
from engine.host import portaudio
from engine.host.callback import CALLBACKS, DEVICE_FRAMES, PLAYING, READ, STATE, UNDERRUNS
from engine.host.device_choice import NO_LIBRARY, Unavailable
from engine.host.drivers import open_driver
from engine.host.null_clock import NullClock
from engine.host.protocol import Open
from engine.host.ring import RingWriter
from engine.host.session import Session
from engine.spec import StreamSpec

SPEC = StreamSpec(48_000, 128)


class FakePortAudioError(Exception):
    pass


class FakeSoundDevice:
    """The part of sounddevice that is used, with devices as the test wants them."""

    PortAudioError = FakePortAudioError

    def __init__(
        self,
        devices: list[tuple[str, int]],
        refusal: tuple[str, int] | None = None,
        inputs: tuple[int, ...] = (),
        plays_and_records: bool = True,
    ) -> None:
        self.devices = devices
        self.refusal = refusal
        self.inputs = inputs or (0,) * len(devices)
        self.plays_and_records = plays_and_records
        self.opened: list[dict[str, Any]] = []
        self.default = SimpleNamespace(device=(-1, 0 if devices else -1))
        self._ffi = SimpleNamespace(cast=lambda kind, value: value)
        self._lib = SimpleNamespace(paInvalidSampleRate=-9997, paDeviceUnavailable=-9985)

    def query_devices(self, number: int | None = None) -> Any:
        rows = [
            {
                "name": name,
                "hostapi": 0,
                "max_output_channels": channels,
                "max_input_channels": inputs,
                "default_samplerate": 44_100.0,
            }
            for (name, channels), inputs in zip(self.devices, self.inputs, strict=True)
        ]
        return rows if number is None else rows[number]

    def query_hostapis(self, number: int) -> dict[str, Any]:
        default = next((n for n, inputs in enumerate(self.inputs) if inputs), -1)
        return {"name": "ALSA", "default_output_device": 0, "default_input_device": default}

    def _StreamBase(self, kind: str, **settings: Any) -> SimpleNamespace:
        self.opened.append({"kind": kind, **settings})
        if self.refusal:
            raise FakePortAudioError(*self.refusal)
        if kind == "duplex" and not self.plays_and_records:
            raise FakePortAudioError("Bad I/O device combination", -9993)
        return SimpleNamespace(latency=(0.02, 0.01) if kind == "duplex" else 0.01)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session.create()
    yield session
    session.close()


def wish(session: Session, **settings: Any) -> Open:
    return Open(memory=session.segment.name, spec=SPEC, **settings)


def use(monkeypatch: pytest.MonkeyPatch, fake: FakeSoundDevice | Unavailable) -> None:
    def load() -> FakeSoundDevice:
        if isinstance(fake, Unavailable):
            raise fake
        return fake

    monkeypatch.setattr(portaudio, "load_sounddevice", load)


def test_without_the_library_it_plays_to_the_null_clock_and_says_what_to_install(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Unavailable(NO_LIBRARY))
    driver, notice = open_driver(wish(session), session)
    assert driver.name == "null"
    assert notice is not None
    assert notice.startswith(
        "the PortAudio library is missing: playing silently to the null clock; install it"
    )
    assert "apt install libportaudio2" in notice


def test_without_a_device_it_plays_to_the_null_clock_and_says_what_to_do(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakeSoundDevice([("microphone", 0)]))
    driver, notice = open_driver(wish(session), session)
    assert driver.name == "null"
    assert notice == (
        "no audio device found (PortAudio sees none): playing silently to the null clock; "
        "plug one in or start JACK or PipeWire, then see `roomtone devices`"
    )


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("flute", "there is no output device 'flute'; there is: left box, ALSA; right box, ALSA"),
        ("box", "'box' names several devices; say which: left box, ALSA; right box, ALSA"),
    ],
)
def test_a_device_that_was_named_and_cannot_be_had_is_an_error_that_lists_the_others(
    session: Session, monkeypatch: pytest.MonkeyPatch, device: str, said: str
) -> None:
    use(monkeypatch, FakeSoundDevice([("left box", 2), ("right box", 2)]))
    with pytest.raises(HostError, match=said):
        open_driver(wish(session, device=device), session)


def test_a_device_at_another_rate_is_an_error_that_names_the_rate(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakeSoundDevice([("box", 2)], refusal=("Invalid sample rate", -9997)))
    with pytest.raises(HostError, match=r"box \(ALSA\) runs at 44100 Hz .*: start with `--rate 44100`"):
        open_driver(wish(session), session)


def test_a_busy_device_falls_back_unless_it_was_named(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, FakeSoundDevice([("box", 2)], refusal=("Device unavailable", -9985)))
    driver, notice = open_driver(wish(session), session)
    assert driver.name == "null"
    assert notice is not None
    assert "box (ALSA) is busy: playing silently" in notice
    with pytest.raises(HostError, match="is busy"):
        open_driver(wish(session, device="box"), session)


def test_a_device_is_found_by_part_of_its_name_and_opened_with_the_quantum(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeSoundDevice([("inner speaker", 2), ("USB box", 8), ("mono", 1)])
    use(monkeypatch, fake)
    for name, number, channels in (("usb", 1, 2), ("mono", 2, 1)):
        driver, notice = open_driver(wish(session, device=name), session)
        assert notice is None
        assert driver.latency_s == 0.01
        assert fake.opened[-1]["device"] == number
        assert fake.opened[-1]["channels"] == channels
        assert fake.opened[-1]["blocksize"] == 128


def test_latency_and_block_size_are_asked_for_as_wished(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeSoundDevice([("box", 2)])
    use(monkeypatch, fake)
    for latency in ("low", "high", 0.05):
        open_driver(wish(session, latency=latency, blocksize_frames=512), session)
        assert fake.opened[-1]["latency"] == latency
        assert fake.opened[-1]["blocksize"] == 512


@pytest.mark.parametrize(
    ("devices", "inputs", "named", "number"),
    [
        ([("box", 2)], (2,), None, 0),
        ([("speaker", 2), ("microphone", 0)], (0, 2), None, 1),
        ([("box", 2), ("other", 0)], (2, 2), "other", 1),
    ],
)
def test_live_input_comes_from_the_same_device_or_the_default_or_the_one_named(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    devices: list[tuple[str, int]],
    inputs: tuple[int, ...],
    named: str | None,
    number: int,
) -> None:
    fake = FakeSoundDevice(devices, inputs=inputs)
    use(monkeypatch, fake)
    driver, notice = open_driver(wish(session, input_channels=2, input_device=named), session)
    assert notice is None
    assert driver.latency_s == 0.01
    opened = fake.opened[-1]
    assert (opened["kind"], opened["device"], opened["channels"]) == ("duplex", (number, 0), (2, 2))
    assert session.inputs.counters[1] == 2


@pytest.mark.parametrize(
    ("inputs", "together", "named", "said"),
    [
        ((1,), True, None, "no live input: box has 1 of 2 input channels"),
        ((0,), True, None, "no live input: ALSA has no input device; see `roomtone devices`"),
        ((2,), True, "flute", "no live input: there is no ALSA input device 'flute'; there is: box, ALSA"),
        (
            (2,),
            False,
            None,
            "no live input: box (ALSA) does not play and record at once (Bad I/O device combination)",
        ),
    ],
)
def test_where_there_is_no_live_input_it_plays_all_the_same_and_says_why(
    session: Session,
    monkeypatch: pytest.MonkeyPatch,
    inputs: tuple[int, ...],
    together: bool,
    named: str | None,
    said: str,
) -> None:
    fake = FakeSoundDevice([("box", 2)], inputs=inputs, plays_and_records=together)
    use(monkeypatch, fake)
    driver, notice = open_driver(wish(session, input_channels=2, input_device=named), session)
    assert (driver.name, notice) == ("portaudio", said)
    assert (fake.opened[-1]["kind"], fake.opened[-1]["channels"]) == ("output", 2)
    assert session.inputs.counters[1] == 0


class DeadStream(SimpleNamespace):
    """A stream that stops being active, or cannot even say so."""

    @property
    def active(self) -> bool:
        if self.state is None:
            raise FakePortAudioError("Internal error")
        return bool(self.state)

    def start(self) -> None:
        pass


@pytest.mark.parametrize("state", [False, None])
def test_a_stream_that_is_not_active_any_more_is_lost_at_the_next_look(
    session: Session, monkeypatch: pytest.MonkeyPatch, state: bool | None
) -> None:
    stream = DeadStream(latency=0.01, state=True)
    fake = FakeSoundDevice([("box", 2)])
    monkeypatch.setattr(fake, "_StreamBase", lambda kind, **settings: stream)
    monkeypatch.setattr(portaudio, "LOOK_INTERVAL_S", 0.0)
    use(monkeypatch, fake)
    driver, _ = open_driver(wish(session), session)
    driver.start()
    assert not driver.lost()
    stream.state = state
    assert driver.lost()


@pytest.mark.parametrize(("block_frames", "patience_s"), [(128, 0.2), (4096, 8 * 4096 / 48_000)])
def test_a_device_is_lost_when_it_does_not_ask_but_not_when_the_whole_machine_stood_still(
    session: Session, monkeypatch: pytest.MonkeyPatch, block_frames: int, patience_s: float
) -> None:
    """After 0.2 s or 8 blocks, whichever is longer; 3 s for the first time; a minute between two looks is no sign."""
    clock = Clock()
    fake = FakeSoundDevice([("box", 2)])
    monkeypatch.setattr(fake, "_StreamBase", lambda kind, **settings: DeadStream(latency=0.01, state=True))
    monkeypatch.setattr(portaudio, "time", SimpleNamespace(monotonic=clock))
    use(monkeypatch, fake)
    driver, _ = open_driver(wish(session), session)
    driver.start()

    def lost_after_s(most_s: float) -> float:
        began_s = clock.now_s
        while not driver.lost() and clock.now_s < began_s + most_s:
            clock.now_s += 0.001
        return clock.now_s - began_s

    assert lost_after_s(2.9) >= 2.9
    session.counters[[CALLBACKS, DEVICE_FRAMES]] = 1, block_frames
    assert not driver.lost()
    clock.now_s += 60.0
    assert not driver.lost()
    session.counters[CALLBACKS] = 2
    assert lost_after_s(2.0) == pytest.approx(patience_s, abs=0.003)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_null_clock_keeps_pace_with_its_start_time_and_never_drifts(session: Session) -> None:
    clock = Clock()
    driver = NullClock(session, SPEC, clock)
    writer = RingWriter(session)
    session.counters[STATE] = PLAYING
    block = np.zeros((128, 2), np.float32)
    driver.start()
    random = np.random.default_rng(3)
    for _ in range(20_000):
        while writer.waiting_frames < 1024:
            writer.write(block)
        clock.now_s += random.uniform(0.0, 0.01)
        driver.advance()
        expected = (clock.now_s - 1000.0) * 48_000
        assert expected - 129 < int(session.counters[READ]) <= expected
    assert int(session.counters[UNDERRUNS]) == 0
    assert int(session.counters[CALLBACKS]) > 0


def test_null_clock_catches_up_after_a_stall_but_not_after_a_long_sleep(session: Session) -> None:
    clock = Clock()
    driver = NullClock(session, SPEC, clock)
    writer = RingWriter(session)
    session.counters[STATE] = PLAYING
    driver.start()

    def play(seconds: float) -> int:
        clock.now_s += seconds
        for _ in range(int(seconds * 375) + 10):
            while writer.waiting_frames < 256:
                writer.write(np.zeros((128, 2), np.float32))
            driver.advance()
        return int(session.counters[READ])

    assert play(0.5) == 24_000 // 128 * 128
    assert int(session.counters[UNDERRUNS]) == 1
    assert session.underruns_since(0) == [(256, 24_000 // 128 * 128 - 256, -1)]
    assert play(60.0) < 24_000 + 48_000
    assert play(0.5) >= 24_000 + 24_000 - 128
