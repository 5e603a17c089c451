# SPDX-License-Identifier: MIT
"""The admin-module contract, clause by clause, as far as it shows from outside a session.

Modules are copies of tests/modules/scripted.so, which writes every call to a log. Names begin
with the clause: tNN from the list of acceptance tests, ra_NN from the clauses themselves.
"""

import itertools
import json
import shutil
import subprocess
import time
import unittest

from rasip_test import paths
from rasip_test.case import Case
from rasip_test.config import pool

BUILTIN = {'name': 'Pool', 'path': 'builtin'}
WAYS_TO_END = ('terminate', 'hangup', 'exit')


def names(calls):
    return [call.name for call in calls]


class OneModule(Case):
    """One scripted module that has get and release."""

    def start_module(self, argument='', **settings):
        return self.start(modules=[self.module('one', argument)], **settings)

    def assert_one_release(self, user, port, address):
        released = [(c.user, c.port, c.address) for c in self.calls('release')]
        self.assertEqual(released, [(user, port, address)])

    def test_t1_get_gives_address_and_one_release_with_the_same_triple(self):
        h = self.start_module('address=10.9.0.5')
        self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.9.0.5')
        get = self.calls('get')
        self.assertEqual([str(call) for call in get], ['one get alice ttyS0 0.0.0.0'])
        self.assertEqual(self.calls('release'), [])
        self.assertEqual(h.disconnect('a')['result'], 'down')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_t2_candidate_accepted(self):
        h = self.start_module()
        self.assert_up(h.connect('a', user='alice', port='ttyS0', candidate='10.9.0.7'), '10.9.0.7')
        self.assertEqual(self.calls('get')[0].address, '10.9.0.7')

    def test_t3_candidate_replaced_and_release_carries_the_replacement(self):
        h = self.start_module('address=10.9.0.5')
        self.assert_up(h.connect('a', user='alice', port='ttyS0', candidate='10.9.0.7'), '10.9.0.5')
        h.disconnect('a')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_t5_success_with_zero_is_refused(self):
        h = self.start_module('zero')
        for asks in (None, '10.1.2.3'):
            self.assert_refused(h.connect('a', user='alice', port='ttyS0', asks=asks))
        self.assertEqual(self.calls('release'), [])

    def test_ra_34_candidate_set_to_zero_is_refused(self):
        h = self.start_module('zero')
        self.assert_refused(h.connect('a', user='alice', candidate='10.9.0.7'))
        self.assertEqual(self.calls('release'), [])

    def test_t6_failure_with_notify_has_no_release(self):
        h = self.start_module('address=10.9.0.5 fail')
        self.assert_refused(h.connect('a', user='alice', port='ttyS0', asks='10.9.0.5'))
        h.close()
        self.assertEqual(self.calls('release'), [])

    def test_ra_36_failure_leaves_no_address_behind(self):
        h = self.start_module('address=10.9.0.5 fail')
        self.assert_refused(h.connect('a', user='alice'))
        self.assertEqual(h.events('grant'), [])

    def test_t7_notify_false_has_no_release(self):
        for how in WAYS_TO_END:
            with self.subTest(how):
                h = self.start_module('address=10.9.0.5 notify=no')
                self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.9.0.5')
                h.disconnect('a', how=how)
                self.assertEqual(self.calls('release'), [])

    def test_t7_address_is_free_again_without_a_release(self):
        h = self.start_module('address=10.9.0.5 notify=no')
        for user in ('alice', 'bob'):
            self.assert_up(h.connect('a', user=user), '10.9.0.5')
            h.disconnect('a')

    def test_t8_renegotiations_are_one_get_and_one_address(self):
        h = self.start_module('address=10.9.0.5')
        self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.9.0.5')
        for asks in (None, '10.9.0.5', '10.1.2.3'):
            self.assert_up(h.renegotiate('a', asks=asks), '10.9.0.5')
        h.disconnect('a')
        self.assertEqual(names(self.calls('get', 'release')), ['get', 'release'])

    def test_t8_login_again_as_the_same_user_is_no_new_session(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice')
        self.assert_up(h.relogin('a'), '10.9.0.5')
        h.disconnect('a')
        self.assertEqual(names(self.calls('get', 'release')), ['get', 'release'])

    def test_t9_ipcp_never_up_has_one_release(self):
        h = self.start_module('address=10.9.0.5')
        self.assert_refused(h.connect('a', user='alice', port='ttyS0', ipcp='fail'), 'IPCP')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_t9_ipcp_fails_when_renegotiated(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice', port='ttyS0')
        self.assert_refused(h.renegotiate('a', ipcp='fail'))
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_t10_release_without_authentication(self):
        h = self.start_module('address=10.9.0.5', anonymous='allow')
        self.assert_up(h.connect('a', noauth=True, port='ttyS0'), '10.9.0.5')
        h.disconnect('a')
        self.assert_one_release('', 'ttyS0', '10.9.0.5')

    def test_t11_dead_then_exit_is_one_release(self):
        for how in WAYS_TO_END:
            with self.subTest(how):
                self.calls_file.unlink(missing_ok=True)
                h = self.start_module('address=10.9.0.5')
                h.connect('a', user='alice', port='ttyS0')
                self.assertEqual(h.disconnect('a', how=how)['result'], 'down')
                self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_t12_persist_gets_again(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice', port='ttyS0')
        self.assert_up(h.reconnect('a'), '10.9.0.5')
        h.disconnect('a')
        self.assertEqual(names(self.calls('get', 'release')), ['get', 'release'] * 2)

    def test_t12_candidate_of_the_second_session_is_not_the_first_answer(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice')
        h.reconnect('a')
        self.assertEqual([call.address for call in self.calls('get')], ['0.0.0.0'] * 2)

    def test_t12_candidate_of_another_user_on_the_link_is_not_the_first_answer(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice')
        h.relogin('a', user='bob')
        self.assertEqual([call.address for call in self.calls('get')], ['0.0.0.0'] * 2)

    def test_t12_candidate_of_one_user_is_not_the_next_ones(self):
        for verb in ('relogin', 'reconnect'):
            with self.subTest(verb):
                self.calls_file.unlink(missing_ok=True)
                h = self.start_module('address=10.9.0.5')
                h.connect('a', user='alice', candidate='10.9.0.7')
                self.assert_up(h.play(verb, 'a', user='bob'), '10.9.0.5')
                self.assertEqual([call.address for call in self.calls('get')],
                                 ['10.9.0.7', '0.0.0.0'])
                h.close()

    def test_t17_address_check_before_get_has_no_opinion(self):
        h = self.start_module('address=10.9.0.5')
        answer = h.connect('a', user='alice', candidate='10.9.0.7')
        self.assertEqual(answer['early_opinion'], -1)

    def test_t17_pppd_applies_the_secrets_addresses_to_a_candidate(self):
        self.write_config(modules=[self.module('one')])
        h = self.start(options=[':10.9.0.8'])
        # 10.9.0.8 is not the user's: pppd puts his own address in its place.
        self.assert_up(h.connect('a', user='alice', allowed='10.9.0.7'), '10.9.0.7')

    def test_t24_ra_42_unusable_addresses_are_refused_and_released(self):
        for address in ('127.0.0.1', '127.255.255.254', '224.0.0.1', '239.255.255.255',
                        '240.0.0.1', '255.255.255.255', '0.0.0.1'):
            with self.subTest(address):
                self.calls_file.unlink(missing_ok=True)
                h = self.start_module(f'address={address}')
                self.assert_refused(h.connect('a', user='alice', port='ttyS0', asks=address))
                self.assert_one_release('alice', 'ttyS0', address)

    def test_t24_unusable_address_without_notify_is_not_released(self):
        h = self.start_module('address=224.0.0.1 notify=no')
        self.assert_refused(h.connect('a', user='alice'))
        self.assertEqual(self.calls('release'), [])

    def test_ra_42_address_of_a_live_session_is_refused(self):
        h = self.start_module('address=10.9.0.5')
        self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.9.0.5')
        self.assert_refused(h.connect('b', user='bob', port='ttyS1', asks='10.1.2.3'), '10.9.0.5')
        self.assert_one_release('bob', 'ttyS1', '10.9.0.5')
        self.assert_up(h.renegotiate('a'), '10.9.0.5')
        h.disconnect('a')
        self.assert_up(h.connect('c', user='carol'), '10.9.0.5')

    def test_ra_12_order_is_accept_get_release_hangup(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice', port='ttyS0')
        h.disconnect('a')
        self.assertEqual(names(self.calls()),
                         ['initialize', 'accept', 'get', 'release', 'hangup', 'terminate'])

    def test_ra_12_no_call_before_authentication(self):
        h = self.start_module('address=10.9.0.5')
        self.assert_refused(h.connect('a', 'wrong-secret', user='alice'), 'Authentication')
        self.assertEqual(names(self.calls()), ['initialize', 'terminate'])

    def test_ra_15_refused_connection_has_no_get_release_hangup(self):
        h = self.start_module('address=10.9.0.5 accept=no')
        self.assert_refused(h.connect('a', user='alice', asks='10.9.0.5'))
        self.assertEqual(names(self.calls()), ['initialize', 'accept', 'terminate'])

    def test_ra_13_accepted_connection_has_one_hangup_also_without_an_address(self):
        h = self.start_module('fail')
        self.assert_refused(h.connect('a', user='alice'))
        self.assertEqual(names(self.calls('accept', 'hangup')), ['accept', 'hangup'])

    def test_ra_13_renegotiation_is_no_hangup(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice')
        h.renegotiate('a')
        self.assertEqual(self.calls('hangup'), [])
        h.disconnect('a')
        self.assertEqual(len(self.calls('accept')), 1)
        self.assertEqual(len(self.calls('hangup')), 1)

    def test_ra_19_calling_back_from_inside_get_answers_at_once(self):
        h = self.start_module('address=10.9.0.5 reenter')
        self.assert_up(h.connect('a', user='alice'), '10.9.0.5')
        self.assertEqual([c.address for c in self.calls('reentered')], ['1.2.3.4'])
        h.disconnect('a')
        self.assertEqual(names(self.calls('get', 'release')), ['get', 'release'])

    def test_ra_17_get_and_release_exclude_each_other_between_processes(self):
        h = self.start_module('address=10.9.0.5 slow')
        h.storm(24, 8)
        found = self.calls('get', 'got', 'release')
        self.assertGreaterEqual(len(found), 48)
        for first, second in itertools.pairwise(found):
            if first.name == 'get':
                self.assertEqual((second.name, second.user), ('got', first.user))

    def test_ra_30_multilink_slave_gets_no_address(self):
        h = self.start_module('address=10.9.0.5')
        self.assertEqual(h.connect('a', 'joins', user='alice')['result'], 'joined')
        self.assertEqual(h.disconnect('a')['result'], 'down')
        self.assertEqual(self.calls('get', 'release'), [])

    def test_ra_39_candidate_accepted_and_release_wanted(self):
        h = self.start_module()
        self.assert_up(h.connect('a', user='alice', port='ttyS0', candidate='10.9.0.7'), '10.9.0.7')
        h.disconnect('a')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.7')

    def test_ra_52_release_has_the_user_and_port_of_get(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user=b'al"ice\xff', port='pts/3')
        h.disconnect('a')
        get, release = self.calls('get', 'release')
        self.assertEqual((get.user, get.port), (release.user, release.port))
        self.assertEqual(get.port, 'pts/3')

    def test_ra_54_another_user_on_the_same_link_releases_the_first(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice', port='ttyS0')
        self.assert_up(h.relogin('a', user='bob'), '10.9.0.5')
        h.disconnect('a')
        self.assertEqual([(c.name, c.user) for c in self.calls('get', 'release')],
                         [('get', 'alice'), ('release', 'alice'), ('get', 'bob'),
                          ('release', 'bob')])

    def test_ra_54_administrator_and_signals(self):
        for signal in ('TERM', 'INT', 'HUP'):
            with self.subTest(signal):
                self.calls_file.unlink(missing_ok=True)
                h = self.start_module('address=10.9.0.5')
                h.connect('a', user='alice', port='ttyS0')
                h.signal('a', signal)
                self.assertEqual(h.gone('a')['result'], 'gone')
                self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_ra_54_after_detaching(self):
        for how in WAYS_TO_END:
            with self.subTest(how):
                self.calls_file.unlink(missing_ok=True)
                h = self.start_module('address=10.9.0.5')
                before = h.connect('a', user='alice', port='ttyS0')
                after = h.detach('a')
                self.assertEqual(after['result'], 'ok')
                self.assertNotEqual(before['pid'], after['pid'])
                self.assertEqual(self.calls('release', 'hangup', 'terminate'), [])
                self.assert_up(h.renegotiate('a'), '10.9.0.5')
                h.disconnect('a', how=how)
                self.assertEqual(names(self.calls()), ['initialize', 'accept', 'get', 'release',
                                                       'hangup', 'terminate'])

    def test_ra_54_updetach_option(self):
        self.write_config(modules=[self.module('one', 'address=10.9.0.5')])
        h = self.start(options=['updetach'])
        self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.9.0.5')
        self.assertEqual(self.calls('release', 'terminate'), [])
        h.disconnect('a')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_ra_54_detached_before_the_link(self):
        self.write_config(modules=[self.module('one', 'address=10.9.0.5')])
        h = self.start(detach=True)
        self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.9.0.5')
        h.disconnect('a')
        self.assertEqual(names(self.calls()), ['initialize', 'accept', 'get', 'release', 'hangup',
                                               'terminate'])

    def test_ra_54_end_of_input(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice', port='ttyS0')
        self.assertEqual(h.close(), 0)
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_ra_54_killed_session_is_released_by_the_next(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice', port='ttyS0')
        self.assertEqual(h.kill('a')['result'], 'killed')
        self.assertEqual(self.calls('release'), [])
        self.assert_up(h.connect('b', user='bob', port='ttyS1'), '10.9.0.5')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')
        h.disconnect('b')
        self.assertEqual([c.user for c in self.calls('release')], ['alice', 'bob'])

    def test_ra_54_many_killed_sessions_are_released_once_each(self):
        h = self.start_module()
        for i in range(5):
            h.connect(f's{i}', user=f'u{i}', port=f'ttyS{i}', candidate=f'10.9.0.{i + 1}')
        for i in range(4):
            h.kill(f's{i}')
        for i in range(2):
            h.connect(f'x{i}', user=f'x{i}', candidate=f'10.9.1.{i + 1}')
        self.assertEqual(sorted((c.user, c.port, c.address) for c in self.calls('release')),
                         [(f'u{i}', f'ttyS{i}', f'10.9.0.{i + 1}') for i in range(4)])

    def test_ra_54_killed_without_notify_has_no_release(self):
        h = self.start_module('address=10.9.0.5 notify=no')
        h.connect('a', user='alice')
        h.kill('a')
        self.assert_up(h.connect('b', user='bob'), '10.9.0.5')
        self.assertEqual(self.calls('release'), [])

    def test_ra_54_crashed_session_is_released_once(self):
        h = self.start_module('address=10.9.0.5')
        h.connect('a', user='alice', port='ttyS0')
        h.signal('a', 'SEGV')
        h.gone('a')
        self.assert_up(h.connect('b', user='bob', port='ttyS1'), '10.9.0.5')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_ra_54_module_that_crashes_in_get_holds_nobody_up(self):
        self.write_config(modules=[self.module('one', 'crash')])
        h = self.start()
        self.assertEqual(h.connect('a', user='alice')['result'], 'gone')
        h2 = self.start_module('address=10.9.0.5')
        self.assert_up(h2.connect('b', user='bob'), '10.9.0.5')

    def test_ra_57_user_on_two_ports_has_two_addresses(self):
        h = self.start_module()
        for name, port, address in (('a', 'ttyS0', '10.9.0.5'), ('b', 'ttyS1', '10.9.0.6')):
            self.assert_up(h.connect(name, user='alice', port=port, candidate=address), address)
        h.disconnect('a')
        self.assert_one_release('alice', 'ttyS0', '10.9.0.5')

    def test_ra_7_initialize_and_terminate_without_any_session(self):
        h = self.start_module()
        self.assertEqual(h.close(), 0)
        self.assertEqual(names(self.calls()), ['initialize', 'terminate'])


    def test_ra_7_detached_without_any_session(self):
        self.write_config(modules=[self.module('one')])
        self.assertEqual(self.start(detach=True).close(), 0)
        self.assertEqual(names(self.calls()), ['initialize', 'terminate'])

    def test_ra_42_modules_address_is_in_the_registry(self):
        h = self.start(pool('p', '10.9.0.0/24'), modules=[self.module('one', 'address=10.9.0.5')])
        h.connect('a', user='alice', port='ttyS0')
        done = subprocess.run([paths.RASIP, '-c', self.conf, 'leases', '--json'],
                              capture_output=True, check=True)
        leases = json.loads(done.stdout)
        self.assertEqual([(x['address'], x['user'], x['port'], x['state']) for x in leases],
                         [('10.9.0.5', 'alice', 'ttyS0', 'active')])


class SeveralModules(Case):
    def test_ra_2_list_order_is_call_order(self):
        h = self.start(modules=[self.module('one', kind='watcher'),
                                self.module('two', 'address=10.9.0.5'),
                                self.module('three', 'address=10.9.0.6')])
        self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.9.0.5')
        h.disconnect('a')
        order = ['one', 'two', 'three']
        for name in ('initialize', 'accept', 'hangup'):
            self.assertEqual([c.module for c in self.calls(name)], order, name)
        self.assertEqual([c.module for c in self.calls('terminate')], order[::-1])

    def test_t13_only_the_first_with_the_pair_is_called(self):
        h = self.start(modules=[self.module('one', 'address=10.9.0.5'),
                                self.module('two', 'address=10.9.0.6'), BUILTIN],
                       pools=[pool('p', '10.64.0.0/24')])
        self.assert_up(h.connect('a', user='alice'), '10.9.0.5')
        h.disconnect('a')
        self.assertEqual({c.module for c in self.calls('get', 'release')}, {'one'})

    def test_t13_also_when_it_fails(self):
        h = self.start(modules=[self.module('one', 'fail'),
                                self.module('two', 'address=10.9.0.6'), BUILTIN],
                       pools=[pool('p', '10.64.0.0/24')])
        self.assert_refused(h.connect('a', user='alice', asks='10.64.0.9'))
        self.assertEqual([c.module for c in self.calls('get', 'release')], ['one'])

    def test_t13_first_without_the_pair_leaves_it_to_the_second(self):
        h = self.start(modules=[self.module('one', kind='watcher'),
                                self.module('two', 'address=10.9.0.6')])
        self.assert_up(h.connect('a', user='alice'), '10.9.0.6')
        h.disconnect('a')
        self.assertEqual({c.module for c in self.calls('get', 'release')}, {'two'})

    def test_t13_ra_5_half_a_pair_does_not_start(self):
        entry = self.module('one', kind='half')
        self.write_config(modules=[entry])
        done = self.run_script('connect a user=alice')
        self.assertEqual((done.returncode, done.answers), (1, []))
        self.assertIn('one', done.errors)

    def test_t14_second_fails_to_initialise_and_the_first_is_terminated(self):
        self.write_config(modules=[self.module('one'), self.module('two', 'init=fail'),
                                   self.module('three')])
        done = self.run_script('connect a user=alice')
        self.assertEqual((done.returncode, done.answers), (1, []))
        self.assertIn('two', done.errors)
        self.assertEqual([(c.module, c.name) for c in self.calls()],
                         [('one', 'initialize'), ('two', 'initialize'), ('one', 'terminate')])

    def test_ra_8_every_module_is_asked_and_all_must_accept(self):
        h = self.start(modules=[self.module('one', kind='watcher'),
                                self.module('two', 'accept=no', kind='watcher'),
                                self.module('three', 'address=10.9.0.5')])
        self.assert_refused(h.connect('a', user='alice', asks='10.9.0.5'), 'two')
        self.assertEqual([c.module for c in self.calls('accept')], ['one', 'two', 'three'])
        self.assertEqual(self.calls('get', 'release', 'hangup'), [])

    def test_ra_10_without_get_pppds_own_address_stands(self):
        h = self.start(modules=[self.module('one', kind='watcher')])
        self.assert_up(h.connect('a', user='alice', candidate='10.9.0.7'), '10.9.0.7')
        h.disconnect('a')
        self.assertEqual(names(self.calls()),
                         ['initialize', 'accept', 'hangup', 'terminate'])

    def test_ra_10_without_get_and_without_an_address_nothing_comes_up(self):
        h = self.start(modules=[self.module('one', kind='watcher')])
        for asks in (None, '10.1.2.3'):
            self.assert_refused(h.connect('a', user='alice', asks=asks))

    def test_ra_8_builtin_with_watchers_around(self):
        h = self.start(pool('p', '10.64.0.0/24'),
                       modules=[self.module('one', kind='watcher'), BUILTIN,
                                self.module('two', kind='watcher')])
        self.assert_up(h.connect('a', user='alice', port='ttyS0'), '10.64.0.0')
        h.disconnect('a')
        self.assertEqual([(c.module, c.name) for c in self.calls('accept', 'hangup')],
                         [('one', 'accept'), ('two', 'accept'), ('one', 'hangup'),
                          ('two', 'hangup')])


class BuiltinPool(Case):
    def test_t1_pool_gives_and_takes_back(self):
        h = self.start(pool('p', '10.64.0.1'))
        for user in ('alice', 'bob'):
            self.assert_up(h.connect('a', user=user, port='ttyS0'), '10.64.0.1')
            h.disconnect('a')
        self.assertEqual(len(h.events('grant')), 2)
        self.assertEqual(len(h.events('release')), 2)

    def test_t4_exhausted_pool_refuses_whatever_the_peer_wants(self):
        h = self.start(pool('p', '10.64.0.1'), modules=[self.module('one', kind='watcher'),
                                                        BUILTIN])
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        for keys in ({}, {'asks': '10.1.2.3'}, {'asks': '10.64.0.1'},
                     {'asks': '10.1.2.3', 'insists': True}):
            self.assert_refused(h.connect('b', user='bob', **keys), 'full')
        self.assert_up(h.renegotiate('a'), '10.64.0.1')
        self.assertEqual(len(h.events('refuse')), 4)
        self.assertEqual(h.events('release'), [])

    def test_t4_exhausted_pool_refuses_also_without_authentication(self):
        h = self.start(pool('p', '10.64.0.1'), anonymous='allow')
        self.assert_up(h.connect('a', noauth=True), '10.64.0.1')
        for asks in (None, '10.1.2.3'):
            self.assert_refused(h.connect('b', noauth=True, asks=asks), 'full')

    def test_t9_ipcp_never_up_frees_the_address(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_refused(h.connect('a', user='alice', ipcp='fail'))
        self.assert_up(h.connect('b', user='bob'), '10.64.0.1')

    def test_t12_nothing_is_leased_during_the_holdoff(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        self.assertEqual(h.drop('a')['result'], 'dead')
        self.assert_up(h.connect('b', user='bob'), '10.64.0.1')
        self.assert_refused(h.reconnect('a'), 'full')
        h.disconnect('b')
        self.assert_up(h.reconnect('a'), '10.64.0.1')

    def test_t15_many_processes_never_share_an_address(self):
        h = self.start(pool('p', '10.64.0.0/28'))
        answer = h.storm(400, 16)
        self.assertEqual((answer['sessions'], answer['refused'], answer['duplicates']), (400, 0, 0),
                         answer)

    def test_t15_more_processes_than_addresses(self):
        h = self.start(pool('p', '10.64.0.0/30'))
        answer = h.storm(300, 24)
        self.assertEqual((answer['sessions'], answer['duplicates']), (300, 0))
        self.assertLess(answer['refused'], 300)
        for i in range(4):  # none was lost
            self.assert_up(h.connect(f's{i}', user=f'u{i}'))

    def test_t16_lease_of_a_dead_owner_is_reclaimed(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        h.kill('a')
        self.assert_up(h.connect('b', user='bob'), '10.64.0.1')
        self.assertEqual(len(h.events('reclaim', 'b')), 1)
        self.assertIn('alice', h.events('reclaim', 'b')[0])

    def test_t16_killed_after_detaching(self):
        h = self.start(pool('p', '10.64.0.1'))
        h.connect('a', user='alice')
        h.detach('a')
        self.assert_refused(h.connect('b', user='bob'), 'full')
        h.kill('a')
        self.assert_up(h.connect('b', user='bob'), '10.64.0.1')

    def test_t16_killed_after_detaching_twice_over(self):
        h = self.start(pool('p', '10.64.0.1'), detach=True)
        h.connect('a', user='alice')
        self.assert_refused(h.connect('b', user='bob'), 'full')
        h.kill('a')
        self.assert_up(h.connect('b', user='bob'), '10.64.0.1')

    def test_t16_ra_55_late_release_does_not_free_the_new_owners_lease(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        # The registry is lost under a live session: what it releases now is somebody else's.
        shutil.rmtree(self.runtime_dir)
        self.assert_up(h.connect('b', user='bob'), '10.64.0.1')
        h.disconnect('a')
        self.assertEqual(len(h.events('warning', 'a')), 1)
        self.assert_refused(h.connect('c', user='carol'), 'full')
        h.disconnect('b')
        self.assert_up(h.connect('c', user='carol'), '10.64.0.1')

    def test_ra_54_live_session_is_never_taken_away(self):
        h = self.start(pool('p', '10.64.0.0/30'))
        held = {self.assert_up(h.connect(f'live{i}', user=f'live{i}')) for i in range(3)}
        for i in range(6):
            address = self.assert_up(h.connect('x', user=f'x{i}'))
            self.assertNotIn(address, held)
            h.kill('x')
        for i in range(3):
            self.assertIn(self.assert_up(h.renegotiate(f'live{i}')), held)

    def test_ra_54_stopped_session_keeps_its_address(self):
        h = self.start(pool('p', '10.64.0.1'))
        h.connect('a', user='alice')
        h.signal('a', 'STOP')
        self.assert_refused(h.connect('b', user='bob'), 'full')
        h.signal('a', 'CONT')
        self.assert_up(h.renegotiate('a'), '10.64.0.1')

    def test_ra_55_crashing_twice_over_loses_nothing(self):
        h = self.start(pool('p', '10.64.0.1'))
        for i in range(5):
            self.assert_up(h.connect('a', user=f'u{i}'), '10.64.0.1')
            h.signal('a', 'SEGV')
            self.assertEqual(h.gone('a')['result'], 'gone')

    def test_ra_57_user_on_two_ports_has_two_addresses(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        first = self.assert_up(h.connect('a', user='alice', port='ttyS0'))
        second = self.assert_up(h.connect('b', user='alice', port='ttyS1'))
        self.assertNotEqual(first, second)
        h.disconnect('a')
        self.assert_up(h.renegotiate('b'), second)

    def test_ra_17_no_session_waits_for_a_stopped_one(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        h.connect('a', user='alice')
        h.signal('a', 'STOP')
        began = time.monotonic()
        self.assert_up(h.connect('b', user='bob'))
        self.assertLess(time.monotonic() - began, 40)  # it would wait for ever
        h.kill('a')


if __name__ == '__main__':
    unittest.main()
