"""Soft takeover: a knob that is never caught, that jumps, or that lets go by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.control.midi.takeover import Takeover

UNIT = st.floats(0.0, 1.0)
STEP = 1.0 / 127.0


class Knob:
    """A knob with a parameter whose value is its own place on the knob's way."""

    def __init__(self, value: float, step: float = STEP) -> None:
        self.value, self.takeover = value, Takeover(step)

    def move(self, position: float) -> bool:
        caught = self.takeover.catches(position, self.value, self.value)
        if caught:
            self.value = position
            self.takeover.gave(position)
        return caught


@settings(max_examples=500, deadline=None)
@given(value=st.integers(0, 127), start=st.integers(0, 127), speed=st.integers(1, 127))
def test_a_sweep_at_any_speed_misses_the_value(value: int, start: int, speed: int) -> None:
    """From anywhere to the far end and back to the other: caught, however few positions are reported between."""
    knob = Knob(value / 127)
    path = [*range(start, 127, speed), *range(127, 0, -speed), 0]
    caught = [knob.move(position / 127) for position in path]
    assert any(caught)
    assert knob.value == 0.0
    first = caught.index(True)
    assert all(caught[first:])


@settings(max_examples=500, deadline=None)
@given(value=UNIT, positions=st.lists(UNIT, min_size=1, max_size=30), step=st.sampled_from([STEP, 1 / 16383]))
def test_the_sound_jumps_farther_than_the_knob(value: float, positions: list[float], step: float) -> None:
    """A move changes the value by no more than the knob itself moved, or by one step where it is found near."""
    knob, last = Knob(value, step), None
    for position in positions:
        before = knob.value
        knob.move(position)
        moved = abs(position - last) if last is not None else 0.0
        assert abs(knob.value - before) <= max(moved, step) + 1e-9
        last = position


@settings(max_examples=300, deadline=None)
@given(first=UNIT, second=UNIT, position=UNIT)
def test_a_value_changed_by_another_hand_is_overridden(first: float, second: float, position: float) -> None:
    """Caught, then the value is moved away: the knob has to pass the new value first."""
    knob = Knob(first)
    assert knob.move(first)
    knob.value = second
    between = min(first, position) <= second <= max(first, position)
    near = abs(position - second) <= STEP * 1.001
    if knob.move(position):
        assert between or near or second == first
    else:
        assert knob.value == second


def test_a_caught_knob_lets_go_when_it_jumps() -> None:
    """Whoever holds it may turn as fast as he likes."""
    knob = Knob(0.5)
    assert knob.move(0.5)
    assert [knob.move(p) for p in (1.0, 0.0, 0.9, 0.1)] == [True] * 4


def test_a_new_scene_with_the_same_value_is_taken_for_caught() -> None:
    knob = Knob(0.5)
    assert knob.move(0.5)
    knob.takeover.release()
    knob.value = 0.2
    assert not knob.move(0.6)
    assert knob.move(0.1)
