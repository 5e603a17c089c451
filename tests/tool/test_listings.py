# SPDX-License-Identifier: MIT
"""rasip pools, leases and metrics: figures and lists, for people and for programs."""

import datetime
import fcntl
import os
import pathlib
import re
import subprocess
import sys
import termios
import unittest

from toolbox import Case, RASIP, Terminal, wait_for

POOL_KEYS = ['name', 'backend', 'mode', 'size', 'active', 'held', 'free', 'reserved',
             'utilisation', 'peak', 'grants', 'refusals', 'reclaims']
LEASE_KEYS = ['address', 'pool', 'user', 'port', 'state', 'since', 'expires', 'pid', 'server',
              'group', 'owner']
COLOUR = re.compile(r'\033\[\d*m')


class Pools(Case):
    def test_before_the_first_session_all_figures_are_0(self):
        self.assertEqual(self.json('pools'), [
            {'name': 'residential', 'backend': 'local', 'mode': 'open', 'size': 255, 'active': 0,
             'held': 0, 'free': 254, 'reserved': 1, 'utilisation': 0.0, 'peak': 0, 'grants': 0,
             'refusals': 0, 'reclaims': 0},
            {'name': 'overflow', 'backend': 'local', 'mode': 'open', 'size': 10, 'active': 0,
             'held': 0, 'free': 10, 'reserved': 0, 'utilisation': 0.0, 'peak': 0, 'grants': 0,
             'refusals': 0, 'reclaims': 0},
        ])
        self.assertFalse(self.runtime.exists())

    def test_keys_and_their_order(self):
        for pool in self.json('pools'):
            self.assertEqual(list(pool), POOL_KEYS)

    def test_sessions_are_counted(self):
        for name in 'abc':
            self.sessions.connect(name, f'{name}@rest')
        self.sessions.command('disconnect a')
        pool = self.pool('overflow')
        self.assertEqual({key: pool[key] for key in POOL_KEYS[4:]},
                         {'active': 2, 'held': 1, 'free': 7, 'reserved': 0, 'utilisation': 20.0,
                          'peak': 3, 'grants': 3, 'refusals': 0, 'reclaims': 0})
        self.sessions.command('kill b')
        self.ok('reclaim')
        self.assertEqual(self.pool('overflow')['reclaims'], 1)

    def test_a_pool_that_drains_has_nothing_free(self):
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); mode = "drain"; } );')
        self.assertEqual((self.pool('p')['free'], self.pool('p')['mode']), (0, 'drain'))

    def test_in_a_pipe_80_columns_without_colour(self):
        self.sessions.connect('a', 'bob')
        text = self.ok('pools', env={**os.environ, 'COLUMNS': '200', 'TERM': 'xterm'})
        lines = text.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual({len(line) for line in lines}, {80})
        self.assertNotIn('\033', text)
        self.assertRegex(lines[1], r'^residential +open +1/255 +0\.4%  \[#\.+\] +0 +253 +1$')
        self.assertRegex(lines[2], r'^overflow +open +0/10 +0\.0%  \[\.+\] +0 +10 +0$')

    def on_terminal(self, columns, **environment):
        terminal = Terminal([RASIP, '-c', self.config, 'pools'], columns=columns, **environment)
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.wait(), 0)
        return terminal.output.decode().replace('\r\n', '\n')

    def test_on_a_terminal_its_width_with_colours(self):
        for columns in (70, 80, 90):
            text = self.on_terminal(columns)
            self.assertRegex(text, COLOUR)
            self.assertEqual({len(line) for line in COLOUR.sub('', text).splitlines()}, {columns})

    def test_columns_counts_more_than_the_terminal(self):
        text = COLOUR.sub('', self.on_terminal(120, COLUMNS='75'))
        self.assertEqual({len(line) for line in text.splitlines()}, {75})

    def test_no_colours_where_they_are_not_wanted(self):
        for environment in ({'NO_COLOR': '1'}, {'TERM': 'dumb'}, {'TERM': None}):
            self.assertNotIn('\033', self.on_terminal(80, **environment))
        self.assertIn('\033', self.on_terminal(80, NO_COLOR=''))

    def test_on_a_narrow_terminal_there_is_no_bar(self):
        for columns in (1, 10, 60):
            text = self.on_terminal(columns)
            self.assertNotIn('[', text)
            self.assertRegex(text, r'residential  open +0/255 +0\.0% +0 +254 +1\n')

    def test_on_a_wide_terminal_the_bar_ends_somewhere(self):
        self.assertLess(len(COLOUR.sub('', self.on_terminal(500)).splitlines()[0]), 130)


class Leases(Case):
    def test_before_the_first_session(self):
        self.assertEqual(self.json('leases'), [])
        done = self.run_tool('leases')
        self.assertEqual((done.returncode, done.stdout), (0, b''))
        self.assertEqual(done.stderr, b'rasip: no session has used this configuration yet\n')

    def test_an_active_lease(self):
        # A second earlier: clocks that are cheaper to read are some milliseconds behind.
        before = (datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
                  - datetime.timedelta(seconds=1))
        address = self.sessions.connect('a', 'bob', port='ttyS3')
        lease, = self.json('leases')
        self.assertEqual(list(lease), LEASE_KEYS)
        since = datetime.datetime.fromisoformat(lease.pop('since').replace('Z', '+00:00'))
        self.assertLessEqual(before, since)
        self.assertLessEqual(since, datetime.datetime.now(datetime.timezone.utc))
        os.kill(lease.pop('pid'), 0)
        self.assertEqual(lease, {'address': address, 'pool': 'residential', 'user': 'bob',
                                 'port': 'ttyS3', 'state': 'active', 'expires': None,
                                 'server': None, 'group': None, 'owner': 'alive'})

    def test_the_table(self):
        self.sessions.connect('a', 'bob', port='ttyS3')
        head, line = self.ok('leases').splitlines()
        self.assertEqual(head.split(), 'ADDRESS POOL USER PORT STATE SINCE EXPIRES PID OWNER'.split())
        self.assertRegex(line, r'^10\.64\.0\.\d+  residential  bob   ttyS3  active  \S+Z  - +\d+  '
                               r'alive$')

    def test_held_and_remembered_ones(self):
        held = self.sessions.connect('a', 'a@rest', port='ttyS1')
        remembered = self.sessions.connect('b', 'bob', port='ttyS2')
        self.sessions.command('disconnect a')
        self.sessions.command('disconnect b')
        self.assertEqual(self.json('leases'), [])
        leases = self.leases('--all')
        self.assertEqual({a: lease['state'] for a, lease in leases.items()},
                         {held: 'held', remembered: 'remembered'})
        rest = [datetime.datetime.fromisoformat(leases[held][key].replace('Z', '+00:00'))
                for key in ('since', 'expires')]
        self.assertLess(abs((rest[1] - rest[0]).total_seconds() - 3600), 3)
        self.assertEqual([leases[remembered][key] for key in ('user', 'expires', 'pid')],
                         ['bob', None, None])

    def test_a_rest_without_end(self):
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); hold = "forever"; } );')
        address = self.sessions.connect('a', 'bob')
        self.sessions.command('disconnect a')
        self.assertIsNone(self.leases('--all')[address]['expires'])
        self.assertRegex(self.ok('leases', '--all'), r'held +\S+Z  never +-  -\n')

    def test_whose_owner_is_dead(self):
        alive, dead = (self.sessions.connect(name, name) for name in ('al', 'ed'))
        self.assertEqual(self.json('leases', '--dead'), [])
        self.assertEqual(self.run_tool('leases', '--dead').stderr,
                         b'rasip: no leases of dead processes\n')
        self.sessions.command('kill ed')
        leases = self.leases()
        self.assertEqual({a: (lease['state'], lease['owner']) for a, lease in leases.items()},
                         {alive: ('active', 'alive'), dead: ('active', 'dead')})
        self.assertEqual(list(self.leases('--dead')), [dead])
        self.assertEqual([line.split()[-1] for line in self.ok('leases').splitlines()],
                         ['OWNER', *(leases[a]['owner'] for a in leases)])
        self.sessions.command('disconnect al')
        self.ok('reclaim')
        self.assertEqual({lease['owner'] for lease in self.leases('--all').values()}, {None})

    def test_filters(self):
        addresses = [self.sessions.connect(f's{i}', user)
                     for i, user in enumerate(('bob', 'bill', 'x@rest', r'CORP\bob'))]
        for words, wanted in (
                ((), addresses),
                (('--pool', 'residential'), addresses[:2] + addresses[3:]),
                (('--pool=overflow',), addresses[2:3]),
                (('--user', 'b*'), addresses[:2]),
                (('--user', '*@rest'), addresses[2:3]),
                (('--user', r'CORP\\*'), addresses[3:]),
                (('--address', addresses[1]), addresses[1:2]),
                (('--address', addresses[1], '--user', 'bob'), []),
                (('--user', 'nobody'), [])):
            with self.subTest(words):
                self.assertEqual(set(self.leases(*words)), set(wanted))
        self.assertEqual(self.run_tool('leases', '--user', 'nobody').stderr, b'rasip: no leases\n')

    def test_a_pool_that_does_not_exist(self):
        self.assertEqual(self.fails(1, 'leases', '--pool', 'residental'),
                         "rasip: no pool is called 'residental'; did you mean 'residential'?\n")
        self.sessions.connect('a', 'bob')
        self.fails(1, 'leases', '--pool', 'residental', '--json')

    def test_leases_of_a_pool_that_was_removed(self):
        address = self.sessions.connect('a', 'a@rest')
        self.configure('pools = ( { name = "new"; ranges = ( "10.1.0.0/24" ); } );')
        self.assertEqual(self.leases('--pool', 'overflow')[address]['pool'], 'overflow')

    def test_an_address_outside_all_pools(self):
        self.assertEqual(self.sessions.connect('a', 'bob', candidate='192.0.2.9'), '192.0.2.9')
        self.assertIsNone(self.leases()['192.0.2.9']['pool'])
        self.assertRegex(self.ok('leases'), r'192\.0\.2\.9  - +bob ')

    def test_strange_names_cannot_forge_anything(self):
        cases = (
            (b'j\xc3\xb6rg', 'j\u00f6rg', r'j\xc3\xb6rg'),
            (b'a\xff\xfeb', r'a\xff\xfeb', r'a\xff\xfeb'),
            (b'two words', 'two words', r'two\x20words'),
            (b'x\n10.9.9.9  forged', 'x\n10.9.9.9  forged', r'x\x0a10.9.9.9\x20\x20forged'),
            (b'\x1b[2J\x07', '\x1b[2J\x07', r'\x1b[2J\x07'),
            (b'CORP\\eve', 'CORP\\eve', r'CORP\eve'),
            (b'a\\xffb', r'a\x5cxffb', r'a\x5cxffb'),
            (b'"},{"user":"', '"},{"user":"', '"},{"user":"'),
            (b'\xed\xa0\x80', r'\xed\xa0\x80', r'\xed\xa0\x80'),
            (b'\xc0\xaf', r'\xc0\xaf', r'\xc0\xaf'),
            (b'cut\xe2\x82', r'cut\xe2\x82', r'cut\xe2\x82'),
            (b'\xc2\x9b2J', '\x9b2J', r'\xc2\x9b2J'),
            (b'\xe2\x80\xae\xd8\x9cevil', '\u202e\u061cevil', r'\xe2\x80\xae\xd8\x9cevil'),
            (b'5\xe2\x80\xb0', '5\u2030', r'5\xe2\x80\xb0'),
            (b'z' * 255, 'z' * 255, 'z' * 255),
            (b'\xff' * 255, r'\xff' * 255, r'\xff' * 255),
        )
        for i, (name, in_json, in_table) in enumerate(cases):
            with self.subTest(name):
                address = self.sessions.connect(f's{i}', name)
                self.assertEqual(self.leases()[address]['user'], in_json)
                row, = [line for line in self.ok('leases').splitlines()
                        if line.split()[0] == address]
                self.assertEqual((row.split()[2], len(row.split())), (in_table, 9))
        self.assertEqual(len(self.ok('leases').splitlines()), len(cases) + 1)
        # A terminal obeys these, and JSON is looked at, too.
        for verb in (('leases', '--json'), ('history', '--json'),
                     ('explain', '--user', '\x9b2J\u202e', '--json'),
                     ('explain', '--user', '\x9b2J\u202e')):
            self.assertNotRegex(self.ok(*verb), '[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u202e]')

    def test_nobody(self):
        self.configure('anonymous = "allow"; pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); } );')
        answer = self.sessions.command('connect a noauth')
        self.assertEqual(answer['result'], 'up')
        lease, = self.json('leases')
        self.assertEqual(lease['user'], '')
        self.assertRegex(self.ok('leases'), r'  ""  ')

    def test_a_slow_reader_holds_nobody_up(self):
        """The store must not be in use while the output waits for its reader."""
        for i in range(40):
            self.sessions.connect(f's{i}', 'x' * 250 + str(i))
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        with subprocess.Popen([RASIP, '-c', self.config, 'leases', '--json'], stdout=writer) as tool:
            os.close(writer)
            self.addCleanup(tool.kill)

            def blocked():
                waiting = bytearray(4)
                fcntl.ioctl(reader, termios.FIONREAD, waiting)
                return int.from_bytes(waiting, sys.byteorder) == size

            wait_for(blocked, 'the pipe is full')
            self.assertNotIn('.mdb', pathlib.Path(f'/proc/{tool.pid}/maps').read_text())
            tool.kill()


class Metrics(Case):
    SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)')
    LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')

    def parse(self, text):
        """Prometheus' text format, with everything held to it that it asks for."""
        self.assertTrue(text.endswith('\n'))
        types, helps, samples, families = {}, set(), {}, []
        for line in text.splitlines():
            if line.startswith('# HELP '):
                name = line.split(' ', 3)[2]
                self.assertNotIn(name, helps)
                helps.add(name)
                families.append(name)
            elif line.startswith('# TYPE '):
                _, _, name, kind = line.split(' ')
                self.assertNotIn(name, types)
                self.assertEqual(families[-1], name)
                self.assertIn(kind, ('counter', 'gauge'))
                self.assertEqual(kind == 'counter', name.endswith('_total'))
                types[name] = kind
            else:
                found = self.SAMPLE.fullmatch(line)
                self.assertIsNotNone(found, line)
                self.assertEqual(found[1], families[-1])
                labels, rest = {}, found[2] or ''
                while rest:
                    label = self.LABEL.match(rest)
                    self.assertIsNotNone(label, line)
                    self.assertNotIn(label[1], labels)
                    labels[label[1]] = label[2]
                    rest = rest[label.end():]
                key = (found[1], tuple(sorted(labels.items())))
                self.assertNotIn(key, samples)
                samples[key] = float(found[3])
        self.assertEqual(helps, set(types))
        return samples

    def read(self):
        return self.parse(self.ok('metrics'))

    def test_figures_are_those_of_pools(self):
        self.assertEqual(self.read()['rasip_pool_size', (('pool', 'residential'),)], 255)
        for name in 'abc':
            self.sessions.connect(name, f'{name}@rest')
        self.sessions.command('disconnect a')
        samples = self.read()
        for pool in self.json('pools'):
            label = ('pool', pool['name'])
            for state in ('active', 'held', 'free', 'reserved'):
                self.assertEqual(samples['rasip_pool_addresses', (label, ('state', state))],
                                 pool[state])
            for metric, key in (('rasip_pool_size', 'size'), ('rasip_pool_peak', 'peak'),
                                ('rasip_grants_total', 'grants'),
                                ('rasip_refusals_total', 'refusals'),
                                ('rasip_reclaims_total', 'reclaims')):
                self.assertEqual(samples[metric, (label,)], pool[key])
            self.assertEqual(samples['rasip_pool_open', (label,)], 1)


if __name__ == '__main__':
    unittest.main()
