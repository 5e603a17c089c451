# SPDX-License-Identifier: MIT
"""Boots user-mode Linux on this machine's own files and runs a job in it.

A kernel with PPP is not to be had everywhere; Debian's user-mode-linux is one
that runs as an ordinary process, with the rights of whoever starts it. What
happens inside is guest.py's part.
"""

import json
import mmap
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
MEMORY_MB = 512
NEEDED = {
    'linux.uml': 'user-mode-linux',
    'pppd': 'ppp',
    'pppoe-server': 'pppoe',
    'xl2tpd': 'xl2tpd',
    'ip': 'iproute2',
    'tc': 'iproute2',
    'modprobe': 'kmod',
}


class Unavailable(Exception):
    """User-mode Linux cannot run here; the text says what is missing."""


class Died(Exception):
    """User-mode Linux ended or fell silent; the text is its console's."""


def build_dir():
    """Where the plugin and the tools under test are."""
    return pathlib.Path(os.environ.get('RASIP_BUILD', TOP / 'build')).resolve()


def _search_path():
    return os.environ.get('PATH', '') + ':/usr/sbin:/sbin'


def _is_installed(command):
    """Also where it may be run by others only."""
    return any(os.path.exists(os.path.join(directory, command))
               for directory in _search_path().split(':'))


def check_available():
    missing = [package for command, package in NEEDED.items()
               if not _is_installed(command)]
    if missing:
        raise Unavailable('missing packages: ' + ' '.join(missing)
                          + ' (make deps installs them)')
    for name in ('rasip.so', 'rasip', 'madcapd', 'madcap'):
        if not (build_dir() / name).exists():
            raise Unavailable(f'{build_dir()}/{name} has not been built')


def _mount_types():
    """Mount point -> type of its file system."""
    with open('/proc/self/mounts', encoding='utf-8') as mounts:
        return {fields[1]: fields[2] for fields in map(str.split, mounts)}


def _is_tmpfs(directory, types):
    directory = os.path.realpath(directory)
    while directory not in types:
        directory = os.path.dirname(directory)
    return types[directory] == 'tmpfs'


def _may_hold_memory(directory):
    """Whether the guest's memory fits there and may be executed."""
    try:
        space = os.statvfs(directory)
        if space.f_bavail * space.f_frsize < MEMORY_MB << 20:
            return False
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.truncate(mmap.PAGESIZE)
            mmap.mmap(probe.fileno(), mmap.PAGESIZE,
                      prot=mmap.PROT_READ | mmap.PROT_EXEC).close()
    except OSError:
        return False
    return True


def memory_directory(output):
    """A directory for the guest's memory: on a tmpfs, or else on disk."""
    candidates = ['/dev/shm', f'/run/user/{os.getuid()}', '/tmp', '/run',
                  '/var/tmp', str(output)]
    usable = [path for path in candidates if _may_hold_memory(path)]
    if not usable:
        raise Unavailable(f'no place for {MEMORY_MB} MB of memory that may be '
                          'executed: tried ' + ' '.join(candidates))
    types = _mount_types()
    return next((path for path in usable if _is_tmpfs(path, types)), usable[0])


class Guest:
    """One boot of user-mode Linux; `with` ends it in any case.

    `job` is what guest.py runs: {'module': …, 'arguments': […]}. Its results
    are files in `output`.
    """

    def __init__(self, job, limit):
        # The kernel's command line is split at blanks.
        parent = '/tmp' if ' ' in tempfile.gettempdir() else None
        self.output = pathlib.Path(tempfile.mkdtemp(prefix='rasip-real-',
                                                    dir=parent))
        self.limit = limit
        self._process = None
        self._requests = 0
        self._job = job

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        check_available()
        job = dict(self._job, top=str(TOP), build=str(build_dir()))
        (self.output / 'job.json').write_text(json.dumps(job),
                                              encoding='utf-8')
        # The path of process 1 stands there as well.
        (self.output / 'init').symlink_to(HERE / 'guest.py')
        environment = dict(os.environ, PATH=_search_path(),
                           TMPDIR=memory_directory(self.output))
        # Whoever is ended without a word takes the guest along.
        command = [
            'setpriv', '--pdeathsig', 'TERM',
            'timeout', '--kill-after=5', str(self.limit + 10),
            'linux.uml', f'mem={MEMORY_MB}M', 'rootfstype=hostfs',
            'root=/dev/root', 'rootflags=/', 'ro', f'init={self.output}/init',
            f'uml_dir={self.output}', 'con=null', 'con0=fd:0,fd:1', 'quiet',
            f'RASIP_OUTPUT={self.output}']
        with open(self.output / 'console.log', 'wb') as console:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console,
                stderr=console, env=environment)

    def running(self):
        return self._process.poll() is None

    def follow(self, name, on_line):
        """Gives every line that the guest writes to a file to on_line."""
        deadline = time.monotonic() + self.limit
        path, offset = self.output / name, 0
        while True:
            last = not self.running() or time.monotonic() > deadline
            text = path.read_bytes()[offset:] if path.exists() else b''
            whole = text[:text.rfind(b'\n') + 1]
            offset += len(whole)
            for line in whole.decode(errors='replace').splitlines():
                on_line(line)
            if last:
                return
            time.sleep(0.05)

    def request(self, text, limit):
        """Asks the guest for something: its answer, one JSON value."""
        answer = self.output / f'result.{self._requests}'
        draft = self.output / 'request'
        draft.write_text(text, encoding='utf-8')
        draft.rename(self.output / f'request.{self._requests}')
        self._requests += 1
        deadline = time.monotonic() + limit
        while not answer.exists():
            if not self.running() or time.monotonic() > deadline:
                raise Died(self.console())
            time.sleep(0.02)
        return json.loads(answer.read_text(encoding='utf-8'))

    def console(self):
        path = self.output / 'console.log'
        return path.read_text(errors='replace') if path.exists() else ''

    def succeeded(self):
        status = self.output / 'status'
        return status.exists() and status.read_text() == '0\n'

    def __exit__(self, *_):
        if self._process and self._process.returncode is None:
            # timeout passes it on to the kernel, which has a session of its
            # own and takes its helper processes along.
            self._process.terminate()
            self._process.wait()
        if 'RASIP_KEEP' in os.environ:
            print('kept:', self.output, file=sys.stderr)
        else:
            shutil.rmtree(self.output, ignore_errors=True)
