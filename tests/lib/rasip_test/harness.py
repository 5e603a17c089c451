# SPDX-License-Identifier: MIT
"""ras-harness as an object: commands are methods, answers are dicts."""

import json
import os
import shlex
import subprocess
import tempfile

from rasip_test import paths

ANSWER_SEC = 100
UNDER = shlex.split(os.environ.get('RASIP_UNDER', ''))  # a checker, as valgrind


class HarnessError(Exception):
    """The harness ended where an answer was due, or said something odd."""


def field(value):
    """Text or bytes as a field of a command line: odd bytes as \\xHH."""
    data = value if isinstance(value, bytes) else str(value).encode()
    return ''.join(chr(byte) if 0x21 <= byte < 0x7f and byte != 0x5c else f'\\x{byte:02x}'
                   for byte in data)


def arguments(conf, plugin=paths.PLUGIN, options=(), user_options=(), detach=False):
    command = [str(paths.HARNESS)]
    if plugin:
        command += ['--plugin', str(plugin)]
    if conf:
        command += ['--option', f'rasip-conf "{conf}"']
    for option in options:
        command += ['--option', option]
    for option in user_options:
        command += ['--user-option', option]
    return command + (['--detach'] if detach else []) + ['--limit', '60']


class Harness:
    """One harness process. `wrap` goes before its command line (unshare and the like)."""

    def __init__(self, conf=None, wrap=(), environment=None, **settings):
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [*wrap, *UNDER, *arguments(conf, **settings)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, cwd='/', env=environment)
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.dispose()

    @property
    def pid(self):
        return self._process.pid

    # -- commands

    def send(self, line):
        """Sends a line without waiting: the answer is read by answer()."""
        data = line if isinstance(line, bytes) else line.encode()
        self._process.stdin.write(data + b'\n')
        self._process.stdin.flush()

    def answer(self):
        line = self._process.stdout.readline()
        if not line:
            raise HarnessError(f'the harness ended with {self.close()}:\n{self.log()}')
        return json.loads(line)

    def command(self, line):
        try:
            self.send(line)
        except BrokenPipeError:
            raise HarnessError(f'the harness ended with {self.close()}:\n{self.log()}') from None
        return self.answer()

    def play(self, verb, name=None, *flags, **keys):
        words = [verb] + ([field(name)] if name is not None else []) + list(flags)
        for key, value in keys.items():
            if value is True:
                words.append(key)
            elif isinstance(value, (list, tuple)):
                words += [f'{key}={field(item)}' for item in value]
            elif value is not None and value is not False:
                words.append(f'{key}={field(value)}')
        return self.command(' '.join(words))

    def connect(self, name, *flags, **keys):
        return self.play('connect', name, *flags, **keys)

    def renegotiate(self, name, *flags, **keys):
        return self.play('renegotiate', name, *flags, **keys)

    def relogin(self, name, *flags, **keys):
        return self.play('relogin', name, *flags, **keys)

    def reconnect(self, name, *flags, **keys):
        return self.play('reconnect', name, *flags, **keys)

    def drop(self, name):
        return self.play('drop', name)

    def show(self, name):
        return self.play('show', name)

    def detach(self, name):
        return self.play('detach', name)

    def disconnect(self, name, **keys):
        return self.play('disconnect', name, **keys)

    def kill(self, name):
        return self.play('kill', name)

    def signal(self, name, signal):
        return self.play('signal', name, signal)

    def gone(self, name):
        return self.play('gone', name)

    def wait(self, seconds):
        return self.play('wait', None, str(seconds))

    def storm(self, sessions, parallel):
        return self.play('storm', sessions=sessions, parallel=parallel)

    # -- the end, and the log

    def close(self):
        """End of input: live sessions end. Returns the exit status."""
        if self.status is None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
            try:
                self.status = self._process.wait(ANSWER_SEC)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self.status = self._process.wait()
            self._process.stdout.close()
        return self.status

    def dispose(self):
        self.close()
        self._errors.close()

    def log(self, name=None):
        """What went to standard error, or the lines of one session without its name."""
        self._errors.seek(0)
        text = self._errors.read().decode(errors='surrogateescape')
        if name is None:
            return text
        return '\n'.join(line[len(name) + 2:] for line in text.splitlines()
                         if line.startswith(f'{name}: '))

    def events(self, kind, name=None):
        """The plugin's log lines of one kind: grant, release, reclaim, refuse, alarm ..."""
        return [line[line.index('rasip: '):] for line in self.log(name).splitlines()
                if f'rasip: {kind} ' in line]


def run(conf=None, script='', wrap=(), **settings):
    """A whole script at once: the finished process, with .answers."""
    done = subprocess.run([*wrap, *arguments(conf, **settings)], input=script.encode(),
                          capture_output=True, timeout=ANSWER_SEC, cwd='/', check=False)
    done.answers = [json.loads(line) for line in done.stdout.splitlines()]
    done.errors = done.stderr.decode(errors='surrogateescape')
    return done
