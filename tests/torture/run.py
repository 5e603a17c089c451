#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""
make torture: everything of the tests that can go on for longer than they do, for TORTURE_SECONDS in
all, and the sum of what was done. Seeds are drawn, and told; what fails tells how to repeat it.

First all that comes to an end by itself, in full: sessions, tools and madcapd killed at each system
call, and each of their calls failing in each way. What is left of the time goes to random
histories, one third, and to many processes on one store, in turns.
"""

import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('RASIP_BUILD', TOP / 'build')).resolve()
TURN_SEC = 180
COUNTED = {  # in what the tests print
    'faults': re.compile(r'(\d+) faults'),
    'kills': re.compile(r"(\d+) kills|'(?:killed|faulted)': (\d+)"),
    'stops': re.compile(r"'stopped': (\d+)"),
    'histories': re.compile(r'(\d+) histories'),
    'sessions': re.compile(r"'  up': (\d+)"),
}


class Torture:
    def __init__(self, seconds):
        self.began = time.monotonic()
        self.end = self.began + seconds
        self.counts = dict.fromkeys(COUNTED, 0)
        self.failed = []

    def left(self):
        return self.end - time.monotonic()

    def run(self, name, command, **environment):
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            text=True, errors='replace', env={
                **os.environ, 'RASIP_BUILD': str(BUILD), 'PYTHONPATH': str(TOP / 'tests/lib'),
                'PYTHONDONTWRITEBYTECODE': '1', 'CK_VERBOSITY': 'normal',
                **{key: str(value) for key, value in environment.items()}})
        for what, pattern in COUNTED.items():
            for groups in pattern.findall(done.stdout):
                self.counts[what] += sum(int(group) for group in
                                         (groups if isinstance(groups, tuple) else (groups,))
                                         if group)
        print(f'  {"ok" if done.returncode == 0 else "FAILED":6} {name}'
              f' ({time.monotonic() - began:.0f} s)', flush=True)
        if done.returncode:
            self.failed.append(name)
            print(done.stdout, flush=True)

    def python(self, path, *names, **environment):
        name = ' '.join((path, *names))
        self.run(name, [sys.executable, '-u', str(TOP / 'tests' / path), *names],
                 TORTURE_SECONDS=max(1, int(self.left())), **environment)

    def unit(self, program, **environment):
        self.run(program, [str(BUILD / 'tests' / program)], **environment)

    def all_that_ends(self):
        for program in ('test_faults', 'test_madcap_faults'):
            self.unit(program, RASIP_FAULTS='long')
        for path in ('harness/test_stepping.py', 'harness/test_faults.py',
                     'madcap/test_survival.py'):
            self.python(path)

    def turns(self):
        while self.left() > 1 and not self.failed:
            turn = min(TURN_SEC, self.left())
            self.unit('test_pool_model', RASIP_SECONDS=int(turn / 6) + 1)
            self.unit('test_madcap_model', RASIP_SECONDS=int(turn / 6) + 1)
            self.python('harness/test_torture.py', RASIP_TORTURE_SECONDS=turn * 2 / 3)


def main():
    torture = Torture(float(os.environ.get('TORTURE_SECONDS', '600')))
    torture.all_that_ends()
    torture.turns()
    print(f'{time.monotonic() - torture.began:.0f} s: '
          + ', '.join(f'{count} {what}' for what, count in torture.counts.items())
          + f'; {len(torture.failed)} failed')
    return 1 if torture.failed else 0


if __name__ == '__main__':
    sys.exit(main())
