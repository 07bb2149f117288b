"""What the name of a track says of instrument and equipment: `02_Kick In D112.wav` is a kick before a dynamic one."""

import re
from collections.abc import Callable, Sequence

Fallback = Callable[[str], str | None]
"""What else may know an instrument by its name."""

INSTRUMENTS = {
    "kick": ("kick", "kik", "bd", "bass drum", "kick drum"),
    "snare": ("snare", "snr", "sn", "sd", "snare drum", "clap"),
    "floor tom": ("floor tom", "floortom", "ft"),
    "tom": ("tom", "rack tom", "racktom", "tom tom"),
    "hi-hat": ("hi hat", "hihat", "hat", "hh"),
    "cymbal": ("cymbal", "ride", "crash", "china"),
    "overhead": ("overhead", "overheads", "oh", "ohs"),
    "room": ("room", "rooms", "ambience", "ambient", "amb", "audience"),
    "drums": ("drums", "drum kit", "drum loop", "beat", "loop"),
    "percussion": ("percussion", "perc", "conga", "congas", "bongo", "bongos", "cajon", "timbales", "djembe"),
    "tambourine": ("tambourine", "tamb", "shaker", "maracas"),
    "bass synth": ("bass synth", "synth bass", "moog", "sub bass", "mpc"),
    "double bass": ("double bass", "upright", "upright bass", "contrabass"),
    "bass guitar": ("bass guitar", "bass", "e bass"),
    "acoustic guitar": ("acoustic guitar", "acoustic", "agtr", "ac gtr", "acgtr", "nylon", "steel guitar"),
    "electric guitar": (
        *("electric guitar", "egtr", "el gtr", "gtr", "guitar", "guitars", "lead guitar", "rhythm guitar"),
        *("gtrs", "amp"),
    ),
    "banjo": ("banjo", "mandolin", "ukulele"),
    "piano": ("piano", "pno", "grand piano", "upright piano"),
    "electric piano": ("electric piano", "rhodes", "wurlitzer", "wurli", "ep", "e piano"),
    "organ": ("organ", "hammond", "leslie"),
    "synth": ("synth", "synthesizer", "synthesiser", "pad", "keys", "keyboard", "lead synth", "arp"),
    "strings": ("strings", "violin", "viola", "cello", "fiddle", "string section"),
    "brass": ("brass", "trumpet", "trombone", "horn", "horns", "tuba", "flugelhorn"),
    "saxophone": ("sax", "saxophone", "tenor sax", "alto sax"),
    "flute": ("flute", "clarinet", "oboe", "recorder", "whistle"),
    "harmonica": ("harmonica", "harp"),
    "backing vocal": ("backing vocal", "backing vocals", "bgv", "bgvs", "bv", "backing", "choir", "harmony"),
    "vocal": ("vocal", "vocals", "vox", "voice", "lead vocal", "lead vox", "singer", "rap"),
}
"""Each by what it is written as; the longest match counts, of equally long ones the last in the name."""

EQUIPMENT = {
    "dynamic": (
        *(
            "dynamic",
            "dyn",
            "sm57",
            "57",
            "sm58",
            "58",
            "sm7",
            "sm7b",
            "md421",
            "421",
            "md441",
            "441",
            "d112",
            "d6",
        ),
        *(
            "beta52",
            "beta 52",
            "b52",
            "re20",
            "m80",
            "m81",
            "m82",
            "m88",
            "e906",
            "e609",
            "e604",
            "i5",
            "ribbon",
        ),
    ),
    "condenser": (
        *("condenser", "cond", "u87", "u47", "u67", "c414", "414", "km84", "km184", "tlm103", "nt1", "c12"),
        *("ela m251", "m251", "ak47", "cu29", "tf29", "tf39", "tf47", "tf51", "m60", "m960", "kms", "c451"),
        *("beta91", "beta 91", "b91"),
    ),
    "DI": ("di", "direct", "line", "line in", "d i"),
    "digital": (
        "digital",
        "midi",
        "vst",
        "vsti",
        "sample",
        "samples",
        "sampled",
        "plugin",
        "programmed",
        "808",
    ),
}
"""Kinds of equipment by words and by well-known models."""

GENERIC = frozenset(
    (
        *(
            "raw",
            "dry",
            "unmixed",
            "mixed",
            "mix",
            "wet",
            "processed",
            "bounce",
            "bounced",
            "render",
            "rendered",
        ),
        *(
            "stem",
            "stems",
            "track",
            "tracks",
            "audio",
            "final",
            "edit",
            "edited",
            "print",
            "printed",
            "master",
        ),
    )
)
"""Words that say nothing of what was recorded, only of which version it is."""


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case; `floorTom2` is floor, tom, 2."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+\d+[a-z]?|[a-z]+|\d+", apart.lower().replace("'", ""))


def key_of(name: str) -> str:
    """Return what the names of two versions of a track have in common: neither `raw` nor a leading number counts."""
    words = [word for word in words_of(name) if word not in GENERIC]
    if len(words) > 1 and words[0].isdigit():
        words = words[1:]
    return " ".join(words)


def guess(names: Sequence[str], fallback: Fallback | None = None) -> tuple[str, str]:
    """Return instrument and equipment by the name of a track, or else of its folders; empty where nothing is said.

    `names` are the track's own, then its folder's, then that one's.
    """
    instrument = equipment = ""
    for name in names:
        words = words_of(name)
        instrument = instrument or _find(words, INSTRUMENTS)
        equipment = equipment or _find(words, EQUIPMENT)
    for name in names:
        if not instrument and fallback is not None:
            instrument = fallback(key_of(name)) or ""
    return instrument, equipment


def _find(words: Sequence[str], table: dict[str, tuple[str, ...]]) -> str:
    best, length = "", 0
    spellings = {text: label for label, texts in table.items() for text in texts}
    plain = [_without_number(word, spellings) for word in words]
    for size in (3, 2, 1):
        for at in range(len(words) - size + 1):
            for source in (words, plain):
                label = spellings.get(" ".join(source[at : at + size]))
                if label is not None and size >= length:
                    best, length = label, size
        if best:
            break
    return best


def _without_number(word: str, spellings: dict[str, str]) -> str:
    """Return `tom` of `tom2`, unless the number belongs to it."""
    bare = word.rstrip("0123456789")
    return bare if bare and word not in spellings else word
