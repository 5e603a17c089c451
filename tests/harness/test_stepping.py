# SPDX-License-Identifier: MIT
"""
A session, or the operator's tool, is killed at every one of its system calls; each time the store
opens, the registry is right, nothing is left behind, and the only address of the pool can be had.

TORTURE_SECONDS makes it do more: SIGSEGV as well, and sessions that do everything they can.
"""

import collections
import fcntl
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import unittest

from rasip_test import harness, paths, stepping
from rasip_test.case import Call, Case
from rasip_test.config import pool

ADDRESS = '10.64.0.1'
CONNECT = 'connect a user=alice\n'
# The lock file (pool/owner.h) of that address and, by chance, of our own end of the links.
OWNERS = '000'
FLOCK = 'hhqqi4x'  # struct flock: type, whence, start, length, pid
F_OFD_GETLK = 36  # Python has no name for it
FILES = re.compile(r'leases(-[0-9a-f]{8})?\.mdb(-lock)?|modules\.lock|owner')


@unittest.skipIf(stepping.why_not(), stepping.why_not())
class Stepping(Case):
    def setUp(self):
        super().setUp()
        self.write_config(pool('p', ADDRESS))
        self.kills = 0

    # -- what is killed

    def play(self, script, n, number=signal.SIGKILL):
        """A session that ends at its n-th call after its first command has come."""
        step = stepping.Step(n, self.directory, child=True, after='recvfrom', signal=number)
        harness.run(self.conf, script, wrap=step.wrap())
        self.assertIsNotNone(step.outcome(), 'the session was never seen to end')
        return step

    def tool(self, *words, n):
        step = stepping.Step(n, self.directory)
        subprocess.run([*step.wrap(), paths.RASIP, '-c', self.conf, *words], capture_output=True,
                       check=False)
        self.assertIsNotNone(step.outcome(), 'the tool was never seen to end')
        return step

    def each(self, run, before=lambda: None, first=1):
        """Kills at call `first`, and so on, until the process ends by itself."""
        for n in range(first, stepping.CALLS_MAX):
            before()
            step = run(n)
            self.check(step)
            if step.ended:
                break
            self.kills += 1
        self.assertGreater(self.kills, 50)
        print(f'{self.id()}: {self.kills} kills')

    # -- what holds afterwards

    def json(self, *words):
        done = subprocess.run([paths.RASIP, '-c', self.conf, *words, '--json'],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def check(self, step):
        with self.subTest(step=repr(step)):
            answer = self.others.connect('next', user='next')
            self.assert_up(answer, ADDRESS)
            leases = self.json('leases')
            self.assertEqual([(lease['address'], lease['user']) for lease in leases],
                             [(ADDRESS, 'next')])
            found, = self.json('pools')
            self.assertEqual((found['active'], found['free']), (1, 0))
            self.assertEqual(self.others.disconnect('next')['result'], 'down')
            self.assertEqual(self.json('leases'), [])
            found, = self.json('pools')
            self.assertEqual((found['active'], found['held']), (0, 0))
            self.check_files()
            self.check_locks()

    def check_files(self):
        """One who is killed while he makes the store leaves a file with his number in its name."""
        for path in self.runtime_dir.iterdir():
            if '-new-' in path.name and self.first:
                path.unlink()
            else:
                self.assertTrue(FILES.fullmatch(path.name), path)
        self.assertLessEqual({path.name for path in (self.runtime_dir / 'owner').iterdir()},
                             {OWNERS})

    def check_locks(self):
        """Nobody holds the lock of an address that nobody has."""
        # Any lock is in the way of one of the whole file. (/proc/locks has everybody's, and with
        # many of them the kernel needs a second for each look.)
        anything = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        with open(self.runtime_dir / 'owner' / OWNERS, 'r+b') as file:
            found = fcntl.fcntl(file, F_OFD_GETLK, anything)
        self.assertEqual(struct.unpack(FLOCK, found)[0], fcntl.F_UNLCK)

    # -- scenarios

    first = False

    def leave_dead(self):
        """What the session finds: the only address, leased to a process that has been killed."""
        self.assert_up(self.others.connect('dead', user='dead'), ADDRESS)
        self.others.kill('dead')

    def forget_all(self):
        shutil.rmtree(self.runtime_dir, ignore_errors=True)
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def test_connect_and_release(self):
        self.others = self.start()
        self.each(lambda n: self.play(CONNECT + 'disconnect a\n', n), self.leave_dead)

    def test_first_connect_of_all(self):
        self.first = True
        self.others = self.start()
        self.each(lambda n: self.play(CONNECT + 'kill a\n', n), self.forget_all)

    def test_reclaim(self):
        self.others = self.start()
        self.each(lambda n: self.tool('reclaim', n=n), self.leave_dead)

    def start_with_module(self):
        module = self.directory / 'scripted.so'
        shutil.copy(paths.BUILD / 'modules' / 'scripted.so', module)
        module.chmod(0o700)
        return self.start(pool('p', ADDRESS), modules=[
            {'name': 'M', 'path': str(module), 'argument': f'log={self.calls_file}'}])

    def play_with_module(self, n):
        """Three that were killed, a session that is killed at its n-th call, and one more."""
        self.calls_file.unlink(missing_ok=True)
        dead = [f'd{i}' for i in range(3)]
        for i, name in enumerate(dead):
            self.assert_up(self.others.connect(name, user=name, candidate=f'10.9.0.{i + 1}'))
        for name in dead:
            self.others.kill(name)
        step = self.play('connect a user=a candidate=10.9.0.9\ndisconnect a\n', n)
        self.assert_up(self.others.connect('next', user='next', candidate='10.9.0.9'))
        self.others.disconnect('next')
        return step

    def test_ra_54_module_hears_once_and_who_dies_costs_it_one_release(self):
        """Nobody can know whether a module that was being called has heard."""
        self.others = self.start_with_module()
        for n in range(1, stepping.CALLS_MAX):
            step = self.play_with_module(n)
            owed = collections.Counter()
            for call in map(Call, self.calls_file.read_text().splitlines()):
                if call.name in ('get', 'release'):
                    owed[call.user, call.address] += 1 if call.name == 'get' else -1
            with self.subTest(step=repr(step)):
                self.assertGreaterEqual(min(owed.values()), 0, owed)
                self.assertLessEqual(sum(owed.values()), 1, owed)
                self.assertEqual(self.json('leases'), [])
            if step.ended:
                self.assertEqual(sum(owed.values()), 0, owed)
                break
        self.assertGreater(n, 100)

    @stepping.only_in_torture
    def test_fatal_signal(self):
        self.others = self.start()
        self.each(lambda n: self.play(CONNECT + 'disconnect a\n', n, signal.SIGSEGV),
                  self.leave_dead)

    @stepping.only_in_torture
    def test_everything_that_a_session_does(self):
        script = (CONNECT + 'renegotiate a\nrelogin a user=bob\ndrop a\nreconnect a user=carol\n'
                  'disconnect a how=hangup\n')
        self.others = self.start()
        self.each(lambda n: self.play(script, n), self.leave_dead)

    @stepping.only_in_torture
    def test_detach(self):
        self.others = self.start()
        self.each(lambda n: self.play(CONNECT + 'detach a\ndisconnect a\n', n), self.leave_dead)

    @stepping.only_in_torture
    def test_maintenance(self):
        """What is remembered is written a second after the connect."""
        self.others = self.start()
        before = self.play(CONNECT + 'disconnect a\n', 0).outcome()[1]
        self.each(lambda n: self.play(CONNECT + 'wait 1.2\ndisconnect a\n', n), self.leave_dead,
                  first=before // 2)


if __name__ == '__main__':
    unittest.main()
