"""Whatever a node puts out: what is heard stays finite and does not step, comes back, and the fault names the node."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from engine.events import Event
from engine.node import Node, Processor
from engine.nodes import Compressor, Limiter, Mix, OutputMeter, Players, Room, Trims, Unmask
from engine.rendering import Graph
from engine.spec import Block
from tests.test_bridge import OUT, STEP, Bank, Gain, Tone, bend, rig_of, wired
from tests.test_rendering import Rig

RATE_HZ = 48_000
TRACKS = ("a", "b", "c")
FAULT_AT = 48_000
DECAY = 1.0 - np.exp(-1e3 / RATE_HZ)
"""How fast a lane that is given up moves, of its last sample a frame."""


PAIR = Mix(("x", "y"), (0.0, 0.0), (-90.0, -90.0), (True, True))


def scene() -> Graph:
    nodes: dict[str, Node] = {
        "tracks": Players((0, 1, 2), voices=16),
        "trim": Trims(TRACKS, (-23.0, -26.0, -20.0), -23.0),
        "unmask": Unmask(TRACKS, (0.9, 0.1, 0.5), ("never",) * 3),
        "mix": Mix(TRACKS, (0.0, -0.3, 0.3), (-12.0, -12.0, -12.0), (True, True, True)),
        "room": Room(0.3, 0.5, 0.3, 1.0),
        "glue": Compressor(),
        "limiter": Limiter(),
        "meter": OutputMeter(),
    }
    return wired(nodes, "tracks trim unmask mix glue limiter meter", "mix.send room glue", output="meter")


def scene_rig(quantum: int = 128, level: float = 0.04) -> Rig:
    """Tones of 60, 75 and 90 Hz on three tracks."""
    rig = rig_of(scene(), quantum)
    t = np.arange(3 * RATE_HZ) / RATE_HZ
    for i, hz in enumerate((60.0, 75.0, 90.0)):
        clip = np.repeat((level * np.sin(2 * np.pi * hz * t))[:, None], 2, axis=1).astype(np.float32)
        rig.clips.add(i, clip)
        rig.events.push(Event(0, i, i, 0, len(clip), 4800, 0))
    return rig


def processor_of(rig: Rig, name: str) -> Processor:
    return rig.plan.layout.parts[name].processor


def poison(
    rig: Rig,
    name: str,
    value: float,
    *,
    port: int = 0,
    lanes: Sequence[int] | None = None,
    at: int = FAULT_AT,
    frames: int = 1,
) -> None:
    """Have `name` put out `value` on some samples of each quantum that begins in `frames` from `at` on."""
    processor = processor_of(rig, name)
    process = processor.process

    def poisoned(ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        process(ins, outs, frame)
        if at <= frame < at + frames:
            outs[port][5:9, list(lanes) if lanes is not None else slice(None)] = value

    processor.process = poisoned  # type: ignore[method-assign]


def level_db(signal: Block) -> float:
    return float(10 * np.log10(np.mean(signal.astype(np.float64) ** 2)))


def check_recovery(rig: Rig, name: str, clean: Block, *, quantum: int = 128) -> Block:
    """Finite, no step but the decay's, named, and within 0.1 dB of a clean run from 50 ms after the fault on."""
    heard = rig.render(len(clean) // quantum)
    assert np.isfinite(heard).all()
    peak = float(np.abs(clean).max())
    assert bend(heard) < bend(clean) + 2 * DECAY * peak + STEP
    faults = list(rig.renderer.faults)
    assert [fault.node for fault in faults] == [name]
    assert faults[0].frame == FAULT_AT // quantum * quantum
    assert np.array_equal(heard[:FAULT_AT], clean[:FAULT_AT])
    after = FAULT_AT + 2400
    for begin in range(after, len(clean) - 3200 + 1, 3200):
        window = slice(begin, begin + 3200)
        assert level_db(heard[window]) == pytest.approx(level_db(clean[window]), abs=0.1)
    return heard


@pytest.fixture(scope="module")
def clean() -> Block:
    return scene_rig().render(550)


every_node = pytest.mark.parametrize(
    "name", ["tracks", "trim", "unmask", "mix", "room", "glue", "limiter", "meter"]
)


@every_node
@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e30])
def test_a_quantum_of_nonsense_is_heard_or_silences_for_long(name: str, value: float, clean: Block) -> None:
    """All lanes of one quantum: no second difference above twice the decay's and -60 dBFS; 0.1 dB after 50 ms."""
    rig = scene_rig()
    poison(rig, name, value)
    check_recovery(rig, name, clean)
    assert rig.renderer.faults[0].what.endswith("(all lanes) ran away; muted and healed")


@pytest.mark.parametrize("quantum", [16, 480, 2000])
@pytest.mark.parametrize("name", ["trim", "room", "limiter"])
def test_a_long_quantum_of_nonsense_steps(name: str, quantum: int) -> None:
    """As above; of 2000 frames, 42 ms, the quantum itself is silent, so the level is right 100 ms after it began."""
    clean = scene_rig(quantum).render(72_000 // quantum)
    rig = scene_rig(quantum)
    poison(rig, name, np.nan)
    heard = rig.render(72_000 // quantum)
    assert bend(heard) < bend(clean) + 2 * DECAY * float(np.abs(clean).max()) + STEP
    assert [fault.node for fault in rig.renderer.faults] == [name]
    late = slice(FAULT_AT + 4800, FAULT_AT + 8000)
    assert level_db(heard[late]) == pytest.approx(level_db(clean[late]), abs=0.15)


def test_the_tail_of_a_room_that_was_reset_begins_with_a_click() -> None:
    """Where the first echoes are back, 31 ms after it, the second difference is the programme's + 1e-3."""
    clean, rig = scene_rig(level=0.2).render(500), scene_rig(level=0.2)
    poison(rig, "room", np.nan)
    late = slice(FAULT_AT + 1500, None)
    assert bend(rig.render(500)[late]) < bend(clean[late]) + STEP


def test_a_compressor_that_forgot_its_envelope_is_too_loud_for_long() -> None:
    """Under 5 dB of reduction it takes its attack anew: 1.3 dB after 50 ms, 0.1 dB after 200 ms."""
    clean, rig = scene_rig(level=0.2).render(500), scene_rig(level=0.2)
    poison(rig, "glue", np.nan)
    heard = rig.render(500)
    for after_ms, off_db in ((50, 1.3), (200, 0.1)):
        window = slice(FAULT_AT + 48 * after_ms, FAULT_AT + 48 * after_ms + 3200)
        assert level_db(heard[window]) == pytest.approx(level_db(clean[window]), abs=off_db)


@pytest.mark.parametrize(
    ("name", "tap", "lane"),
    [
        ("tracks", "tracks.bank", 4),
        ("trim", "trim.bank", 1),
        ("unmask", "unmask.bank", 2),
        ("mix", "mix.dry", 0),
    ],
)
def test_a_fault_of_one_lane_is_heard_on_another(name: str, tap: str, lane: int) -> None:
    """All other lanes of the node keep every bit, and so does the send; the bad one is told and comes back."""
    rig, alone = scene_rig(), scene_rig()
    poison(rig, name, np.nan, lanes=[lane])
    heard: list[Block] = []
    for _ in range(450):
        rig.render()
        alone.render()
        mine, other = rig.plan.tap(tap), alone.plan.tap(tap)
        assert np.array_equal(np.delete(mine, lane, 1), np.delete(other, lane, 1))
        heard.append(mine[:, lane] - other[:, lane])
        if name == "mix":
            assert np.array_equal(rig.plan.tap("mix.send"), alone.plan.tap("mix.send"))
    (fault,) = rig.renderer.faults
    assert fault.what == f"{tap.split('.')[1]} lane {lane} ran away; muted and healed"
    assert np.abs(np.concatenate(heard[380:])).max() < (1e-3 if name == "unmask" else 1e-7)
    assert np.abs(np.concatenate(heard)).max() > 1e-3


def trims_state(rig: Rig) -> None:
    ramp = processor_of(rig, "trim")._ramp  # type: ignore[attr-defined]
    ramp.current[1] = ramp.target[1] = np.nan
    ramp.left[1] = 100.0


def mix_state(rig: Rig) -> None:
    panning = processor_of(rig, "mix")._panning  # type: ignore[attr-defined]
    panning.now[:, 2] = panning.targets[:, 2] = np.inf


def room_state(rig: Rig) -> None:
    ramp = processor_of(rig, "room")._ramp  # type: ignore[attr-defined]
    ramp.current[:] = ramp.target[:] = np.nan


def limiter_state(rig: Rig) -> None:
    processor_of(rig, "limiter")._limiter._delay[:] = np.nan  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "spoil"),
    [("trim", trims_state), ("mix", mix_state), ("room", room_state), ("limiter", limiter_state)],
)
def test_a_state_that_holds_nonsense_survives(name: str, spoil: Callable[[Rig], None], clean: Block) -> None:
    """The same bounds where not the output but the processor's own memory is spoiled, until it is healed."""
    rig = scene_rig()
    part = processor_of(rig, name)
    process = part.process

    def spoiled(ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        if frame == FAULT_AT:
            spoil(rig)
        process(ins, outs, frame)

    part.process = spoiled  # type: ignore[method-assign]
    check_recovery(rig, name, clean)


def test_a_send_level_that_was_spoiled_leaves_the_dry_bus_alone() -> None:
    """Only the send is muted: the dry bus keeps every bit while the coefficients are found again."""
    rig, alone = scene_rig(), scene_rig()
    for quantum in range(60):
        if quantum == 40:
            panning = processor_of(rig, "mix")._panning  # type: ignore[attr-defined]
            panning.now[4] = panning.targets[4] = np.nan
        rig.render()
        alone.render()
        assert np.array_equal(rig.plan.tap("mix.dry"), alone.plan.tap("mix.dry"))
    assert np.array_equal(rig.plan.tap("mix.send"), alone.plan.tap("mix.send"))
    assert [f.what for f in rig.renderer.faults] == ["send (all lanes) ran away; muted and healed"]


def test_a_node_that_stays_broken_is_heard_or_resets_once_only() -> None:
    """100 bad quanta: one is healed, 99 reset; it is silent within 10 ms, and back 50 ms after the last."""
    clean, rig = scene_rig().render(550), scene_rig()
    poison(rig, "meter", np.nan, at=FAULT_AT, frames=12_800)
    resets: list[int] = []
    meter = processor_of(rig, "meter")
    reset = meter.reset
    meter.reset = lambda: (resets.append(rig.renderer.frame), reset())[1]  # type: ignore[method-assign, func-returns-value]
    heard = rig.render(550)
    assert bend(heard) < bend(clean) + 2 * DECAY * float(np.abs(clean).max()) + STEP
    assert not heard[FAULT_AT + 700 : FAULT_AT + 12_800].any()
    assert len(resets) == len(rig.renderer.faults) == 100
    told = [fault.what for fault in rig.renderer.faults]
    assert told[0] == "bus (all lanes) ran away; muted and healed"
    assert set(told[1:]) == {"bus (all lanes) ran away again; reset"}
    back = FAULT_AT + 12_800 + 2400
    np.testing.assert_allclose(heard[back:], clean[back:], atol=1e-6)


def test_faults_of_different_lanes_in_turn_reset_the_node() -> None:
    """Lane 0, then lane 1 in the quantum behind it: each is healed, and no other lane changes by a bit."""
    rig, alone = scene_rig(), scene_rig()
    poison(rig, "trim", np.nan, lanes=[0], at=12_800)
    poison(rig, "trim", np.nan, lanes=[1], at=12_928)
    for _ in range(150):
        rig.render()
        alone.render()
        assert np.array_equal(rig.plan.tap("trim.bank")[:, 2:], alone.plan.tap("trim.bank")[:, 2:])
    assert np.array_equal(rig.plan.tap("trim.bank"), alone.plan.tap("trim.bank"))
    assert [f.what[:20] for f in rig.renderer.faults] == ["bank lane 0 ran away", "bank lane 1 ran away"]


@every_node
def test_an_exception_in_a_node_is_heard(name: str) -> None:
    """Raised once by any node: the same bound on the second difference, its words in the fault, sound afterwards."""
    clean, rig = scene_rig().render(450), scene_rig()
    part = processor_of(rig, name)
    process = part.process

    def broken(ins: tuple[Block, ...], outs: tuple[Block, ...], frame: int) -> None:
        process(ins, outs, frame)
        if frame == FAULT_AT:
            outs[0][10:] = 7.0
            raise ZeroDivisionError("by surprise")

    part.process = broken  # type: ignore[method-assign]
    heard = rig.render(450)
    assert bend(heard) < bend(clean) + 2 * DECAY * float(np.abs(clean).max()) + STEP
    (fault,) = rig.renderer.faults
    assert (fault.node, fault.frame, fault.what) == (name, FAULT_AT, "ZeroDivisionError: by surprise")
    if name != "tracks":  # what the queue gave is gone with a reset
        assert level_db(heard[-3200:]) == pytest.approx(level_db(clean[-3200:]), abs=1.0)


@pytest.mark.parametrize("swap_after", [0, 1, 2, 3])
def test_an_edit_beside_a_lane_on_its_way_back_steps(swap_after: int) -> None:
    """The node goes on into another plan while its guard mends it: the mending goes on, too."""
    a, b = Tone(level=0.3), Tone(hz=85.0, level=0.1)
    first = wired({"a": a, "g": Gain(), "out": OUT}, "a g out")
    rig = rig_of(first, 128)
    calm = rig.render(40)
    poison(rig, "g", np.nan, at=5120)
    heard = [calm, rig.render(1 + swap_after)]
    rig.swap(wired({"a": a, "b": b, "g": Gain(), "out": OUT}, "a g out", "b out"))
    heard.append(rig.render(40))
    assert len(rig.renderer.faults) == 1
    assert bend(np.concatenate(heard)[1000:]) < 2 * DECAY * 0.4 + STEP
    assert rig.renderer.settled


@pytest.mark.parametrize("when", [0, 4, 6, 8])
def test_a_fault_in_a_bridge_steps(when: int) -> None:
    """Of the instance that leaves, in the rehearsal and in the cross-fade."""
    a = Tone(level=0.3)
    rig = rig_of(wired({"a": a, "g": Gain(), "out": OUT}, "a g out"), 128)
    calm = rig.render(40)
    poison(rig, "g", np.inf, at=5120 + 128 * when)
    rig.swap(wired({"a": a, "g": Gain(0.5), "out": OUT}, "a g out"))
    heard = np.concatenate([calm, rig.render(60)])
    assert bend(heard[1000:]) < 2 * DECAY * 0.4 + STEP
    assert [fault.node for fault in rig.renderer.faults] == (["g"] if when < 8 else [])
    assert rig.renderer.settled


def test_a_latency_is_heard_as_a_step_when_its_node_was_reset() -> None:
    """A delay of 300 frames, emptied: what enters it afterwards fades in, or it would come out in full at once."""
    rig = rig_of(wired({"a": Tone(level=0.3), "g": Gain(1.0, lag=300)}, "a g"), 64)
    rig.render(100)
    poison(rig, "g", np.nan, at=6400)
    heard = rig.render(60)[:, 0]
    assert bend(heard[:, None]) < 2 * DECAY * 0.4 + STEP
    assert np.abs(heard[64 + 200 : 64 + 290]).max() < 0.01
    assert np.abs(heard[-1600:]).max() > 0.29


def test_a_heal_that_fails_is_a_reset_and_told() -> None:
    rig = rig_of(wired({"a": Bank(), "t": Trims(("x", "y"), (-23.0, -23.0), -23.0), "m": PAIR}, "a t m"), 64)
    rig.render(10)

    def stuck(port: int, lanes: Block) -> None:
        raise OSError("stuck")

    processor_of(rig, "t").heal = stuck  # type: ignore[method-assign, assignment]
    poison(rig, "t", np.nan, lanes=[0, 3], at=640)
    heard = rig.render(60)
    assert bend(heard) < 2 * DECAY * 0.8 + STEP
    assert [f.what for f in rig.renderer.faults] == ["bank lanes 0, 3 ran away; heal: OSError: stuck"]


def test_only_the_first_lanes_are_listed() -> None:
    tracks = tuple(f"t{i}" for i in range(10))
    nodes: dict[str, Node] = {
        "a": Bank(tracks=10),
        "m": Mix(tracks, (0.0,) * 10, (0.0,) * 10, (True,) * 10),
    }
    rig = rig_of(wired(nodes, "a m"), 64)
    poison(rig, "a", 2e4, lanes=range(12), at=0)
    rig.render()
    (fault,) = rig.renderer.faults
    assert fault.what == "bank lanes 0, 1, 2, 3, 4, 5, 6, 7, … ran away; muted and healed"
