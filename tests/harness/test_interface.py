# SPDX-License-Identifier: MIT
"""The harness itself (interface.md, 6), fail-open pppd, user names, script variables."""

import json
import os
import signal
import subprocess
import unittest

from rasip_test import harness, paths
from rasip_test.case import Case
from rasip_test.config import pool


class WithoutPlugin(unittest.TestCase):
    """pppd left to itself fails open: what the plugin has to prevent must be seen here."""

    def start(self, *options):
        found = harness.Harness(None, plugin=None, options=options)
        self.addCleanup(found.dispose)
        return found

    def test_peer_gets_what_it_asks_for(self):
        answer = self.start().connect('a', noauth=True, asks='10.1.2.3')
        self.assertEqual((answer['result'], answer['address']), ('up', '10.1.2.3'))

    def test_pppd_invents_an_address(self):
        h = self.start()
        self.assertEqual(h.connect('a', noauth=True)['address'], '10.64.64.64')
        self.assertEqual(h.connect('b', noauth=True)['address'], '10.64.64.65')

    def test_authenticated_peer_needs_a_permitted_address(self):
        h = self.start()
        self.assertEqual(h.connect('a', user='a', asks='10.1.2.3')['result'], 'refused')
        answer = h.connect('a', user='a', asks='10.1.2.3', allowed='*')
        self.assertEqual(answer['address'], '10.1.2.3')

    def test_renegotiating_peer_may_change_its_mind(self):
        h = self.start()
        h.connect('a', noauth=True, asks='10.1.2.3')
        self.assertEqual(h.renegotiate('a', asks='10.1.2.4')['address'], '10.1.2.4')

    def test_configured_address_is_insisted_on(self):
        h = self.start(':10.9.0.1')
        self.assertEqual(h.connect('a', noauth=True, asks='10.9.0.1')['address'], '10.9.0.1')

    def test_duplicates_are_counted(self):
        h = self.start(':10.9.0.1', 'noauth')
        answer = h.storm(30, 5)
        self.assertEqual((answer['sessions'], answer['refused']), (30, 0))
        self.assertGreater(answer['duplicates'], 0)

    def test_wrong_options(self):
        for option, word in (('nosuch 1', 'unrecognized'), ('ipparam', 'too few'),
                             ('maxconnect x', 'numeric'), ('10.0.0.300:', 'bad local')):
            done = harness.run(None, plugin=None, options=[option])
            self.assertEqual(done.returncode, 1, option)
            self.assertIn(word, done.errors)


class CommandLine(Case):
    def test_help(self):
        done = subprocess.run([paths.HARNESS, '--help'], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn('--plugin', done.stdout)

    def test_wrong_usage(self):
        for words in (['--nosuch'], ['--plugin'], ['word'], ['--limit', '0']):
            done = subprocess.run([paths.HARNESS, *words], capture_output=True, check=False,
                                  stdin=subprocess.DEVNULL)
            self.assertEqual((done.returncode, done.stdout), (2, b''))

    def test_plugin_is_enough(self):
        done = harness.run('/nonexistent/rasip.conf')
        self.assertEqual(done.returncode, 1)
        self.assertIn('/nonexistent/rasip.conf: No such file', done.errors)


class Answers(Case):
    def setUp(self):
        super().setUp()
        self.write_config(pool('p', '10.64.0.0/24'))

    def test_one_line_each_in_order(self):
        done = self.run_script('connect a user=alice port=ttyS0\n\n# a remark\n'
                               'renegotiate a\nreconnect a user=bob\ndetach a\n'
                               'disconnect a how=hangup\nconnect b user=bob\nkill b\n'
                               'wait 0.01\nstorm sessions=5 parallel=2\n')
        self.assertEqual(done.returncode, 0)
        self.assertEqual([(a.get('name'), a.get('result')) for a in done.answers],
                         [('a', 'up'), ('a', 'up'), ('a', 'up'), ('a', 'ok'), ('a', 'down'),
                          ('b', 'up'), ('b', 'killed'), (None, 'ok'), (None, None)])
        self.assertEqual(set(done.answers[-1]), {'sessions', 'refused', 'duplicates', 'seconds',
                                                 'p50_us', 'p99_us'})

    def test_mistakes_are_answered(self):
        lines = ['nosuch', 'connect', 'connect a foo=1', 'connect a asks=10.0.0', 'wait', 'wait x',
                 'disconnect a how=maybe', 'storm sessions=0 parallel=1', 'connect a ipcp=up',
                 'renegotiate a user=b', 'x' * 20000]
        done = self.run_script('\n'.join(lines) + '\nconnect a user=alice\n')
        self.assertEqual([a['result'] for a in done.answers], ['error'] * len(lines) + ['up'])
        self.assertTrue(all(a['reason'] for a in done.answers[:-1]))

    def test_unknown_sessions_are_answered(self):
        for verb in ('renegotiate', 'reconnect', 'detach', 'disconnect', 'kill'):
            done = self.run_script(f'{verb} a\n')
            self.assertEqual((done.answers[0]['name'], done.answers[0]['result']), ('a', 'gone'))

    def test_session_that_died_is_answered(self):
        for verb in ('renegotiate', 'reconnect', 'relogin', 'detach', 'disconnect', 'kill',
                     'gone', 'show'):
            with self.subTest(verb):
                h = self.start()
                pid = h.connect('a', user='alice')['pid']
                os.kill(pid, signal.SIGKILL)
                answers = ('gone', 'killed') if verb == 'kill' else ('gone',)
                self.assertIn(h.play(verb, 'a')['result'], answers)
                self.assert_up(h.connect('a', user='bob'))
                h.close()

    def test_hung_up_from_outside(self):
        for number, status in ((signal.SIGHUP, 5), (signal.SIGTERM, 5)):
            h = self.start()
            os.kill(h.connect('a', user='alice')['pid'], number)
            self.assertIn(f'status {status}', h.gone('a')['reason'])
            self.assertEqual(len(h.events('release')), 1)
            self.assert_up(h.connect('a', user='alice'))

    def test_refused_session_is_gone_and_its_name_is_free(self):
        h = self.start()
        self.assert_refused(h.connect('a', noauth=True))
        self.assertEqual(h.disconnect('a')['result'], 'gone')
        self.assert_up(h.connect('a', user='alice'))

    def test_name_in_use(self):
        h = self.start()
        self.assert_up(h.connect('a', user='alice'))
        self.assertEqual(h.connect('a', user='bob')['result'], 'error')
        self.assert_up(h.renegotiate('a'))

    def test_user_is_the_name_by_default(self):
        h = self.start()
        h.connect('alice')
        self.assertIn('user="alice"', h.events('grant')[0])

    def test_end_of_input_ends_sessions(self):
        h = self.start()
        pids = [h.connect(name, user=name)['pid'] for name in 'abc']
        h.detach('b')
        self.assertEqual(h.close(), 0)
        self.assertEqual(len(h.events('release')), 3)
        for pid in pids:
            self.assertFalse(os.path.exists(f'/proc/{pid}'))

    def test_harness_killed_ends_sessions(self):
        h = self.start()
        h.connect('a', user='alice')
        h._process.kill()  # pylint: disable=protected-access
        h._process.wait()  # pylint: disable=protected-access
        h2 = self.start(pool('p', '10.64.0.0'))
        for _ in range(100):
            if h2.connect('b', user='bob')['result'] == 'up':
                break
            h2.wait(0.05)
        else:
            self.fail('the session goes on')

    def test_connect_time_limit(self):
        h = self.start(options=['maxconnect 1'])
        self.assert_up(h.connect('a', user='alice'))
        self.assertIn('status 13', h.gone('a')['reason'])
        self.assertEqual(len(h.events('release')), 1)

    def test_peer_that_refuses_naks_gets_ours_or_nothing(self):
        h = self.start()
        answer = h.connect('a', 'insists', user='alice', asks='10.1.2.3')
        self.assertIn(answer.get('address'), (None, '10.64.0.0'))

    def test_peers_wish_counts_for_nothing(self):
        h = self.start()
        self.assert_up(h.connect('a', user='alice', asks='10.64.0.77'), '10.64.0.0')
        self.assert_up(h.renegotiate('a', asks='10.64.0.78'), '10.64.0.0')


class Environment(Case):
    def test_script_variables(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        address = h.connect('a', user='alice')['address']
        self.assertEqual(h.show('a')['env'], {'RASIP_POOL': 'p', 'RASIP_ADDRESS': address})
        self.assertEqual(h.drop('a')['env'], {})
        self.assertEqual(h.reconnect('a')['env']['RASIP_ADDRESS'], address)

    def test_refused_session_has_none(self):
        h = self.start(pool('p', '10.64.0.0'))
        h.connect('a', user='alice')
        self.assertEqual(h.connect('b', user='bob')['env'], {})

    def test_another_user_on_the_same_link(self):
        h = self.start(pool('p', '10.64.0.0/24'), pool('q', '10.65.0.0/24'),
                       assign=[{'user': 'bob', 'pool': 'q'}, {'pool': 'p'}])
        h.connect('a', user='alice')
        self.assertEqual(h.relogin('a', user='bob')['env'],
                         {'RASIP_POOL': 'q', 'RASIP_ADDRESS': '10.65.0.0'})


class UserNames(Case):
    NAMES = (b'DOMAIN\\user', b'user@corp.example', b'two words', b'"quoted"', b'new\nline',
             b'\x01\x1b[31m', b'\xff\xfe', '\u00e9t\u00e9'.encode(), b'%s%n%x', b'$(id)`id`;&|',
             b'a' * 255, b'\xff' * 255, b'\n' * 255, b'*', b'[a-z]', b'\\')

    def test_any_bytes(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        for name in self.NAMES:
            with self.subTest(name):
                first = self.assert_up(h.connect('a', user=name, port='ttyS0'))
                self.assert_up(h.renegotiate('a'), first)
                h.disconnect('a')
                self.assert_up(h.connect('a', user=name, port='ttyS0'), first)
                h.disconnect('a')

    def test_each_event_is_one_line(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        for name in self.NAMES:
            h.connect('a', user=name)
            h.disconnect('a')
        for line in h.log().splitlines():
            self.assertTrue(line.startswith('a: '), line)
            self.assertTrue(line.isascii() and line.isprintable(), line)
        self.assertEqual(len(h.events('grant')), len(self.NAMES))

    def test_what_a_name_looks_like_in_the_log(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        h.connect('a', user=b'a"b\\c\xff\n')
        self.assertIn(r'user="a\x22b\x5cc\xff\x0a"', h.events('grant')[0])

    def test_names_of_255_bytes_differ_in_the_last(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        found = {self.assert_up(h.connect(end, user='n' * 254 + end)) for end in 'abc'}
        self.assertEqual(len(found), 3)
        for end in 'abc':
            h.disconnect(end)
        self.assertIn('how=sticky', self.grant_of(h, 'n' * 254 + 'b'))

    def grant_of(self, h, user):
        self.assert_up(h.connect('again', user=user))
        return h.events('grant', 'again')[0]

    def test_reserved_for_a_name_of_255_bytes(self):
        user = 'u' * 255
        h = self.start(pool('p', '10.64.0.0/24'),
                       assign=[{'user': user, 'address': '10.64.0.9'}, {'pool': 'p'}])
        self.assert_up(h.connect('a', user=user), '10.64.0.9')
        self.assertNotEqual(h.connect('b', user=user[:-1])['address'], '10.64.0.9')

    def test_json_has_any_name(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        answer = h.connect('s"\\\x01\u00e9', user='alice')
        self.assertEqual(answer['name'], 's"\\\x01\u00e9')
        self.assertEqual(json.loads(json.dumps(answer)), answer)


if __name__ == '__main__':
    unittest.main()
