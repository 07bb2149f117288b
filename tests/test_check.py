"""Whether a machine is fit to play, from given facts: each of them in the state that spoils a show."""

import dataclasses
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from dsp.kernel_cache import CacheState
from engine.control import fitness
from engine.control.installation_checks import (
    LEAST_LOG_BYTES,
    TESTED_PYTHON,
    check_cache,
    check_disk,
    check_libraries,
    check_places,
    check_python,
    check_recordings,
)
from engine.control.midi.midi_check import check_midi
from engine.control.midi.ports import MidiListing
from engine.finding import Finding
from engine.host.audio_servers import AudioServer, pipewire_settings
from engine.host.device_checks import check_jack, check_output, check_pipewire, check_portaudio, check_rate
from engine.host.device_choice import NO_LIBRARY
from engine.host.devices import DeviceInfo, Output, PortAudio
from engine.host.machine import Memory, Processor, read_memory, read_processor
from engine.host.machine_checks import (
    check_governor,
    check_locked_memory,
    check_memory,
    check_naps,
    check_priority,
    check_processors,
    check_shared_memory,
)
from engine.host.session import Session
from engine.host.trial import Trial

GIB = 1 << 30
QUANTUM_S = 128 / 48_000
CPU = Processor("Some CPU", 4, 4, ("performance",), False)
CACHE = CacheState(Path("/cache/kernels-1"), True, True, 0o700, 50, 50, 4 << 20)
SPEAKERS = DeviceInfo("speakers", "ALSA", 2, 0, 44_100.0, 0.005, 0.02, True)


def is_ok(finding: Finding) -> bool:
    """A point that is fine has nothing to be done about it."""
    assert not finding.remedy or finding.state != "ok"
    return finding.state == "ok"


def warned(finding: Finding, *words: str) -> None:
    """A warning is one line, says what it found, and what to do."""
    assert finding.state == "warning"
    assert "\n" not in finding.text + finding.remedy
    for word in words:
        assert word in f"{finding.text} → {finding.remedy}"
    assert finding.remedy


@pytest.mark.parametrize(
    "governors", [("powersave",), ("ondemand",), ("schedutil",), ("performance", "powersave")]
)
def test_a_governor_that_saves_power_is_warned_of_with_the_command_that_sets_another(
    governors: tuple[str, ...],
) -> None:
    finding = check_governor(dataclasses.replace(CPU, governors=governors))
    warned(
        finding,
        *governors,
        "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )


def test_a_governor_that_cannot_be_seen_is_unknown_and_no_warning() -> None:
    assert is_ok(check_governor(CPU))
    unseen = check_governor(dataclasses.replace(CPU, governors=(), virtual=True))
    assert is_ok(unseen)
    assert unseen.text == "unknown in a virtual machine"


def test_a_single_processor_is_warned_of() -> None:
    assert is_ok(check_processors(CPU))
    warned(check_processors(dataclasses.replace(CPU, count=1, present=1)), "1 processor ", "--safety")
    warned(check_processors(dataclasses.replace(CPU, count=1)), "1 of 4 processors")


def machine_of(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_machine_is_read_from_proc_and_sys(tmp_path: Path) -> None:
    system = machine_of(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nmodel name\t: Fast  CPU @ 3 GHz\nflags\t\t: fpu vme sse2\n",
            "proc/meminfo": "MemTotal: 2048 kB\nMemAvailable:  1024 kB\nSwapTotal: 512 kB\nSwapFree: 128 kB\n",
            "proc/pressure/memory": "some avg10=9.00 avg60=2.50 avg300=0.00 total=0\nfull avg10=0.00 avg60=1.00\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "powersave\n",
        },
    )
    processor = read_processor(system)
    assert (processor.model, processor.governors, processor.virtual) == (
        "Fast CPU @ 3 GHz",
        ("powersave",),
        False,
    )
    assert read_memory(system) == Memory(2048 << 10, 1024 << 10, 384 << 10, 2.5)


@pytest.mark.parametrize(
    "files",
    [
        {"proc/cpuinfo": "flags : fpu hypervisor lahf_lm\n"},
        {"sys/class/dmi/id/sys_vendor": "QEMU\n"},
        {"sys/hypervisor/type": "xen\n"},
    ],
)
def test_a_virtual_machine_is_known_by_any_of_its_marks(tmp_path: Path, files: dict[str, str]) -> None:
    assert read_processor(machine_of(tmp_path, files)).virtual


def test_a_system_without_proc_tells_nothing_and_fails_nothing(tmp_path: Path) -> None:
    processor = read_processor(tmp_path)
    assert processor.count >= 1
    assert not processor.virtual
    assert read_memory(tmp_path) is None
    assert is_ok(check_memory(None))


def test_refused_rights_come_with_the_line_that_grants_them() -> None:
    refused = Trial(priority_limit=0, memory_limit_bytes=8 << 20)
    warned(check_priority(refused), "@audio - rtprio 20", "limits.conf", "limit is 0")
    warned(check_locked_memory(refused, False), "@audio - memlock unlimited", "limits.conf", "8 MiB")
    granted = Trial(priority=True, locked_memory=True, memory_limit_bytes=8 << 20)
    assert is_ok(check_priority(granted))
    assert is_ok(check_locked_memory(granted, True))


def test_a_lock_that_a_small_process_gets_is_not_promised_to_a_large_one() -> None:
    warned(check_locked_memory(Trial(locked_memory=True, memory_limit_bytes=512 << 20), False), "512 MiB")
    assert is_ok(check_locked_memory(Trial(locked_memory=True), False))


def test_scarce_memory_is_warned_of_and_so_is_waiting_for_it() -> None:
    assert is_ok(check_memory(Memory(16 * GIB, 8 * GIB, 2 * GIB, 0.0)))
    warned(check_memory(Memory(16 * GIB, GIB, 0, 0.0)), "1.0 GiB of 16.0 GiB")
    warned(check_memory(Memory(16 * GIB, 8 * GIB, 2 * GIB, 7.4)), "7 % of the last minute")


def test_shared_memory_is_the_one_thing_of_the_machine_that_nothing_goes_without() -> None:
    assert is_ok(check_shared_memory("", 2 * GIB))
    warned(check_shared_memory("", 64 << 20), "64 MiB free", "shm-size")
    refused = check_shared_memory("no room for 6 MiB of shared memory: see `df`; free some", None)
    assert refused.state == "failed"
    assert refused.remedy == "free some"


def test_what_a_session_shares_fits_into_what_is_tried() -> None:
    session = Session.create()
    try:
        assert session.segment.size_bytes <= fitness.SESSION_BYTES
    finally:
        session.close()


def test_one_late_nap_in_a_hundred_is_allowed_and_three_are_not() -> None:
    """Half a quantum of 128 frames at 48 kHz is 1.33 ms."""
    on_time = [60.0] * 200
    assert is_ok(check_naps(on_time, QUANTUM_S))
    assert is_ok(check_naps([*on_time[2:], 5e3, 5e3], QUANTUM_S))
    warned(check_naps([*on_time[3:], 5e3, 5e3, 1334.0], QUANTUM_S), "99 % up to 1.33 ms", "--safety 4")
    assert is_ok(check_naps([*on_time[3:], 5e3, 5e3, 1333.0], QUANTUM_S))
    warned(check_naps([], QUANTUM_S), "not measured")


@pytest.mark.parametrize(
    "why", [NO_LIBRARY, "PortAudio failed (exit -6): Assertion", "it did not answer; restart"]
)
def test_without_portaudio_it_plays_silently_and_says_so(why: str) -> None:
    warned(check_portaudio(why), why.partition("; ")[0], "silently to the null clock")


def found(output: Output | None, devices: Sequence[DeviceInfo] = (SPEAKERS,)) -> PortAudio:
    return PortAudio("PortAudio V19.7, revision 1", "libportaudio.so.2", tuple(devices), output)


def test_without_an_output_it_plays_silently_and_says_so() -> None:
    nothing = found(None, ())
    assert is_ok(check_portaudio(nothing))
    warned(check_output(nothing), "silently to the null clock", "roomtone devices")
    assert is_ok(check_rate(nothing, 48_000))


def test_a_busy_output_is_warned_of() -> None:
    busy = found(Output("speakers (ALSA)", "ALSA", 44_100.0, "busy"))
    warned(check_output(busy), "speakers (ALSA)", "busy", "--device NAME")
    assert is_ok(check_rate(busy, 48_000))
    broken = found(Output("speakers (ALSA)", "ALSA", 44_100.0, "Unanticipated host error"))
    warned(check_output(broken), "Unanticipated host error")


def test_a_rate_that_the_device_refuses_makes_playing_impossible() -> None:
    refused = check_rate(
        found(Output("system (JACK)", "JACK Audio Connection Kit", 44_100.0, "rate")), 48_000
    )
    assert refused.state == "failed"
    assert refused.text == "the JACK server runs at 44100 Hz and does not play 48000 Hz"
    assert "--rate 44100" in refused.remedy


def test_a_rate_that_is_converted_is_warned_of_but_not_where_nobody_knows_it() -> None:
    """PortAudio says 44100 Hz of every ALSA device that can do that."""
    output = Output("speakers", "Core Audio", 44_100.0, "")
    assert is_ok(check_output(found(output)))
    warned(check_rate(found(output), 48_000), "converted", "--rate 44100")
    assert is_ok(check_rate(found(output), 44_100))
    assert is_ok(check_rate(found(dataclasses.replace(output, host_api="ALSA")), 48_000))


def test_audio_servers_tell_their_rate_and_buffer() -> None:
    assert is_ok(check_jack(None))
    assert is_ok(check_pipewire(None))
    jack = check_jack(AudioServer(48_000, 128, True, "1.9.21"))
    assert is_ok(jack)
    assert jack.text == "runs at 48000 Hz with a buffer of 128 frames, 2.7 ms (version 1.9.21)"
    warned(check_jack(AudioServer(48_000, 128, False)), "without real-time priority", "jackd -R")
    assert "48000 Hz with a buffer of 1024 frames, 21.3 ms" in check_pipewire(AudioServer(48_000, 1024)).text
    assert "pw-metadata" in check_pipewire(AudioServer(None, None)).text
    warned(check_jack("a server is there and does not answer"), "restart")
    warned(check_pipewire("a server is there and does not answer"), "systemctl --user restart pipewire")


PIPEWIRE = """Found "settings" metadata 29
update: id:0 key:'log.level' value:'2' type:''
update: id:0 key:'clock.rate' value:'48000' type:''
update: id:0 key:'clock.allowed-rates' value:'[ 48000 ]' type:''
update: id:0 key:'clock.quantum' value:'1024' type:''
update: id:0 key:'clock.min-quantum' value:'16' type:''
update: id:0 key:'clock.force-quantum' value:'{forced}' type:''
update: id:0 key:'clock.force-rate' value:'0' type:''
"""


def test_the_settings_of_pipewire_are_those_in_force() -> None:
    assert pipewire_settings(PIPEWIRE.format(forced=0)) == (48_000, 1024)
    assert pipewire_settings(PIPEWIRE.format(forced=256)) == (48_000, 256)
    assert pipewire_settings("") == (None, None)


def test_the_versions_of_python_that_count_as_tested_are_those_that_are_announced() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    numbers = [line.rpartition(" ")[2] for line in project["classifiers"] if "Python :: 3." in line]
    versions = sorted(tuple(map(int, number.split("."))) for number in numbers)
    assert (versions[0], versions[-1]) == TESTED_PYTHON


def test_a_python_that_nobody_tested_is_warned_of() -> None:
    assert is_ok(check_python((3, 12, 1), "CPython", True))
    assert check_python((3, 10, 9), "CPython", True).state == "failed"
    warned(check_python((3, 14, 0), "CPython", True), "3.14.0", "CPython 3.11 to 3.13")
    warned(check_python((3, 13, 0), "CPython", False), "global lock")


def test_a_library_that_does_not_load_makes_playing_impossible() -> None:
    assert is_ok(check_libraries(Trial({"numpy": "2.0"})))
    failed = check_libraries(Trial(failure="the process ended loading pedalboard (signal 4)"))
    assert failed.state == "failed"
    assert "newer processors" in failed.remedy


def test_packages_of_the_same_name_from_elsewhere_are_warned_of(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    same = {"engine": [ours], "dsp": [ours]}
    assert is_ok(check_places(same, ours, tmp_path))
    assert is_ok(check_places(same, None, tmp_path))
    warned(
        check_places({"engine": [ours], "dsp": [theirs]}, ours, tmp_path), "not from one place", str(theirs)
    )
    warned(check_places({"engine": [ours], "dsp": [ours, theirs]}, ours, tmp_path), "not from one place")
    warned(check_places({"engine": [ours], "dsp": []}, ours, tmp_path), "dsp from nowhere")
    by_accident = check_places(same, theirs, ours)
    warned(by_accident, "the current folder", f"not from the installation in {theirs}", "pipx")
    assert "current folder" not in check_places(same, theirs, tmp_path).text


def test_a_cache_that_cannot_be_kept_compiles_at_every_start() -> None:
    assert is_ok(check_cache(CACHE))
    warned(check_cache(dataclasses.replace(CACHE, folder=None)), "XDG_CACHE_HOME", "every start compiles")
    locked = dataclasses.replace(CACHE, writable=False)
    warned(check_cache(locked), "cannot be written", "chmod u+rwx /cache/kernels-1")
    assert "every start" not in check_cache(locked).text
    assert "every start" in check_cache(dataclasses.replace(locked, compiled=49)).text


def test_a_cache_that_is_not_filled_yet_is_compiled_ahead() -> None:
    warned(
        check_cache(dataclasses.replace(CACHE, compiled=0)), "50 kernels", "up to a minute", "--driver null"
    )
    warned(check_cache(dataclasses.replace(CACHE, compiled=47)), "compiles 3 of 50 kernels")


@pytest.mark.parametrize(
    "spoilt",
    [
        dataclasses.replace(CACHE, mode=0o770),
        dataclasses.replace(CACHE, mode=0o702),
        dataclasses.replace(CACHE, owned=False),
    ],
)
def test_a_cache_that_others_can_write_is_a_way_in(spoilt: CacheState) -> None:
    warned(check_cache(spoilt), "run their code", "chmod go-w /cache", "rm -r /cache/kernels-1")


def test_a_disk_that_is_almost_full_or_locked_is_warned_of() -> None:
    """An hour of stereo at 48 kHz and 32 bits is 1.38 GB."""
    hour = 60 * 60 * 48_000 * 8
    assert hour == 1_382_400_000
    folder = Path("/takes")
    assert is_ok(check_recordings(folder, hour, True, 48_000))
    warned(check_recordings(folder, hour // 2, True, 48_000), "30 minutes at 48000 Hz", "another disk")
    warned(check_recordings(folder, hour, True, 96_000), "30 minutes at 96000 Hz")
    warned(check_recordings(folder, hour, False, 48_000), "cannot be written", "--record FOLDER")
    warned(check_recordings(folder, None, True, 48_000), "does not tell")
    assert is_ok(check_disk("log", folder, LEAST_LOG_BYTES, True, LEAST_LOG_BYTES))
    warned(check_disk("log", folder, LEAST_LOG_BYTES - 1, True, LEAST_LOG_BYTES), "16 MiB free in /takes")
    warned(check_disk("log", folder, GIB, False, LEAST_LOG_BYTES), "chmod")
    warned(check_disk("log", folder, None, True, LEAST_LOG_BYTES), "df -h")


@pytest.mark.parametrize(
    ("listing", "state", "told"),
    [
        (MidiListing("jack", ("nano:out",), ()), "ok", "jack: nano:out"),
        (MidiListing("alsa", tuple("abcdef"), ()), "ok", "alsa: a, b, c, d and 2 more"),
        (MidiListing("alsa", (), ("synth",)), "ok", "alsa, nothing plugged in; what comes later is found"),
        (MidiListing("jack", (), (), "no JACK server"), "ok", "no MIDI: no JACK server; only `play --midi`"),
        ("MIDI does not answer", "warning", "MIDI does not answer"),
    ],
)
def test_midi_is_told_wrongly_or_keeps_from_playing(
    listing: MidiListing | str, state: str, told: str
) -> None:
    found = check_midi(listing)
    assert found.state == state
    assert told in found.text
    assert bool(found.remedy) == (state != "ok")
