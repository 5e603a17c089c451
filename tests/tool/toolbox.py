# SPDX-License-Identifier: MIT
"""What the tests of rasip(8) share: a configuration of their own, the tool, sessions, terminals."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import string
import struct
import subprocess
import tempfile
import termios
import time
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('RASIP_BUILD', TOP / 'build')).resolve()
RASIP = BUILD / 'rasip'
VERBS = ('check', 'pools', 'leases', 'explain', 'release', 'reclaim', 'history', 'metrics',
         'watch', 'help')
PATIENCE_SEC = 60
OTHER_PIDS = ('unshare', '--pid', '--fork', '--mount-proc', '--kill-child')

POOLS = '''
pools = (
  { name = "residential"; ranges = ( "10.64.0.0/24" ); exclude = ( "10.64.0.0" ); next = "overflow"; },
  { name = "overflow"; ranges = ( "10.65.0.0-10.65.0.9" ); hold = "1h"; }
);
assign = (
  { user = "alice"; address = "10.64.0.7"; },
  { user = "*@rest"; pool = "overflow"; },
  { pool = "residential"; }
);
'''


def script_field(data):
    """A field of a harness script: anything unusual as \\xHH."""
    if isinstance(data, str):
        data = data.encode()
    plain = string.ascii_letters + string.digits + '@._-/'
    return ''.join(chr(b) if chr(b) in plain else f'\\x{b:02x}' for b in data)


def can_unshare():
    """Whether a process may have a container's view of other processes here."""
    return subprocess.run([*OTHER_PIDS, 'true'], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


class Sessions:
    """Sessions that ras-harness plays."""

    def __init__(self, config, prefix=()):
        self._process = subprocess.Popen(
            [*prefix, BUILD / 'ras-harness', '--plugin', BUILD / 'rasip.so',
             '--option', f'rasip-conf {config}'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def command(self, line):
        self._process.stdin.write(line + '\n')
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise AssertionError(f'the harness ended at: {line}')
        return json.loads(answer)

    def connect(self, name, user, port=None, **options):
        words = [f'connect {name} user={script_field(user)}']
        if port is not None:
            words.append(f'port={script_field(port)}')
        words += [f'{key}={value}' for key, value in options.items()]
        answer = self.command(' '.join(words))
        if answer['result'] != 'up':
            raise AssertionError(answer)
        return answer['address']

    def close(self):
        try:
            self._process.stdin.close()
            self._process.wait(PATIENCE_SEC)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


class Case(unittest.TestCase):
    """A directory, a configuration in it, and the tool."""

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='rasip-tool-'))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.config = self.dir / 'rasip.conf'
        self.runtime = self.dir / 'run'
        self.state = self.dir / 'state'
        self._sessions = None
        self.configure()

    def configure(self, text=POOLS):
        self.config.write_text(f'runtime_dir = "{self.runtime}";\nstate_dir = "{self.state}";\n'
                               + text)

    @property
    def sessions(self):
        if self._sessions is None:
            self._sessions = Sessions(self.config)
            self.addCleanup(self._sessions.close)
        return self._sessions

    def run_tool(self, *words, config=True, **options):
        """Runs rasip with these words; the result has stdout and stderr as bytes."""
        command = [RASIP, *(['-c', self.config] if config else []), *words]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE_SEC, check=False, **options)

    def ok(self, *words, **options):
        """It succeeds and says nothing on standard error; its output."""
        done = self.run_tool(*words, **options)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ''), words)
        return done.stdout.decode()

    def fails(self, status, *words, **options):
        """It fails with this status and one line, or with usage two; the complaint."""
        done = self.run_tool(*words, **options)
        complaint = done.stderr.decode()
        self.assertEqual((done.returncode, done.stdout), (status, b''), (words, complaint))
        self.assertEqual(len(complaint.splitlines()), 2 if status == 2 else 1, complaint)
        return complaint

    def json(self, *words):
        return json.loads(self.ok(*words, '--json'))

    def leases(self, *words):
        return {lease['address']: lease for lease in self.json('leases', *words)}

    def pool(self, name):
        return next(pool for pool in self.json('pools') if pool['name'] == name)


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_SEC
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f'never happened: {what}')
        time.sleep(0.01)


class Terminal:
    """A command on a terminal of its own, and what a person would see there."""

    def __init__(self, command, rows=24, columns=80, **environment):
        self.output = b''
        variables = {key: value for key, value in os.environ.items()
                     if key not in ('NO_COLOR', 'COLUMNS', 'LINES', 'TERM')}
        variables.update({'TERM': 'xterm'}, **environment)
        variables = {key: value for key, value in variables.items() if value is not None}
        self._fd, line = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(line)
        self._line = line
        self.process = subprocess.Popen([os.fspath(word) for word in command], stdin=line,
                                        stdout=line, stderr=line, env=variables,
                                        start_new_session=True, preexec_fn=self._own)

    @staticmethod
    def _own():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def mode(self):
        return termios.tcgetattr(self._line)

    def type(self, keys):
        os.write(self._fd, keys)

    def read(self, seconds=0.0):
        """Takes in what has been written so far."""
        while select.select([self._fd], [], [], seconds)[0]:
            try:
                data = os.read(self._fd, 65536)
            except OSError:
                return
            if not data:
                return
            self.output += data

    def expect(self, pattern):
        """Waits until it shows up, and drops everything before its end."""
        deadline = time.monotonic() + PATIENCE_SEC
        while True:
            found = re.search(pattern, self.output)
            if found:
                self.output = self.output[found.end():]
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f'{pattern!r} is not in {self.output!r}')
            self.read(0.05)

    def wait(self):
        """Its exit status; the output is then complete."""
        deadline = time.monotonic() + PATIENCE_SEC
        while self.process.poll() is None:
            self.read(0.02)
            if time.monotonic() > deadline:
                raise AssertionError('it does not end')
        self.read()
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._fd)
        os.close(self._line)
