"""`python -m engine.host`: one engine process, spoken to over stdin and stdout; see `engine.host.protocol`."""

import signal

# Ctrl-C goes to every process of the terminal; the control process decides what it means. Before all imports,
# which take long enough to be interrupted.
for _signal in (signal.SIGINT, signal.SIGHUP):
    signal.signal(_signal, signal.SIG_IGN)

from engine.host.engine_process import serve  # noqa: E402

serve()
