"""The task as a Faust program: one stereo track, its energies and its bells."""

from benchmarks.peers.task import Band, Section, Task

QUIET = 1e-10
"""-200 dB: how the energies are mixed into the output, so that they are computed."""

HEAD = """\
// w + a1 w' + a2 w'' = x; y = w - w'': a band-pass of second order, without its scale.
section(a1, a2, x) = (x : + ~ back) <: _, (_ : @(2)) : -
with { back(w) = 0.0 - a1 * w - a2 * w'; };
// Smoothed mean square: e = decay e' + share y y.
energy(decay, share, y) = share * y * y : + ~ *(decay);
// A bell with constant poles; its amount goes up or down along the control period.
bell(a1, a2, amount, slope, x) = x - (amount + slope * along) * section(a1, a2, x);
"""


KNOBS = ("a1", "a2", "amount", "slope")
"""The parameters of a bell; the label of each ends with the number of the bell."""


def program(task: Task, *, energies_out: bool = False) -> str:
    """Return the source of a program with 2 inputs and 2 outputs, for one track, set by `settings`.

    With `energies_out` the energies are outputs of their own behind the two, instead of being mixed in at -200 dB.
    """
    count = len(task.bells[0])
    equaliser = " : ".join(f"bell({', '.join(_knobs(k))})" for k in range(count))
    energies = ",\n  ".join(map(_energy, task.bands))
    process = (
        "process(l, r) = equaliser(l), equaliser(r), energies(0.5 * (l + r));"
        if energies_out
        else "process(l, r) = equaliser(l) + heard, equaliser(r) + heard\n"
        f"with {{ heard = energies(0.5 * (l + r)) :> *({QUIET}); }};"
    )
    lines = (
        *HEAD.splitlines(),
        f"along = 1.0 + float(counter') with {{ counter = (+(1) : %({task.period_frames})) ~ _; }};",
        f"equaliser = {equaliser};",
        f"energies = _ <:\n  {energies};",
        process,
    )
    return "\n".join(lines) + "\n"


def wire(task: Task) -> str:
    """Return the source of a program with the same inputs, outputs and parameters and no filters."""
    knobs = " + ".join(" + ".join(_knobs(k)) for k in range(len(task.bells[0])))
    return f"process(l, r) = l + heard, r + heard\nwith {{ heard = {QUIET} * ({knobs}); }};\n"


def settings(task: Task, track: int) -> dict[str, float]:
    """Return what the parameters of the program are for a track, by label."""
    values: dict[str, float] = {}
    for k, bell in enumerate(task.bells[track]):
        begin, end = bell.amount(bell.from_db), bell.amount(bell.to_db)
        setting = bell.section.a1, bell.section.a2, begin, (end - begin) / task.period_frames
        values.update({f"{name}{k}": value for name, value in zip(KNOBS, setting, strict=True)})
    return values


def _knobs(bell: int) -> list[str]:
    return [f'nentry("{name}{bell}", 0, -4, 4, 1e-9)' for name in KNOBS]


def _energy(band: Band) -> str:
    sections = " : ".join(_section(section) for section in (band.first, band.second))
    scale = band.first.scale * band.second.scale
    share = (1.0 - band.decay) * band.weight * scale * scale
    return f"({sections} : energy({band.decay!r}, {share!r}))"


def _section(section: Section) -> str:
    return f"section({section.a1!r}, {section.a2!r})"
