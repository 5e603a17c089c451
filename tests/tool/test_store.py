# SPDX-License-Identifier: MIT
"""Stores that cannot be used: one clear line and exit status 1, from every verb."""

import os
import re
import shutil
import unittest

from toolbox import Case

WORDS = (('pools',), ('leases',), ('leases', '--all', '--json'), ('explain', '--user', 'eve'),
         ('release', '10.64.0.1'), ('reclaim',), ('metrics',), ('history',),
         ('history', '--at', '0s', '--json'))


class BadStores(Case):
    def setUp(self):
        super().setUp()
        self.address = self.sessions.connect('a', 'bob')
        self.sessions.command('disconnect a')
        self.store, = self.runtime.glob('*.mdb')

    def every_verb_fails(self, *parts, **options):
        for words in WORDS:
            with self.subTest(words):
                done = self.run_tool(*words, **options)
                complaint = done.stderr.decode()
                self.assertEqual((done.returncode, len(complaint.splitlines())), (1, 1), complaint)
                self.assertTrue(complaint.startswith('rasip: '), complaint)
                for part in parts:
                    self.assertIn(part, complaint)
        done = self.run_tool('check', **options)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())),
                         (0 if options else 1, 1))
        self.assertIn(b'the configuration loads, but: ', done.stderr)

    def test_no_store_at_all_but_its_directory(self):
        for path in self.runtime.glob('*.mdb*'):
            path.unlink()
        self.nothing_is_known()

    def test_an_empty_directory(self):
        """As systemd-tmpfiles makes it, before the first session."""
        shutil.rmtree(self.runtime)
        self.runtime.mkdir(0o755)
        self.nothing_is_known()

    def nothing_is_known(self):
        self.assertEqual(self.json('leases'), [])
        self.assertEqual(self.pool('residential')['grants'], 0)
        self.assertEqual(self.json('reclaim')['reclaimed'], 0)
        self.assertEqual(self.json('explain', '--user', 'eve')['result'], 'given')
        self.assertEqual(self.fails(1, 'release', self.address),
                         f'rasip: no lease for {self.address}\n')
        self.assertIn('No session has used', self.ok('check'))

    def test_not_a_store(self):
        self.store.write_bytes(b'nothing of the kind\n' * 1000)
        self.every_verb_fails(os.fspath(self.dir))

    def test_cut_short(self):
        self.store.write_bytes(self.store.read_bytes()[:100])
        self.every_verb_fails(os.fspath(self.dir))

    def test_damaged_inside(self):
        """Where LMDB follows what is written there it can end in SIGBUS."""
        data = self.store.read_bytes()
        for fill in (0x00, 0x55, 0xff):
            self.store.write_bytes(data[:8192] + bytes([fill]) * (len(data) - 8192))
            for words in (*WORDS, ('check',)):
                with self.subTest(words, fill=fill):
                    done = self.run_tool(*words)
                    self.assertEqual((done.returncode, done.stderr.count(b'\n')), (1, 1), done)
                    self.assertIn(b' damaged', done.stderr)

    def test_a_link_in_the_directorys_place(self):
        moved = self.runtime.with_name('moved')
        self.runtime.rename(moved)
        self.runtime.symlink_to(moved)
        self.every_verb_fails(f'{self.runtime} is a symbolic link, which is not followed')

    def test_another_version(self):
        data = self.store.read_bytes()
        kind = re.compile(rb'(rasip-leases)(....)', re.DOTALL)
        self.assertRegex(data, kind)
        self.store.write_bytes(kind.sub(lambda found: found[1] + (999).to_bytes(4, 'big'), data))
        self.every_verb_fails('another version', '999')

    @unittest.skipUnless(os.geteuid() == 0, 'needs root, to be somebody else')
    def test_somebody_else(self):
        self.dir.chmod(0o755)
        self.every_verb_fails(os.fspath(self.dir), 'Permission denied',
                              user=65534, group=65534, extra_groups=[])

    @unittest.skipUnless(os.geteuid() == 0, 'needs root, to give files away')
    def test_belongs_to_somebody_else(self):
        os.chown(self.runtime, 12345, 12345)
        self.every_verb_fails(os.fspath(self.dir))


class BadHistory(Case):
    """What is kept across reboots: history says what is wrong with it, and nothing else minds."""

    def setUp(self):
        super().setUp()
        self.sessions.connect('a', 'bob')
        self.state.mkdir(0o750, exist_ok=True)
        self.memory = self.state / 'memory.mdb'

    def complains(self, *parts):
        for words in (('history',), ('history', '--json'), ('history', '--at', '1h')):
            complaint = self.fails(1, *words)
            for part in (os.fspath(self.state), *parts):
                self.assertIn(part, complaint)
        self.assertEqual(len(self.json('leases')), 1)
        self.ok('metrics')

    def test_not_a_store(self):
        self.memory.write_bytes(b'nothing of the kind\n' * 1000)
        self.complains()

    @unittest.skipUnless(os.geteuid() == 0, 'needs root, to give files away')
    def test_belongs_to_somebody_else(self):
        os.chown(self.state, 12345, 12345)
        self.complains('12345')


if __name__ == '__main__':
    unittest.main()
