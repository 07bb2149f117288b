"""`python -m engine.host`: one engine process, spoken to over stdin and stdout; see `engine.host.protocol`.

With `--spare` it gets ready in the background, for the place of another that plays.
"""

import signal
import sys

# Ctrl-C goes to every process of the terminal; the control process decides what it means. Before all imports,
# which take long enough to be interrupted.
for _signal in (signal.SIGINT, signal.SIGHUP):
    signal.signal(_signal, signal.SIG_IGN)

from importlib import import_module  # noqa: E402

from engine.host.priority import in_background  # noqa: E402

SPARE = "--spare" in sys.argv
if SPARE:
    in_background(lambda: import_module("engine.host.engine_process"))

from engine.host.engine_process import serve  # noqa: E402

serve(SPARE)
