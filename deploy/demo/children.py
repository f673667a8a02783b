"""The processes of the demo: started so that none of them can outlive it.

Three nets, from the tidy to the last one:
1. `stop` ends a child with SIGTERM and waits for it, then with SIGKILL.
2. stdin of a child is a pipe that only this process holds: it ends when this process does.
3. the kernel sends SIGTERM to a child whose parent died (PR_SET_PDEATHSIG), kill -9 included.

Children stand in sessions of their own: Ctrl-C at the terminal reaches the demo only,
which then stops them in their right order.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec only the bare call is made.
LIBC = ctypes.CDLL(None, use_errno=True)


class Child:
    """One running program; everything it prints goes to its log file."""

    def __init__(self, name: str, command: list[str], log: Path, environment: dict[str, str] | None = None):
        self.name, self.log = name, log
        parent = os.getpid()

        def die_with_parent() -> None:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died between fork and prctl
                os._exit(1)

        with open(log, "ab") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def alive(self) -> bool:
        return self.process.poll() is None

    def said(self) -> list[str]:
        """Every line printed so far."""
        return self.log.read_text(errors="replace").splitlines()

    def stop(self, grace_seconds: float) -> bool:
        """End it; False when it had to be killed."""
        if self.alive():
            self.process.terminate()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        deadline = time.monotonic() + grace_seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
        if self.alive():
            self.process.kill()
            self.process.wait()
            return False
        return True
