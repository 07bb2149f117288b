"""Latency: the plan says what an impulse shows, and the parts are those the engine works with."""

import inspect

import pytest

from benchmarks.bench import latency
from benchmarks.bench.latency import NO_DEVICE, SAFETY_QUANTA, impulse
from engine.cli.play import play
from engine.host.dsp_loop import MOST_AHEAD_FRAMES, ahead_frames
from engine.spec import StreamSpec


@pytest.mark.parametrize("rate_hz", [44_100, 96_000])
@pytest.mark.parametrize("quantum", [128, 1000])
def test_an_impulse_comes_out_at_another_frame_than_the_plan_says(rate_hz: int, quantum: int) -> None:
    """All of the latency is the limiter's look-ahead: 1.5 ms and what its true-peak filter needs, at most 2 ms."""
    taps, heard, plan = impulse(StreamSpec(rate_hz, quantum))
    assert heard == plan.latency_frames
    assert 1.5e-3 * rate_hz <= heard <= 2e-3 * rate_hz
    ready = 0
    for step in plan.steps:
        ready += step.processor.latency_frames
        assert {at for tap, at in taps.items() if tap.startswith(f"{step.name}.")} == {ready}
    assert taps.keys() == {str(pin) for pin in plan.outputs}


@pytest.mark.parametrize(
    ("quantum", "device", "safety", "frames"),
    [(128, 128, 2, 256), (128, 129, 2, 384), (64, 1024, 1, 1024), (2048, 64, 16, MOST_AHEAD_FRAMES)],
)
def test_the_ring_is_kept_at_another_level(quantum: int, device: int, safety: int, frames: int) -> None:
    assert ahead_frames(quantum, device, safety) == frames


def test_the_safety_is_not_that_of_play() -> None:
    assert inspect.signature(play).parameters["safety"].default == SAFETY_QUANTA


@pytest.mark.usefixtures("no_audio")
def test_a_machine_without_sound_has_no_latency_or_an_error() -> None:
    """At 64 frames: the plan's 83 frames and 128 of the ring, 4.4 ms."""
    (row,) = latency.measure((64,), 48_000, lambda what, share: None).rows
    if row.device_ms is None:
        assert row.device.startswith(NO_DEVICE)
        assert row.sum_ms == pytest.approx(1e3 * (83 + 128) / 48_000)
    assert row.as_json()["plan"]["frames"] == row.as_json()["plan"]["stated_frames"] == 83
