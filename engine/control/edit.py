"""An edited scene on its way into the deck that plays it: which tracks stay, which come, which go."""

from dataclasses import dataclass

from engine.control.deck import PlayingDeck
from engine.control.patch import Deck
from engine.scene.composition import Composition, Track
from engine.scene.schedule import OWN


@dataclass(slots=True)
class Edit:
    """`composition` for `deck`, with the numbers of its clips and tracks.

    `fresh` are the tracks that were not there, `gone` the numbers of those that are no more. `before` and
    `clips_before` are what the deck had. `silent_frame` is when what is gone is silent, `number` that of the swap, 0
    before it.
    """

    deck: PlayingDeck
    composition: Composition
    clip_numbers: tuple[int, ...]
    numbers: tuple[int, ...]
    fresh: tuple[tuple[Track, int], ...]
    gone: frozenset[int]
    before: Deck
    clips_before: tuple[int, ...]
    silent_frame: int = 0
    number: int = 0


def plan_edit(playing: PlayingDeck, composition: Composition, clip_numbers: tuple[int, ...]) -> Edit:
    """Return the edit that makes the scene of `playing` into `composition`; nothing of it is done yet."""
    known = _identities(playing.composition, playing.clip_numbers)
    before = dict(zip(known, playing.deck.track_numbers, strict=True))
    kept = [before.get(identity) for identity in _identities(composition, clip_numbers)]
    fresh_numbers = iter(playing.fresh_numbers(sum(n is None for n in kept)))
    numbers = tuple(next(fresh_numbers) if n is None else n for n in kept)
    fresh = tuple((t, n) for t, n, k in zip(composition.tracks, numbers, kept, strict=True) if k is None)
    gone = frozenset(playing.deck.track_numbers) - frozenset(numbers)
    return Edit(
        *(playing, composition, clip_numbers, numbers, fresh, gone), playing.deck, playing.clip_numbers
    )


def _identities(composition: Composition, clip_numbers: tuple[int, ...]) -> list[object]:
    """Return for each track what must be equal for it to go on undisturbed: its name and all that it plays."""
    return [
        (
            t.name,
            t.schedule,
            t.mono,
            t.tempo_bpm and (t.tempo_bpm, composition.scene.clock),
            composition.seed,
            t.vary,
            tuple(
                (clip_numbers[c.number], *c[1:4], clip_numbers[c.base] if c.base != OWN else OWN)
                for c in t.clips
            ),
        )
        for t in composition.tracks
    ]
