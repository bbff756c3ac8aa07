"""Runs one program and kills it when this process's standard input ends: run as a script, by path.

A JVM cannot be told to end with its parent. This small process can: whoever starts it keeps the writing end
of its standard input, and when that closes, even because its owner was killed, the program is killed as well,
paused or not. On Linux the kernel kills the program if this process itself is killed. The first line on
standard output is the program's process id; the exit code is the program's, or 128 and the signal's number.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> int:
    """Run `arguments` to its end."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def end_with_keeper() -> None:
        if library is not None:
            library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    # Safe here: this process has one thread until the program runs.
    program = subprocess.Popen(  # noqa: S603 - what the owner asked for
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        preexec_fn=end_with_keeper,  # noqa: PLW1509 - one thread
    )
    print(program.pid, flush=True)

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1):
            pass
        program.kill()

    threading.Thread(target=watch, daemon=True).start()
    code = program.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.stdout.flush()
    # The watching thread may sit in read(2), which the interpreter's own end could wait for.
    os._exit(ended)
