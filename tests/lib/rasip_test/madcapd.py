# SPDX-License-Identifier: MIT
"""madcapd in tests: its configuration, its process, its operator, and networks for it."""

import ctypes
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from rasip_test import config, madcap_wire, paths

READY = re.compile(rb'^madcapd: ready on (.*):(\d+)$', re.MULTILINE)
UNDER = shlex.split(os.environ.get('RASIP_UNDER', ''))  # a checker, as valgrind
PATIENCE_SEC = madcap_wire.PATIENCE_SEC
# A server that is killed leaves nothing for `make coverage`.
LAST_SIGNAL = signal.SIGTERM if 'GCOV_ERROR_FILE' in os.environ else signal.SIGKILL
ORG = {'first': '239.192.0.0', 'last': '239.195.255.255'}


def wait_for(condition, what, patience=PATIENCE_SEC):
    """Waits until the condition gives something true, and gives that."""
    until = time.monotonic() + patience
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > until:
            raise AssertionError(f'waited {patience} s for {what}')
        time.sleep(0.01)


class Madcapd:
    """A running madcapd. `wrap` goes before its command line (ip netns exec and the like)."""

    def __init__(self, conf, log, wrap=(), options=(), environment=None):
        self.conf = conf
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0
        with open(log, 'ab') as errors:
            self.process = subprocess.Popen(
                [*wrap, *UNDER, str(paths.MADCAPD), '-c', str(conf), *options], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors, cwd='/',
                env={**os.environ, **(environment or {})})
        self.listens = []

    def log(self):
        """What this process has logged."""
        return self._log.read_bytes()[self._offset:].decode(errors='replace')

    def wait_ready(self):
        """Until it has said so of every address that it is to listen at."""
        listen = re.search(r'^listen = \((.*)\);$', self.conf.read_text(), re.MULTILINE)
        expected = listen.group(1).count(',') + 1 if listen else 1

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f'madcapd ended with {self.process.returncode}:\n'
                                     + self.log())
            found = READY.findall(self._log.read_bytes()[self._offset:])
            return found if len(found) >= expected else None

        found = wait_for(ready, 'madcapd: ready')
        self.listens = [(address.decode().strip('[]'), int(port)) for address, port in found]
        return self

    def wait_log(self, text):
        return wait_for(lambda: text in self.log(), f'{text!r} in the log')

    @property
    def port(self):
        return self.listens[0][1]

    def cpu_ticks(self):
        """What it has used so far, in units of SC_CLK_TCK."""
        stat = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text('ascii')
        return sum(map(int, stat.rpartition(')')[2].split()[11:13]))

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends it and gives the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE_SEC)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self):
        return self.stop(signal.SIGKILL)


class Case(unittest.TestCase):
    """A directory, a configuration in it, and servers that end with the test."""

    def setUp(self):
        directory = tempfile.mkdtemp(prefix='madcapd-')
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.directory = pathlib.Path(directory)
        self.state_dir = self.directory / 'state'
        self.conf = self.directory / 'madcapd.conf'
        self.log = self.directory / 'log'

    def write_config(self, *scopes, **settings):
        whole = {'listen': ['127.0.0.1'], 'port': 0, 'state_dir': self.state_dir,
                 'scopes': list(scopes) or [ORG]}
        whole.update(settings)
        self.conf.write_text(config.render_file(whole))

    def launch(self, *scopes, wrap=(), options=(), environment=None, **settings):
        """A process that may or may not become ready."""
        if scopes or settings or not self.conf.exists():
            self.write_config(*scopes, **settings)
        server = Madcapd(self.conf, self.log, wrap, options, environment)
        self.addCleanup(server.stop, LAST_SIGNAL)
        return server

    def start(self, *scopes, **settings):
        return self.launch(*scopes, **settings).wait_ready()

    def client(self, server, address='127.0.0.1', source=None):
        client = madcap_wire.Client(address, server.port, source)
        self.addCleanup(client.close)
        return client

    def run_madcapd(self, *arguments):
        return subprocess.run([str(paths.MADCAPD), *map(str, arguments)], capture_output=True,
                              text=True, timeout=PATIENCE_SEC, check=False)

    # -- the operator, without the tool in between

    def admin_answer(self, verb, argument=None, state_dir=None):
        request = {'verb': verb}
        if argument is not None:
            request['argument'] = argument
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SEC)
            connection.connect(str((state_dir or self.state_dir) / 'admin.sock'))
            connection.sendall(json.dumps(request).encode() + b'\n')
            data = b''
            while piece := connection.recv(1 << 16):
                data += piece
        return json.loads(data)

    def admin(self, verb, argument=None):
        answer = self.admin_answer(verb, argument)
        self.assertTrue(answer['ok'], answer)
        return answer['result']

    # -- assertions

    def assert_ack(self, answer, message=None):
        self.assertIsNotNone(answer, 'no answer')
        self.assertEqual(answer.kind, madcap_wire.ACK, answer)
        if message is not None:
            self.assertEqual(answer.xid, message.xid)
            self.assertEqual(answer.get(madcap_wire.LEASE_ID), message.get(madcap_wire.LEASE_ID))
        self.assertTrue(answer.has(madcap_wire.SERVER_ID))
        return answer

    def assert_nak(self, answer, code, extra=None):
        self.assertIsNotNone(answer, 'no answer')
        self.assertEqual(answer.kind, madcap_wire.NAK, answer)
        found, data = answer.error
        self.assertEqual(found, code, answer)
        if extra is not None:
            self.assertEqual(data, madcap_wire.u16(extra) if isinstance(extra, int) else extra)
        return answer


class Network:
    """Network namespaces, joined by a bridge: each has an interface eth0, 192.0.2.N and
    2001:db8::N. Needs root; gone after close()."""

    CLONE_NEWNET = 0x40000000

    def __init__(self, *names):
        self._made = []
        self._prefix = f'm{os.getpid()}'
        try:
            self._setup(names)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def ip(*words):
        subprocess.run(['ip', *words], check=True, capture_output=True)

    def _setup(self, names):
        hub = self._add('hub')
        self.ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0')
        self.ip('-n', hub, 'link', 'set', 'br0', 'up')
        for number, name in enumerate(names, 1):
            space = self._add(name)
            self.ip('-n', hub, 'link', 'add', f'p{number}', 'type', 'veth', 'peer', 'name',
                    'eth0', 'netns', space)
            self.ip('-n', hub, 'link', 'set', f'p{number}', 'master', 'br0', 'up')
            self.ip('-n', space, 'link', 'set', 'lo', 'up')
            self.ip('-n', space, 'link', 'set', 'eth0', 'up')
            self.ip('-n', space, 'address', 'add', f'192.0.2.{number}/24', 'dev', 'eth0')
            self.ip('-n', space, 'address', 'add', f'2001:db8::{number}/64', 'dev', 'eth0',
                    'nodad')
            self.ip('-n', space, 'route', 'add', '224.0.0.0/4', 'dev', 'eth0')

    def _add(self, name):
        space = f'{self._prefix}{name}'
        self.ip('netns', 'add', space)
        self._made.append(space)
        return space

    def wrap(self, name):
        return 'ip', 'netns', 'exec', self.space(name)

    def space(self, name):
        """What ip(8) calls that namespace; `hub` has the bridge, and p1, p2, ... on it."""
        return f'{self._prefix}{name}'

    def join_here(self, address, interface='va'):
        """Joins the namespace of whoever calls, with an interface that goes with the others."""
        self.ip('link', 'add', interface, 'type', 'veth', 'peer', 'name', 'here', 'netns',
                self.space('hub'))
        self.ip('-n', self.space('hub'), 'link', 'set', 'here', 'master', 'br0', 'up')
        self.ip('address', 'add', address, 'dev', interface)
        self.ip('link', 'set', interface, 'up')
        self.ip('route', 'add', '224.0.0.0/4', 'dev', interface)

    def close(self):
        for space in reversed(self._made):
            subprocess.run(['ip', 'netns', 'delete', space], check=False, capture_output=True)
        self._made = []

    def enter(self, name):
        """What is opened inside `with` belongs to that namespace."""
        return _Inside(f'/run/netns/{self.space(name)}')


class _Inside:
    def __init__(self, path):
        self._path = path
        self._libc = ctypes.CDLL(None, use_errno=True)

    def _set(self, fd):
        if self._libc.setns(fd, Network.CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), 'setns')

    def __enter__(self):
        self._home = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
        space = os.open(self._path, os.O_RDONLY)
        try:
            self._set(space)
        finally:
            os.close(space)

    def __exit__(self, *_):
        self._set(self._home)
        os.close(self._home)


def make_network(case, *names):
    """A Network for a test, which is skipped where there can be none."""
    if os.geteuid() != 0:
        case.skipTest('network namespaces need root')
    if shutil.which('ip') is None:
        case.skipTest('there is no ip(8)')
    try:
        network = Network(*names)
    except subprocess.CalledProcessError as error:
        case.skipTest(f'no network namespaces here: {error.stderr.decode().strip()}')
    case.addCleanup(network.close)
    return network
