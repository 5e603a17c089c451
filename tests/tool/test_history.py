# SPDX-License-Identifier: MIT
"""rasip history: what happened, and who had an address when."""

import datetime
import json
import os
import shutil
import subprocess
import time
import unittest

from toolbox import POOLS, RASIP, Case, Terminal, wait_for

KEYS = ['time', 'event', 'address', 'pool', 'user', 'port', 'pid', 'granted', 'how', 'module',
        'detail']


def seconds(text):
    return int(datetime.datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp())


def text_of(when):
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime('%FT%TZ')


COARSE = 5  # CLOCK_REALTIME_COARSE, which time(2) reads: a few milliseconds behind time.time()


def now_sec():
    return int(time.clock_gettime(COARSE))


def next_second():
    """Times are whole seconds: what happens from here on is later than what has happened."""
    now = now_sec()
    while now_sec() == now:
        time.sleep(0.005)
    return now_sec()


class PastCase(Case):
    def moved(self, n):
        """A session that is up for a second moves all events to where they outlive a reboot."""
        self.sessions.command('wait 0.2')
        elsewhere = self.dir / 'elsewhere.conf'
        elsewhere.write_text(self.config.read_text().replace(f'"{self.runtime}"',
                                                             f'"{self.dir}/none"'))
        done = self.run_tool('-c', elsewhere, 'history', '--json', config=False)
        return len(json.loads(done.stdout)) == n


class History(PastCase):
    def events(self, *words):
        return [(event['event'], event['user']) for event in self.json('history', *words)]

    def test_before_the_first_session(self):
        self.assertEqual(self.json('history'), [])
        done = self.run_tool('history')
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, b'', b'rasip: nothing has happened yet\n'))
        self.assertFalse(self.runtime.exists() or self.state.exists())

    def test_each_event_is_a_line(self):
        address = self.sessions.connect('a', 'bob', port='ttyS3')
        self.sessions.command('disconnect a')
        self.sessions.connect('a', 'bob', port='ttyS4')
        self.sessions.command('kill a')
        self.ok('reclaim')
        self.configure(POOLS.replace('next = "overflow"', 'mode = "drain"'))
        self.assertEqual(self.sessions.command('connect b user=eve')['result'], 'refused')
        lines = self.ok('history').splitlines()
        self.assertEqual(lines[0].split(),
                         'TIME EVENT ADDRESS POOL USER PORT DETAIL'.split())
        for line, pattern in zip(lines[1:], (
                rf"grant    {address}  residential  bob   ttyS3  the next one in the pool's order",
                rf'release  {address}  residential  bob   ttyS3  after \d+s',
                rf'grant    {address}  residential  bob   ttyS4  the address this user had',
                rf'reclaim  {address}  residential  bob   ttyS4  process \d+ had died; granted \d+s before',
                r'refuse   - +residential  eve +\S+ +.*drain.*'), strict=True):
            self.assertRegex(line, rf'^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ  {pattern}$')

    def test_json(self):
        before = now_sec()
        address = self.sessions.connect('a', 'alice', port='ttyS3')
        pid = self.leases()[address]['pid']
        self.sessions.command('disconnect a')
        grant, release = self.json('history')
        self.assertEqual(list(grant), KEYS)
        self.assertTrue(before <= seconds(grant['time']) <= seconds(release['time']) <= time.time())
        self.assertEqual(release['granted'], grant['time'])
        self.assertEqual({key: grant[key] for key in KEYS[1:-1]},
                         {'event': 'grant', 'address': address, 'pool': 'residential',
                          'user': 'alice', 'port': 'ttyS3', 'pid': pid, 'granted': None,
                          'how': 'reservation', 'module': None})
        self.assertEqual((release['event'], release['how'], release['address']),
                         ('release', None, address))

    def test_alarms_and_refusals(self):
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.1-10.0.0.2" ); alarm = 100; } );')
        for name in 'abc':
            self.sessions.command(f'connect {name} user={name}')
        self.sessions.command('disconnect a')
        events = self.json('history')
        self.assertEqual([event['event'] for event in events],
                         ['grant', 'grant', 'alarm', 'refuse', 'alarm', 'release'])
        self.assertTrue(events[2]['detail'].startswith('on: 2 of 2 addresses active'), events[2])
        self.assertTrue(events[4]['detail'].startswith('off: 1 of 2'), events[4])
        self.assertEqual((events[2]['user'], events[2]['address'], events[2]['pool']),
                         (None, None, 'p'))
        self.assertEqual((events[3]['user'], events[3]['address']), ('c', None))
        self.assertIn('full', events[3]['detail'])

    def test_filters(self):
        one = self.sessions.connect('a', 'bob')
        self.sessions.connect('b', 'bill')
        self.sessions.connect('c', 'eve')
        self.sessions.command('disconnect a')
        self.assertEqual(self.events('--address', one), [('grant', 'bob'), ('release', 'bob')])
        self.assertEqual(self.events('--user', 'b*'),
                         [('grant', 'bob'), ('grant', 'bill'), ('release', 'bob')])
        self.assertEqual(self.events('--user', 'b*', '--address', '10.9.9.9'), [])
        self.assertEqual(self.run_tool('history', '--user', 'nobody').stderr,
                         b'rasip: no such event\n')

    def test_times(self):
        self.sessions.connect('a', 'bob')
        middle = next_second()
        self.sessions.connect('b', 'eve')
        for form in (f'@{middle}', text_of(middle)):
            self.assertEqual(self.events('--since', form), [('grant', 'eve')])
        for form in (f'@{middle - 1}', text_of(middle - 1)):
            self.assertEqual(self.events('--until', form), [('grant', 'bob')])
        self.assertEqual(len(self.events('--since', '1h')), 2)
        self.assertEqual(len(self.events('--since', '2d', '--until', '0s')), 2)
        self.assertEqual(self.events('--until', '1h'), [])

    def test_bad_times(self):
        for words in (('--since', 'yesterday'), ('--until', '2026-13-01T00:00:00Z'),
                      ('--at', 'forever'), ('--at', ''), ('--since', '@-1'),
                      ('--at', '1h', '--since', '2h'), ('--at', '1h', '--until', '1h'),
                      ('--since', '1h', '--until', '2h'), ('--address', '10.0.0.256')):
            with self.subTest(words):
                self.fails(2, 'history', *words)

    def test_it_survives_a_reboot(self):
        self.sessions.connect('a', 'bob')
        self.sessions.command('disconnect a')
        self.sessions.connect('b', 'eve')
        wait_for(lambda: self.moved(3), 'the events are in state_dir')
        kept = self.json('history')
        self.sessions.command('kill b')
        shutil.rmtree(self.runtime)
        self.assertEqual(self.json('history'), kept)
        self.assertEqual(self.events(), [('grant', 'bob'), ('release', 'bob'), ('grant', 'eve')])
        self.sessions.connect('c', 'kim')
        self.assertEqual(self.events()[-2:], [('grant', 'eve'), ('grant', 'kim')])

    def test_names_cannot_forge_anything(self):
        self.sessions.connect('a', 'x\n2026-01-01T00:00:00Z  grant  "\\')
        self.assertEqual(len(self.ok('history').splitlines()), 2)
        self.assertEqual(self.json('history')[0]['user'], 'x\n2026-01-01T00:00:00Z  grant  "\\')
        self.assertIn(r'x\x0a2026-01-01T00:00:00Z\x20\x20grant', self.ok('history'))
        self.sessions.connect('b', b'\x1b[2J\xff\x7f')
        self.assertEqual(self.json('history')[1]['user'], '\x1b[2J\\xff\x7f')
        self.assertNotIn('\x1b', self.ok('history'))

    def test_the_reader_goes_away(self):
        for i in range(30):
            self.sessions.connect(f's{i}', 'x' * 250)
        for words in ((), ('--json',), ('--at', '0s')):
            reader, writer = os.pipe()
            os.close(reader)
            done = subprocess.run([RASIP, '-c', self.config, 'history', *words], check=False,
                                  stdout=writer, stderr=subprocess.PIPE)
            os.close(writer)
            self.assertEqual((done.returncode, done.stderr), (0, b''), words)

    def test_on_a_terminal(self):
        self.sessions.connect('a', 'bob')
        terminal = Terminal([RASIP, '-c', self.config, 'history'], columns=40)
        self.addCleanup(terminal.close)
        self.assertEqual(terminal.wait(), 0)
        self.assertNotIn(b'\033', terminal.output)
        self.assertRegex(terminal.output, rb'grant +10\.64\.0\.\d+ +residential  bob ')


class WhoHad(PastCase):
    """--at: the question that comes with a complaint."""

    def who(self, *words):
        return [(holder['user'], holder['end']) for holder in self.json('history', *words)]

    def test_before_the_first_session(self):
        self.assertEqual(self.json('history', '--at', '1h'), [])
        done = self.run_tool('history', '--at', '1h')
        self.assertEqual((done.returncode, done.stderr), (0, b'rasip: nothing has happened yet\n'))

    def test_one_after_the_other(self):
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.1" ); } );')
        begin = now_sec()
        self.sessions.connect('a', 'alice', port='ttyS1')
        between = next_second()
        self.sessions.command('disconnect a')
        next_second()
        pause = next_second()
        next_second()
        self.sessions.connect('b', 'bob', port='ttyS2')
        later = next_second()
        words = ('--address', '10.0.0.1', '--at')
        self.assertEqual(self.who(*words, f'@{begin - 1}'), [])
        self.assertEqual(self.who(*words, f'@{between}'), [('alice', 'release')])
        self.assertEqual(self.who(*words, text_of(pause)), [])
        self.assertEqual(self.who(*words, f'@{later}'), [('bob', 'active')])
        self.assertEqual(self.who(*words, '0s'), [('bob', 'active')])
        self.assertEqual(self.run_tool('history', *words, f'@{pause}').stderr, b'rasip: nobody\n')
        self.assertRegex(self.run_tool('history', *words, f'@{begin - 9}').stderr.decode(),
                         r'^rasip: nobody that is known of; the history begins at \S+Z\n$')

        holder, = self.json('history', *words, f'@{between}')
        self.assertEqual({key: holder[key] for key in ('address', 'pool', 'user', 'port', 'end')},
                         {'address': '10.0.0.1', 'pool': 'p', 'user': 'alice', 'port': 'ttyS1',
                          'end': 'release'})
        self.assertTrue(seconds(holder['from']) <= between <= seconds(holder['to']))
        self.assertIsNone(self.json('history', *words, f'@{later}')[0]['to'])
        head, line = self.ok('history', *words, f'@{later}').splitlines()
        self.assertEqual(head.split(), 'ADDRESS POOL USER PORT FROM TO END'.split())
        self.assertRegex(line, r'^10\.0\.0\.1  p     bob   ttyS2  \S+Z  -   active$')

    def test_everybody(self):
        for name in ('bob', 'eve', 'kim'):
            self.sessions.connect(name, name)
        self.sessions.command('disconnect eve')
        now = now_sec()
        self.assertEqual(sorted(self.who('--at', f'@{now}')),
                         [('bob', 'active'), ('eve', 'release'), ('kim', 'active')])
        self.assertEqual(self.who('--at', f'@{now}', '--user', 'e*'), [('eve', 'release')])
        later = next_second()
        self.assertEqual(sorted(self.who('--at', f'@{later}')),
                         [('bob', 'active'), ('kim', 'active')])

    def test_a_session_that_was_killed(self):
        address = self.sessions.connect('a', 'bob')
        self.sessions.command('kill a')
        self.assertEqual(self.who('--address', address, '--at', '0s'), [('bob', 'active')])
        self.ok('reclaim')
        now = f'@{now_sec()}'
        holders = self.who('--address', address, '--at', now)
        self.assertEqual(holders, [('bob', 'reclaim')] if holders else [])
        next_second()
        self.assertEqual(self.who('--address', address, '--at', '0s'), [])

    def test_why_it_cannot_be_read(self):
        self.sessions.connect('a', 'bob')
        wait_for(lambda: self.moved(1), 'the event is in state_dir')
        memory = self.state / 'memory.mdb'
        memory.write_bytes(b'nothing of the kind\n' * 1000)
        for words in ((), ('--json',), ('--at', '0s')):
            self.assertIn(f"{memory} is damaged or not a store of rasip's",
                          self.fails(1, 'history', *words))

    def test_an_end_that_nobody_saw(self):
        """The machine lost its power, and with it everything in runtime_dir."""
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.1" ); } );')
        self.sessions.connect('a', 'alice')
        wait_for(lambda: self.moved(1), 'the event is in state_dir')
        self.sessions.command('kill a')
        granted = seconds(self.json('history')[0]['time'])
        shutil.rmtree(self.runtime)
        next_second()
        words = ('--address', '10.0.0.1', '--at')
        self.assertEqual(self.who(*words, f'@{granted}'), [('alice', 'unknown')])
        self.assertRegex(self.ok('history', *words, f'@{granted}'), r'Z  \?   unknown\n$')
        self.sessions.connect('b', 'bob')
        later = next_second()
        self.assertEqual(self.who(*words, f'@{granted}'), [('alice', 'unknown')])
        self.assertEqual(self.who(*words, f'@{later}'), [('bob', 'active')])


if __name__ == '__main__':
    unittest.main()
