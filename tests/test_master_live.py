"""What leaves the master live is what a render has."""

from pathlib import Path

import numpy as np
import soundfile

from engine.control.bounce import bounce
from engine.control.show import Show
from tests.scenes import small

RATE_HZ = 48_000


def test_a_show_is_trimmed_otherwise_than_its_render(tmp_path: Path) -> None:
    """Live for 3 s, quieter than predicted: what was recorded is `render --endless`, bit for bit."""
    take = tmp_path / "take.wav"
    settings: dict[str, float | str] = {"trim.atmo.level_db": -60.0, "trim.bell.level_db": -32.0}
    with Show(small(), driver="null", record=take, log=None, settings=settings) as show:
        show.wait(3.0)
    heard = soundfile.read(take, dtype="float32")[0]
    until = len(heard) - 4800
    rendered = bounce(small(), endless=True, duration_s=len(heard) / RATE_HZ, settings=settings)
    assert rendered.samples is not None
    assert np.array_equal(heard[:until], rendered.samples[:until])
    assert until > 2 * RATE_HZ
