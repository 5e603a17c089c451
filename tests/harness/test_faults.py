# SPDX-License-Identifier: MIT
"""
A session of the real plugin, in which each call of the system fails in turn (torture/fault.c), or
which has too few descriptors or too little memory, or a disk that is full or read-only: it gets the
pool's only address or is refused with a reason, it never crashes, and the next one gets the address.

TORTURE_SECONDS makes calls fail in more ways.
"""

import json
import os
import shutil
import subprocess
import unittest

from rasip_test import faults, harness, paths, stepping
from rasip_test.case import Case
from rasip_test.config import pool
from rasip_test.madcapd import wait_for

ADDRESS = '10.64.0.1'
SCRIPT = 'connect a user=alice asks=10.1.2.3\nrenegotiate a\ndisconnect a\n'
CALLERS = 'rasip.so liblmdb.so.0 libconfig.so.9'  # not the harness, which stands for pppd
CRASHES = ('signal 25', 'signal 4', 'signal 6', 'signal 7', 'signal 8', 'signal 11')


class Faulty(Case):
    def setUp(self):
        super().setUp()
        self.write_config(pool('p', ADDRESS))

    def play(self, wrap, script=SCRIPT):
        done = harness.run(self.conf, script, wrap=wrap)
        self.assertGreaterEqual(done.returncode, 0, done.errors)
        for answer in done.answers:
            self.assertFalse(answer['result'] == 'gone' and
                             answer['reason'].endswith(CRASHES), (answer, done.errors))
            if answer['result'] == 'up':
                self.assertEqual(answer['address'], ADDRESS)
            if answer['result'] == 'refused':
                self.assertRegex(answer['reason'], r'\w{3}')
        return done

    def json(self, *words):
        done = subprocess.run([paths.RASIP, '-c', self.conf, *words, '--json'],
                              capture_output=True, check=True)
        return json.loads(done.stdout)

    def check(self, others):
        self.assert_up(others.connect('next', user='next'), ADDRESS)
        self.assertEqual([lease['user'] for lease in self.json('leases')], ['next'])
        self.assertEqual(others.disconnect('next')['result'], 'down')
        self.assertEqual(self.json('leases'), [])


@unittest.skipIf(faults.why_not(), faults.why_not())
class Calls(Faulty):
    def each(self, **how):
        others = self.start()
        for n in range(1, stepping.CALLS_MAX):
            fault = faults.Fault(n, self.directory, forks=1, callers=CALLERS, **how)
            try:
                self.play(fault.wrap())
                self.check(others)
            except Exception as error:
                raise AssertionError(f'FAULT_AT={n} {how}, {fault.struck()}: {error}') from error
            if fault.struck() is None:
                break
        self.assertGreater(n, 50)
        print(f'{self.id()}: {n - 1} faults')

    def test_one_fails(self):
        self.each()

    @stepping.only_in_torture
    def test_in_other_ways(self):
        for variant in range(1, 4):
            self.each(variant=variant)

    @stepping.only_in_torture
    def test_all_fail_from_one_on(self):
        for variant in range(4):
            self.each(variant=variant, lasting=True)


class Limits(Faulty):
    def limited(self, option, values):
        """At least one value is too small, and the last one is enough."""
        others = self.start()
        outcomes = []
        for value in values:
            with self.subTest(f'{option}={value}'):
                done = self.play(['prlimit', f'--{option}={value}'])
                outcomes.append(done.answers[0]['result'] if done.answers else 'no start')
                self.check(others)
        self.assertIn('refused', outcomes)
        self.assertEqual(outcomes[-1], 'up')

    def test_descriptors(self):
        self.limited('nofile', range(8, 24))

    def test_file_size(self):
        self.limited('fsize', [0, 512, 4096, 8192, 10000, 16384, 20000, 1 << 20])

    @unittest.skipIf(b'libasan' in paths.PLUGIN.read_bytes(), 'a sanitizer needs the room')
    def test_memory(self):
        self.limited('as', [size << 20 for size in (3, 6, 12, 24, 48, 96, 200, 260, 300, 600)])


class Disks(Faulty):
    """state_dir on a file system of its own: nobody is refused for what it should remember."""

    def setUp(self):
        super().setUp()
        if os.geteuid():
            self.skipTest('mounting needs root')
        self.state_dir.mkdir(mode=0o750)
        tried = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=64k,mode=0750', 'tmpfs', self.state_dir],
            capture_output=True, check=False)
        if tried.returncode:
            self.skipTest(f'no mount here: {tried.stderr.decode().strip()}')
        self.addCleanup(subprocess.run, ['umount', '-l', self.state_dir], check=True)

    def assert_served_and_told(self):
        h = self.start()
        self.assert_up(h.connect('a', user='alice'), ADDRESS)
        # What is remembered is written after a second.
        wait_for(lambda: h.wait(0.2) and str(self.state_dir) in h.log('a'), 'the reason')
        self.assertEqual(h.disconnect('a')['result'], 'down')
        return h

    def test_full(self):
        filling = self.state_dir / 'filling'
        with open(filling, 'wb', buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        h = self.assert_served_and_told()
        filling.unlink()
        self.assert_up(h.connect('b', user='bob'), ADDRESS)
        self.wait_remembered(h, 'bob')
        self.assertEqual(h.disconnect('b')['result'], 'down')
        self.assertNotIn(str(self.state_dir), h.log('b'))

    def test_read_only(self):
        subprocess.run(['mount', '-o', 'remount,ro', self.state_dir], check=True)
        self.assert_served_and_told()

    def test_what_a_read_only_one_remembers_is_known(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2', hold='1h'))
        had = h.connect('a', user='alice')['address']
        self.assertEqual(h.disconnect('a')['result'], 'down')
        h.connect('c', user='carol')
        self.wait_remembered(h, 'alice')
        self.assertEqual(h.disconnect('c')['result'], 'down')
        shutil.rmtree(self.runtime_dir)  # as after a reboot
        subprocess.run(['mount', '-o', 'remount,ro', self.state_dir], check=True)
        h = self.start()
        self.assertNotEqual(h.connect('b', user='bob').get('address'), had)
        self.assert_up(h.connect('a', user='alice'), had)


if __name__ == '__main__':
    unittest.main()
