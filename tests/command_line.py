"""What the tests of the command line share: they run it as a person does, in processes of its own."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LAST = re.compile(r"test cost (\d+\.\d\d) = reconstruction (\d+\.\d\d) \+ KL (\d+\.\d\d) nats/image, trained in \d+\.\d s$")


def minivae(*arguments, cwd, room=None, **environment):
    """(exit code, output, errors) of a command; no file that it writes may have more than `room` bytes."""
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    done = subprocess.run([sys.executable, "-m", "minivae", *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, timeout=300,
                          preexec_fn=limit if room else None)
    return done.returncode, done.stdout, done.stderr
