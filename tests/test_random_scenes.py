"""What is promised of every scene must hold of scenes nobody thought of."""

import pytest

from benchmarks.random_scenes import Composer, faults_of_composition, mixed, random_scene

COMPOSED, RENDERED = 1000, 12


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer()


def test_a_scene_breaks_what_is_promised_of_levels_events_and_fades(composer: Composer) -> None:
    """1000 scenes: levels explained, nothing outside the timeline, fades at every event, never more than may sound."""
    broken = {}
    for number in range(COMPOSED):
        if faults := list(faults_of_composition(composer.compose(random_scene(number)))):
            broken[number] = faults
    assert broken == {}


@pytest.mark.parametrize("number", range(2000, 2000 + RENDERED))
def test_a_mix_misses_its_loudness_or_its_ceiling(composer: Composer, number: int) -> None:
    """Rendered: within 0.5 LU of -23 LUFS, never above -1 dBTP, no node fails; `benchmarks.random_scenes` has 1000."""
    assert mixed(composer.compose(random_scene(number)), number).faults == ()
