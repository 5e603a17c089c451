# SPDX-License-Identifier: MIT
"""Killing a process at each of its system calls in turn: tests/torture/step.c."""

import os
import pathlib
import platform
import subprocess
import tempfile

from rasip_test import paths

STEP = paths.BUILD / 'torture' / 'step'
CALLS_MAX = 5000
# All of it in `make torture`; the rest of the time the calls that matter most.
LONG = float(os.environ.get('TORTURE_SECONDS', '0')) > 0


def only_in_torture(test):
    """Elsewhere there is no such test."""
    return test if LONG else None


def why_not():
    """Why no process can be stepped here, or None."""
    if not STEP.exists():
        return f'{STEP} has not been built'
    if b'libasan' in paths.PLUGIN.read_bytes():
        return 'a sanitizer makes calls of its own'
    with tempfile.TemporaryDirectory() as directory:
        step = Step(0, directory)
        done = subprocess.run([*step.wrap(), 'true'], capture_output=True, check=False)
        if done.returncode or not step.outcome():
            return f'no ptrace on this {platform.machine()}: {done.stderr.decode().strip()}'
    return None


class Step:
    """One run: wrap() goes before the command line, outcome() is what became of it."""

    def __init__(self, n, directory, child=False, after=None, signal=None):
        self.n = n
        self._report = pathlib.Path(directory) / 'step'
        self._report.unlink(missing_ok=True)
        self._options = ['--child'] if child else []
        if after:
            self._options += ['--after', after]
        if signal:
            self._options += ['--signal', str(int(signal))]

    def wrap(self):
        return [str(STEP), *self._options, str(self.n), str(self._report)]

    def outcome(self):
        """('killed', n, call) or ('ended', n), or None: the process has not ended, or not begun."""
        try:
            words = self._report.read_text().split()
        except FileNotFoundError:
            return None
        return (words[0], int(words[1]), *words[2:])

    @property
    def ended(self):
        outcome = self.outcome()
        return outcome is not None and outcome[0] == 'ended'

    def __repr__(self):
        return f'step {self.n} {" ".join(self._options)}: {self.outcome()}'
