# SPDX-License-Identifier: MIT
"""rasip explain, release and reclaim."""

import os
import signal
import subprocess
import unittest

from toolbox import (BUILD, Case, OTHER_PIDS, PATIENCE_SEC, RASIP, Sessions, can_unshare,
                     wait_for)


class Explain(Case):
    def test_it_gives_what_a_session_then_gets(self):
        for user in ('bob', 'alice', 'x@rest'):
            told = self.json('explain', '--user', user)
            self.assertEqual((told['result'], told['why']), ('given', None))
            self.assertEqual(self.sessions.connect(f's-{user}'.replace('@', '-'), user),
                             told['address'])

    def test_in_words(self):
        self.sessions.connect('a', 'bob')
        self.sessions.command('disconnect a')
        text = self.ok('explain', '--user', 'bob', '--port', 'ttyS4')
        self.assertEqual(self.ok('explain', '--user', 'bob', '--port', '/dev/ttyS4'), text)
        self.assertRegex(text, rf'^User "bob" on port "ttyS4":\n'
                               rf'  {self.config}:\d+: everybody gets pool residential\n'
                               r'  pool residential: gives 10\.64\.0\.\d+: the address .*\n'
                               r'Gets 10\.64\.0\.\d+ from pool residential: the address this user had\n$')

    def test_a_reservation(self):
        told = self.json('explain', '--user', 'alice')
        self.assertEqual((told['address'], told['how'], told['rule']['address']),
                         ('10.64.0.7', 'reservation', '10.64.0.7'))
        self.sessions.connect('a', 'alice')
        told = self.json('explain', '--user', 'alice')
        self.assertEqual((told['result'], told['address'], told['how'], told['pool']),
                         ('refused', None, None, None))
        self.assertIn('10.64.0.7', told['why'])

    def test_it_changes_nothing(self):
        self.ok('explain', '--user', 'bob')
        self.assertFalse(self.runtime.exists())
        self.sessions.connect('a', 'bob')
        before = self.json('pools'), self.leases('--all')
        for _ in range(3):
            self.json('explain', '--user', 'eve')
            self.json('explain', '--user', 'alice')
            self.json('explain', '--user', '')
        self.assertEqual((self.json('pools'), self.leases('--all')), before)

    def test_our_end_of_the_link_that_a_peer_has(self):
        address = self.sessions.connect('a', 'bob')
        self.configure(f'''pools = ( {{ name = "a"; ranges = ( "10.64.0.0/24" );
                           local = "{address}"; }} );''')
        told = self.json('explain', '--user', 'eve')
        self.assertEqual((told['result'], told['address']), ('refused', None))
        answer = self.sessions.command('connect b user=eve')
        self.assertEqual((answer['result'], answer['reason']), ('refused', told['why']))
        self.sessions.command('disconnect a')
        self.assertEqual(self.json('explain', '--user', 'eve')['result'], 'given')

    def test_modules_that_are_not_asked_are_named(self):
        text = self.ok('explain', '--user', 'eve')
        self.assertNotIn('Not asked here', text)
        self.assertEqual(self.json('explain', '--user', 'eve')['unasked'], [])
        pools = 'pools = ( { name = "a"; ranges = ( "10.64.0.0/24" ); } );'
        others = ('{ name = "Audit"; path = "/nowhere/audit.so"; }',
                  '{ name = "Our choice"; path = "/nowhere/choice.so"; }')
        self.configure('modules = ( %s, { name = "Pool"; path = "builtin"; }, %s );' % others + pools)
        self.assertEqual(self.json('explain', '--user', 'eve')['unasked'], ['Audit', 'Our choice'])
        text = self.ok('explain', '--user', 'eve')
        self.assertTrue(text.endswith('Not asked here, and may decide otherwise: modules "Audit", '
                                      '"Our choice".\n'), text)
        self.configure('modules = ( %s );' % others[0] + pools)
        text = self.ok('explain', '--user', 'eve')
        self.assertTrue(text.endswith('Not asked here, and may decide otherwise: module "Audit".\n'
                                      'No session asks the pools: "builtin" is not among the '
                                      'modules.\n'), text)

    def test_the_chain_of_pools(self):
        self.configure('''pools = ( { name = "a"; ranges = ( "10.0.0.1" ); next = "b"; },
                                    { name = "b"; ranges = ( "10.0.1.1" ); } );''')
        self.sessions.connect('a', 'bob')
        told = self.json('explain', '--user', 'eve')
        self.assertEqual([step['pool'] for step in told['steps']], ['a', 'b'])
        self.assertEqual((told['address'], told['pool']), ('10.0.1.1', 'b'))
        self.assertIn('the first pool serves everybody', self.ok('explain', '--user', 'eve'))
        self.sessions.connect('b', 'bill')
        told = self.json('explain', '--user', 'eve')
        self.assertEqual((told['result'], told['address']), ('refused', None))
        self.assertIn('Refused: ', self.ok('explain', '--user', 'eve'))

    def test_no_rule_and_nobody(self):
        self.configure('''pools = ( { name = "a"; ranges = ( "10.0.0.0/24" ); } );
                          assign = ( { user = "b*"; pool = "a"; } );''')
        self.assertIn('no rule of', self.ok('explain', '--user', 'eve'))
        text = self.ok('explain', '--user', '')
        self.assertTrue(text.startswith('A user who has not authenticated:\nRefused: '), text)

    def test_candidate_and_pool(self):
        self.sessions.connect('a', 'bob', candidate='10.64.0.9')
        for words, result, address, how in (
                (('--candidate', '10.64.0.9'), 'refused', None, None),
                (('--candidate', '10.64.0.7'), 'refused', None, None),
                (('--candidate', '10.64.0.8'), 'given', '10.64.0.8', 'candidate'),
                (('--candidate', '192.0.2.1'), 'given', '192.0.2.1', 'candidate'),
                (('--pool', 'overflow'), 'given', '10.65.0.0', 'new')):
            told = self.json('explain', '--user', 'eve', *words)
            self.assertEqual((told['result'], told['address'], told['how']),
                             (result, address, how), words)
        self.assertIn('goes before rules and pools',
                      self.ok('explain', '--user', 'eve', '--candidate', '10.64.0.8'))
        self.assertIn('rasip-pool overflow takes the place of the assign rules',
                      self.ok('explain', '--user', 'eve', '--pool', 'overflow'))
        self.assertIn("did you mean 'overflow'?",
                      self.fails(1, 'explain', '--user', 'eve', '--pool', 'overflw'))


class Release(Case):
    def test_a_live_session_is_hung_up(self):
        address = self.sessions.connect('a', 'bob')
        other = self.sessions.connect('b', 'bill')
        pid = self.leases()[address]['pid']
        told = self.json('release', address)
        self.assertEqual(told, {'address': address, 'result': 'hung-up', 'pid': pid})
        self.assertEqual(list(self.leases()), [other])
        self.assertEqual(self.leases('--all')[address]['user'], 'bob')

    def test_many_times_in_words(self):
        for i in range(10):
            address = self.sessions.connect(f's{i}', 'bob')
            self.assertRegex(self.ok('release', address), rf'^{address}: the session of user bob '
                             r'\(process \d+\) was hung up and has ended\n$')
            self.assertEqual(self.leases('--all')[address]['user'], 'bob')

    def test_what_a_dead_process_left(self):
        address = self.sessions.connect('a', 'bob')
        self.sessions.command('kill a')
        self.assertIn('taken back from the dead process', self.ok('release', address))
        self.assertEqual(self.json('leases'), [])

    def test_a_process_that_dies_of_it(self):
        """Stopped, so that it cannot close the link, and killed while the tool waits."""
        address = self.sessions.connect('a', 'bob')
        pid = self.leases()[address]['pid']
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.kill, pid)
        complaint = self.fails(1, 'release', address, '--timeout', '0s')
        self.assertIn(f'process {pid} was hung up but has not ended its session within 0 s; '
                      f'it keeps {address}', complaint)
        self.assertIn(address, self.leases())
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.run_tool('release', address, '--timeout', '0s').returncode == 0,
                 'the dead process is noticed')

    @staticmethod
    def kill(pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def test_a_rest_ends(self):
        address = self.sessions.connect('a', 'a@rest')
        self.sessions.command('disconnect a')
        self.assertEqual(self.pool('overflow')['held'], 1)
        self.assertEqual(self.json('release', address)['result'], 'rest-ended')
        self.assertEqual((self.pool('overflow')['held'], self.leases('--all')), (0, {}))
        self.assertEqual(self.fails(1, 'release', address), f'rasip: no lease for {address}\n')

    def test_what_is_remembered_is_forgotten(self):
        address = self.sessions.connect('a', 'bob')
        self.sessions.command('disconnect a')
        self.assertEqual(self.ok('release', address),
                         f'{address}: user bob no longer has a claim to it\n')
        self.assertEqual(self.leases('--all'), {})

    @unittest.skipUnless(can_unshare(), 'process numbers of its own need root')
    def test_process_numbers_of_another_container(self):
        """The recorded number means nobody here, or somebody else, who must not be signalled."""
        inside = Sessions(self.config, OTHER_PIDS)
        self.addCleanup(inside.close)
        address = inside.connect('a', 'bob')
        pid = self.leases()[address]['pid']
        self.assertLess(pid, 100)
        self.assertEqual(self.fails(1, 'release', address),
                         f'rasip: {address} belongs to a live session, but process {pid} is not '
                         'it: perhaps it runs in another container; hang it up there\n')
        outside = self.sessions.connect('b', 'bill')
        done = subprocess.run([*OTHER_PIDS, RASIP, '-c', self.config, 'release', outside],
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE_SEC,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn('is not it', done.stderr)
        self.assertEqual(set(self.leases()), {address, outside})

    def test_nothing_known(self):
        self.assertEqual(self.fails(1, 'release', '10.64.0.5'), 'rasip: no lease for 10.64.0.5\n')
        self.sessions.connect('a', 'bob')
        self.assertEqual(self.fails(1, 'release', '10.64.0.99', '--json'),
                         'rasip: no lease for 10.64.0.99\n')


class Reclaim(Case):
    def test_before_the_first_session(self):
        self.assertEqual(self.json('reclaim'), {'reclaimed': 0, 'left': 0, 'released': 0,
                                                'leases': []})
        self.assertFalse(self.runtime.exists())

    def test_the_dead_and_nobody_else(self):
        addresses = [self.sessions.connect(f's{i}', f'u{i}', port=f'ttyS{i}') for i in range(4)]
        leases = self.leases()
        for name in ('s0', 's2'):
            self.sessions.command(f'kill {name}')
        told = self.json('reclaim')
        self.assertEqual((told['reclaimed'], told['left']), (2, 0))
        self.assertEqual(sorted(told['leases'], key=lambda lease: lease['user']),
                         [{'address': addresses[i], 'pool': 'residential', 'user': f'u{i}',
                           'port': f'ttyS{i}', 'pid': leases[addresses[i]]['pid']} for i in (0, 2)])
        self.assertEqual(set(self.leases()), {addresses[1], addresses[3]})
        self.assertEqual(self.ok('reclaim'), '0 leases taken back\n')

    def test_in_words(self):
        address = self.sessions.connect('a', 'b\n\xff', port='ttyS0')
        pid = self.leases()[address]['pid']
        self.sessions.command('kill a')
        self.assertEqual(self.ok('reclaim'),
                         f'{address}  pool residential  user b\\x0a\\xc3\\xbf  port ttyS0  '
                         f'process {pid}\n1 lease taken back\n')


class ForeignModules(Case):
    """A lease that another module gave is given back by that module's rules."""

    def setUp(self):
        super().setUp()
        module = self.dir / 'scripted.so'
        module.write_bytes((BUILD / 'modules/scripted.so').read_bytes())
        module.chmod(0o644)
        self.argument(module)

    def argument(self, module, notify=1):
        self.module = module
        self.configure(f'modules = ( {{ name = "Script"; path = "{module}"; argument = '
                       f'"log={self.dir}/log address=192.0.2.77 notify={notify}"; }} );\n'
                       'pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); } );')

    def test_the_dead_ones_wait_for_the_next_pppd(self):
        self.sessions.connect('a', 'bob')
        self.assertIsNone(self.leases()['192.0.2.77']['pool'])
        self.sessions.command('kill a')
        told = self.json('reclaim')
        self.assertEqual((told['reclaimed'], told['left']), (0, 1))
        self.assertIn('1 more waits for the next pppd', self.ok('reclaim'))
        self.assertIn('from module Script', self.fails(1, 'release', '192.0.2.77'))
        self.assertIn('192.0.2.77', self.leases())

    def test_a_dead_one_that_no_module_has_to_be_told_of(self):
        self.argument(self.module, 'no')
        self.sessions.connect('a', 'bob')
        self.sessions.command('kill a')
        self.assertEqual(self.json('release', '192.0.2.77')['result'], 'reclaimed')
        self.assertEqual(self.leases(), {})

    def test_a_live_one_is_hung_up(self):
        self.sessions.connect('a', 'bob')
        self.assertEqual(self.json('release', '192.0.2.77')['result'], 'hung-up')
        self.assertEqual(self.leases(), {})


if __name__ == '__main__':
    unittest.main()
