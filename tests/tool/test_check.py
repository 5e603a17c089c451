# SPDX-License-Identifier: MIT
"""rasip check: the configuration as the plugin would load it, and what it means."""

import os
import unittest

from toolbox import BUILD, Case


class Check(Case):
    def test_summary(self):
        text = self.ok('check')
        self.assertTrue(text.startswith(f'{self.config}: loads\n'))
        self.assertRegex(text, r'(?m)^residential  local +open +255 +1  least-recent  yes +0s +overflow$')
        self.assertRegex(text, r'(?m)^overflow     local +open +10 +0  least-recent  yes +3600s +-$')
        for rule in ('user "alice" gets the reserved address 10.64.0.7',
                     'user "*@rest" gets pool overflow', 'everybody gets pool residential'):
            self.assertRegex(text, rf'(?m)^  {self.config}:\d+: {rule}$'.replace('*', r'\*'))
        self.assertIn('Pool: builtin', text)
        self.assertIn('No session has used this configuration yet.', text)
        self.assertFalse(self.runtime.exists())

    def test_json(self):
        summary = self.json('check')
        self.assertEqual((summary['path'], summary['ok'], summary['errors']),
                         (os.fspath(self.config), True, []))
        self.assertEqual([pool['name'] for pool in summary['pools']], ['residential', 'overflow'])
        self.assertEqual(summary['rules'][0],
                         {'file': os.fspath(self.config), 'line': 9, 'user': 'alice', 'port': None, 'address': '10.64.0.7',
                          'pool': 'residential'})
        self.assertEqual(summary['modules'], [{'name': 'Pool', 'path': 'builtin', 'argument': ''}])
        self.assertIsNone(summary['active'])

    def test_every_mistake_is_a_line(self):
        self.configure('pools = (\n { name = "a"; ranges = ( "10.0.0.0/33" ); },\n'
                       ' { name = "b"; rages = ( "10.0.0.0/24" ); });\ncandidate = "kep";\n')
        done = self.run_tool('check')
        lines = done.stderr.decode().splitlines()
        self.assertEqual((done.returncode, done.stdout), (1, b''))
        self.assertGreaterEqual(len(lines), 3)
        for line in lines:
            self.assertRegex(line, rf'^{self.config}:\d+: ')
        done = self.run_tool('check', '--json')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.decode().splitlines(), lines)

    def test_mistakes_in_json(self):
        self.configure('pools = ();')
        done = self.run_tool('check', '--json')
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'"ok": false', done.stdout)
        self.assertIn(f'{self.config}:'.encode(), done.stdout)

    def test_rules_that_are_never_reached_are_pointed_out(self):
        self.configure('pools = ( { name = "a"; ranges = ( "10.0.0.0/24" ); } );\n'
                       'assign = ( { user = "x"; pool = "a"; },\n { user = "*"; pool = "a"; },\n'
                       ' { port = "ttyS0"; pool = "a"; },\n'
                       ' { user = "y"; address = "10.0.0.7"; } );\n')
        rules = [line.split(': ', 1)[1] for line in self.ok('check').splitlines()
                 if f'{self.config}:' in line and 'gets' in line]
        self.assertEqual(rules, [
            'user "x" gets pool a', 'user "*" gets pool a',
            'port "ttyS0" gets pool a (never: a rule above matches everybody)',
            'user "y" gets the reserved address 10.0.0.7 (only where pppd has rasip-pool: '
            'a rule above matches everybody)'])

    def test_a_mistake_in_an_included_file(self):
        included = self.dir / 'pools.conf'
        included.write_text('pools = (\n { name = "a"; ranges = ( "10.0.0.1-10.0.0.0" ); } );\n')
        self.configure(f'@include "{included}"\n')
        self.assertTrue(self.fails(1, 'check').startswith(f'{included}:2: '))

    def test_every_verb_says_what_check_says(self):
        self.configure('pools = ();')
        lines = self.run_tool('check').stderr
        for words in (('pools',), ('leases',), ('explain', '--user', 'a'), ('reclaim',),
                      ('release', '10.0.0.1'), ('metrics',)):
            done = self.run_tool(*words)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (1, b'', lines), words)


class Consequences(Case):
    def test_leases_outside_all_pools(self):
        self.sessions.connect('a', 'a@rest')
        self.sessions.connect('b', 'bob')
        self.sessions.connect('c', 'eve', candidate='192.0.2.1')
        self.assertIn('3 active leases now.\n', self.ok('check'))
        self.assertNotIn('outside', self.ok('check'))
        self.configure('pools = ( { name = "residential"; ranges = ( "10.64.0.0/24" ); } );')
        self.assertIn('\n1 active lease lies outside all pools', self.ok('check'))
        summary = self.json('check')
        self.assertEqual((summary['active'], summary['outside'], summary['pools'][0]['active']),
                         (3, 1, 1))
        self.configure('pools = ( { name = "new"; ranges = ( "10.1.0.0/24" ); } );')
        self.assertIn('\n2 active leases lie outside all pools', self.ok('check'))

    def test_leases_in_a_pool_that_drains(self):
        self.sessions.connect('a', 'a@rest')
        self.configure('pools = ( { name = "overflow"; ranges = ( "10.65.0.0/24" ); mode = "drain"; } );')
        self.assertIn('\nPool overflow is in mode drain: 1 active lease, nothing new is given.\n',
                      self.ok('check'))


    def test_our_end_of_the_link_that_a_peer_has(self):
        pools = 'pools = ( { name = "residential"; ranges = ( "10.64.0.0/24" ); local = "%s"; } );'
        address = self.sessions.connect('a', 'bob')
        self.configure(pools % '10.64.0.99')
        self.assertNotIn('session has', self.ok('check'))
        self.assertEqual(self.json('check')['pools'][0]['local_taken'], False)
        self.configure(pools % address)
        self.assertIn(f'\nPool residential gives nothing until the session that has {address}, its '
                      'local, has ended.\n', self.ok('check'))
        self.assertEqual(self.json('check')['pools'][0]['local_taken'], True)


class Modules(Case):
    def with_module(self, path):
        self.configure('modules = (\n { name = "Extra"; path = "%s"; argument = "x"; },\n'
                       ' { name = "Pool"; path = "builtin"; } );\n'
                       'pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); } );' % path)

    def copy(self, name, mode=0o644):
        path = self.dir / f'{name}.so'
        path.write_bytes((BUILD / 'modules' / f'{name}.so').read_bytes())
        path.chmod(mode)
        return path

    def test_a_module_that_loads(self):
        self.with_module(self.copy('watcher'))
        self.assertIn('  Extra: ' + os.fspath(self.dir / 'watcher.so') + ', argument x\n',
                      self.ok('check'))

    def test_modules_that_do_not_load(self):
        text = self.dir / 'text.so'
        text.write_text('no library\n')
        for path, problem in ((self.dir / 'none.so', 'No such file or directory'),
                              (self.dir, 'not a regular file'),
                              (self.copy('watcher', 0o666), 'writable by group or others'),
                              (self.copy('half'), 'without the other'),
                              (self.copy('bad_abi'), 'this is ABI 1'),
                              (self.copy('no_symbol'), 'exports no rasip_admin_module'),
                              (text, f'{text}: file too short')):
            with self.subTest(path):
                self.with_module(path)
                complaint = self.fails(1, 'check')
                self.assertTrue(complaint.startswith(f'{self.config}:4: module Extra: {path}: '),
                                complaint)
                self.assertIn(problem, complaint)

    def test_what_a_module_starts_is_not_waited_for(self):
        fifo = self.dir / 'fifo'
        os.mkfifo(fifo)
        self.with_module(self.copy('starter'))
        self.ok('check', env={**os.environ, 'STARTER_FIFO': os.fspath(fifo)})
        fifo.write_text('that is all\n')


if __name__ == '__main__':
    unittest.main()
