# SPDX-License-Identifier: MIT
"""The address pools of rasip.conf (interface.md, 2), seen through sessions."""

import shutil
import subprocess
import unittest

from rasip_test import faults, harness, paths
from rasip_test.case import Case
from rasip_test.config import pool
from rasip_test.madcapd import wait_for


class Order(Case):
    def take(self, h, *users):
        return [self.assert_up(h.connect(user, user=user)) for user in users]

    def test_least_recent_gives_what_was_never_used_first(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.4'))
        self.assertEqual(self.take(h, 'a', 'b'), ['10.64.0.1', '10.64.0.2'])
        h.disconnect('a')
        h.disconnect('b')
        self.assertEqual(self.take(h, 'c', 'd'), ['10.64.0.3', '10.64.0.4'])

    def test_least_recent_then_gives_what_was_released_longest_ago(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.3'))
        self.take(h, 'a', 'b', 'c')
        for user in ('b', 'c', 'a'):
            h.disconnect(user)
        self.assertEqual(self.take(h, 'd', 'e', 'f'), ['10.64.0.2', '10.64.0.3', '10.64.0.1'])

    def test_least_recent_is_the_default_in_every_range(self):
        h = self.start(pool('p', '10.64.0.9', '10.64.0.1-10.64.0.2', '10.65.0.0/31'))
        self.assertEqual(sorted(self.take(h, *'abcde')),
                         ['10.64.0.1', '10.64.0.2', '10.64.0.9', '10.65.0.0', '10.65.0.1'])
        self.assert_refused(h.connect('f', user='f'), 'full')

    def test_sequential_gives_the_lowest_free(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.9', order='sequential'))
        self.take(h, 'a', 'b', 'c')
        h.disconnect('b')
        h.disconnect('a')
        self.assertEqual(self.take(h, 'd', 'e', 'f'), ['10.64.0.1', '10.64.0.2', '10.64.0.4'])

    def test_random_gives_all_of_them_and_each_once(self):
        h = self.start(pool('p', '10.64.0.0/27', order='random'))
        found = self.take(h, *(f'u{i}' for i in range(32)))
        self.assertEqual(len(set(found)), 32)
        self.assertNotEqual(found, sorted(found, key=lambda a: int(a.split('.')[3])))
        self.assert_refused(h.connect('x', user='x'), 'full')

    def test_random_reuses_what_is_free(self):
        h = self.start(pool('p', '10.64.0.0/30', order='random', sticky=False))
        for i in range(20):
            self.take(h, f'u{i}')
            h.disconnect(f'u{i}')
        self.assertEqual(len(set(self.take(h, *'abcd'))), 4)


class Sticky(Case):
    def test_returning_user_gets_his_address(self):
        for order in ('least-recent', 'sequential', 'random'):
            with self.subTest(order):
                shutil.rmtree(self.runtime_dir, ignore_errors=True)
                shutil.rmtree(self.state_dir, ignore_errors=True)
                h = self.start(pool('p', '10.64.0.0/24', order=order))
                for i in range(5):
                    h.connect(f's{i}', user=f'u{i}')
                had = self.assert_up(h.renegotiate('s3'))
                for i in range(5):
                    h.disconnect(f's{i}')
                self.assert_up(h.connect('again', user='u3'), had)
                self.assertIn('how=sticky', h.events('grant', 'again')[0])
                h.close()

    def test_another_user_may_have_it_meanwhile(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2', order='sequential'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        h.disconnect('a')
        self.assert_up(h.connect('b', user='bob'))
        self.assert_up(h.connect('c', user='carol'))
        h.disconnect('c')
        self.assert_up(h.connect('a', user='alice'))

    def test_not_sticky(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.9', sticky=False))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        h.disconnect('a')
        self.assert_up(h.connect('a', user='alice'), '10.64.0.2')

    def test_not_sticky_renegotiation_keeps_the_address(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.9', sticky=False))
        address = self.assert_up(h.connect('a', user='alice'))
        for _ in range(3):
            self.assert_up(h.renegotiate('a'), address)

    def test_users_that_differ_in_a_byte_are_different(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.9'))
        for i, user in enumerate([b'alice', b'Alice', b'alice ', b'alice\xff', b'alice\x7f'], 1):
            self.assert_up(h.connect('a', user=user), f'10.64.0.{i}')
            h.disconnect('a')
        self.assert_up(h.connect('a', user=b'alice\xff'), '10.64.0.4')

    def test_remembered_beyond_a_reboot(self):
        h = self.start(pool('p', '10.64.0.0/24', order='random'))
        h.connect('a', user='alice')
        had = self.assert_up(h.connect('b', user='bob'))
        self.wait_remembered(h, 'bob')
        h.close()
        shutil.rmtree(self.runtime_dir)
        h = self.start()
        self.assert_up(h.connect('b', user='bob'), had)

    def test_lost_memory_is_no_obstacle(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'))
        self.wait_remembered(h, 'alice')
        h.disconnect('a')
        shutil.rmtree(self.state_dir)
        self.assert_up(h.connect('b', user='bob'), '10.64.0.1')


class Hold(Case):
    def test_resting_address_is_given_to_nobody_else(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2', hold='1h'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        h.disconnect('a')
        self.assert_up(h.connect('b', user='bob'), '10.64.0.2')
        self.assert_refused(h.connect('c', user='carol'), '1 at rest')
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')

    def test_last_user_gets_it_also_where_not_sticky(self):
        h = self.start(pool('p', '10.64.0.1', hold='1h', sticky=False))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        h.disconnect('a')
        self.assert_refused(h.connect('b', user='bob'), '1 at rest')
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')

    def test_rest_ends(self):
        h = self.start(pool('p', '10.64.0.1', hold='4s'))
        h.connect('a', user='alice')
        for _ in range(3):  # too late to see it rest, on a machine that stands still; not always
            h.disconnect('a')
            answer = h.connect('b', user='bob')
            if answer['result'] == 'refused':
                break
            h.disconnect('b')
            self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        self.assert_refused(answer, '1 at rest')
        answer = wait_for(lambda: self.up_or_wait(h), 'the end of the rest')
        self.assert_up(answer, '10.64.0.1')

    @staticmethod
    def up_or_wait(h):
        answer = h.connect('b', user='bob')
        return answer if answer['result'] == 'up' else h.wait(0.2) and None

    def test_for_ever(self):
        h = self.start(pool('p', '10.64.0.1', hold='forever'))
        h.connect('a', user='alice')
        h.disconnect('a')
        self.assert_refused(h.connect('b', user='bob'), '1 at rest')
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')

    def test_killed_session_rests_too(self):
        h = self.start(pool('p', '10.64.0.1', hold='1h'))
        h.connect('a', user='alice')
        h.kill('a')
        self.assert_refused(h.connect('b', user='bob'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')

    def test_chain_goes_on_past_resting_addresses(self):
        h = self.start(pool('p', '10.64.0.1', hold='1h', next='q'), pool('q', '10.65.0.1'))
        h.connect('a', user='alice')
        h.disconnect('a')
        self.assert_up(h.connect('b', user='bob'), '10.65.0.1')
        self.assert_refused(h.connect('c', user='carol'), '1 at rest')

    def test_rest_does_not_count_as_a_session_of_the_user(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2', hold='1h', max_per_user=1))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        h.disconnect('a')
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')


class MaxPerUser(Case):
    def test_limit(self):
        h = self.start(pool('p', '10.64.0.0/24', max_per_user=2))
        for name in 'ab':
            self.assert_up(h.connect(name, user='alice'))
        self.assert_refused(h.connect('c', user='alice'))
        self.assert_up(h.connect('c', user='bob'))
        self.assert_up(h.renegotiate('a'))
        h.disconnect('a')
        self.assert_up(h.connect('a', user='alice'))

    def test_killed_session_does_not_count(self):
        h = self.start(pool('p', '10.64.0.0/24', max_per_user=1))
        for _ in range(3):
            self.assert_up(h.connect('a', user='alice'))
            h.kill('a')
        self.assert_up(h.connect('a', user='alice'))
        self.assert_refused(h.connect('b', user='alice'))

    def test_new_session_of_the_same_process(self):
        h = self.start(pool('p', '10.64.0.0/24', max_per_user=1))
        self.assert_up(h.connect('a', user='alice'))
        self.assert_up(h.reconnect('a'))

    def test_limit_is_the_pools_own(self):
        h = self.start(pool('p', '10.64.0.0/24', max_per_user=1),
                       pool('q', '10.65.0.0/24', max_per_user=1),
                       assign=[{'port': 'ttyS*', 'pool': 'p'}, {'pool': 'q'}])
        self.assert_up(h.connect('a', user='alice', port='ttyS0'))
        self.assert_up(h.connect('b', user='alice', port='pts/0'))
        self.assert_refused(h.connect('c', user='alice', port='ttyS1'))


class Chain(Case):
    def test_next_pool_when_full(self):
        h = self.start(pool('p', '10.64.0.1', next='q'), pool('q', '10.65.0.1', next='r'),
                       pool('r', '10.66.0.1'))
        for name, address in zip('abc', ('10.64.0.1', '10.65.0.1', '10.66.0.1')):
            self.assert_up(h.connect(name, user=name), address)
        self.assert_refused(h.connect('d', user='d'), 'full')
        h.disconnect('b')
        self.assert_up(h.connect('d', user='d'), '10.65.0.1')
        self.assertEqual(h.show('d')['env']['RASIP_POOL'], 'q')

    def test_first_pool_again_when_it_has_room(self):
        h = self.start(pool('p', '10.64.0.1', next='q'), pool('q', '10.65.0.1-10.65.0.2'))
        h.connect('a', user='a')
        h.connect('b', user='b')
        h.disconnect('a')
        self.assert_up(h.connect('c', user='c'), '10.64.0.1')


class Mode(Case):
    def test_nothing_new_is_given(self):
        for mode in ('hold-down', 'drain'):
            with self.subTest(mode):
                h = self.start(pool('p', '10.64.0.0/24', mode=mode))
                self.assert_refused(h.connect('a', user='alice', asks='10.64.0.9'))

    def test_live_sessions_go_on(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        address = self.assert_up(h.connect('a', user='alice'))
        self.write_config(pool('p', '10.64.0.0/24', mode='drain'))
        self.assert_refused(h.connect('b', user='bob'))
        self.assert_up(h.renegotiate('a'), address)
        h.disconnect('a')
        self.assertEqual(len(h.events('release')), 1)


    def test_what_happened_meanwhile_is_remembered(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        self.assert_up(h.connect('a', user='alice'))
        self.wait_remembered(h, 'alice')
        self.write_config(pool('p', '10.64.0.0/24', mode='drain'))
        h.disconnect('a')
        self.assertEqual(h.storm(1100, 4)['refused'], 1100)
        shutil.rmtree(self.runtime_dir)
        told = subprocess.run([paths.RASIP, '-c', self.conf, 'history', '--user', 'alice'],
                              capture_output=True, text=True)
        self.assertIn(' release ', told.stdout, told.stderr)


class Alarm(Case):
    def test_once_up_and_once_down(self):
        h = self.start(pool('p', '10.64.0.0/30', alarm=75))
        for name in 'abcd':
            h.connect(name, user=name)
        self.assertEqual(len(h.events('alarm')), 1)
        self.assertEqual(len(h.events('alarm', 'c')), 1)
        for name in 'abcd':
            h.disconnect(name)
        self.assertEqual(len(h.events('alarm')), 2)
        h.connect('e', user='e')
        self.assertEqual(len(h.events('alarm')), 2)

    def test_no_alarm_by_default(self):
        h = self.start(pool('p', '10.64.0.1'))
        h.connect('a', user='a')
        self.assertEqual(h.events('alarm'), [])

    def test_full_pool_at_a_hundred_per_cent(self):
        h = self.start(pool('p', '10.64.0.1', alarm=100))
        h.connect('a', user='a')
        self.assertEqual(len(h.events('alarm')), 1)


class Reservations(Case):
    def start_reserved(self, address, *pools, **settings):
        return self.start(*pools, assign=[{'user': 'alice', 'address': address}, {'pool': 'p'}],
                          **settings)

    def test_nobody_else_gets_it(self):
        h = self.start_reserved('10.64.0.2', pool('p', '10.64.0.0/30'))
        found = {self.assert_up(h.connect(name, user=name)) for name in 'xyz'}
        self.assertEqual(found, {'10.64.0.0', '10.64.0.1', '10.64.0.3'})
        self.assert_refused(h.connect('w', user='w'), 'full')
        self.assert_up(h.connect('a', user='alice'), '10.64.0.2')

    def test_outside_all_pools(self):
        h = self.start_reserved('192.0.2.7', pool('p', '10.64.0.0/30'))
        self.assert_up(h.connect('a', user='alice'), '192.0.2.7')
        self.assertIn('how=reservation', h.events('grant')[0])
        self.assert_up(h.reconnect('a'), '192.0.2.7')

    def test_second_session_does_not_share_it(self):
        h = self.start_reserved('10.64.0.2', pool('p', '10.64.0.0/30'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.2')
        answer = h.connect('b', user='alice')
        self.assertNotEqual(answer.get('address'), '10.64.0.2')
        self.assert_up(h.renegotiate('a'), '10.64.0.2')

    def test_session_of_a_killed_process_is_no_obstacle(self):
        h = self.start_reserved('10.64.0.2', pool('p', '10.64.0.0/30'))
        h.connect('a', user='alice')
        h.kill('a')
        self.assert_up(h.connect('b', user='alice'), '10.64.0.2')

    def test_new_reservation_of_an_address_in_use_waits_for_its_user(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('x', user='x'), '10.64.0.1')
        self.write_config(pool('p', '10.64.0.1-10.64.0.2'),
                          assign=[{'user': 'alice', 'address': '10.64.0.1'}, {'pool': 'p'}])
        self.assertNotEqual(h.connect('a', user='alice').get('address'), '10.64.0.1')
        h.disconnect('a')
        h.disconnect('x')
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')

    def test_rasip_pool_does_not_override_a_reservation(self):
        h = self.start_reserved('10.64.0.2', pool('p', '10.64.0.0/30'), pool('q', '10.65.0.0/30'))
        self.assert_up(h.connect('a', user='alice', option='rasip-pool q'), '10.64.0.2')

    def test_local_end_of_a_pool_that_holds_it(self):
        h = self.start_reserved('10.64.0.2', pool('p', '10.64.0.0/30', local='10.64.0.1'))
        self.assertEqual(h.connect('a', user='alice')['local'], '10.64.0.1')


class Candidate(Case):
    def test_kept_and_recorded(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice', candidate='10.9.0.7'), '10.9.0.7')
        self.assert_refused(h.connect('b', user='bob', candidate='10.9.0.7'))
        self.assert_up(h.connect('c', user='carol'), '10.64.0.1')

    def test_kept_inside_a_pool_is_given_to_nobody_else(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2'))
        self.assert_up(h.connect('a', user='alice', candidate='10.64.0.1'), '10.64.0.1')
        self.assert_up(h.connect('b', user='bob'), '10.64.0.2')
        self.assert_refused(h.connect('c', user='carol'), 'full')
        h.disconnect('a')
        self.assert_up(h.connect('c', user='carol'), '10.64.0.1')

    def test_replaced(self):
        h = self.start(pool('p', '10.64.0.1'), candidate='replace')
        self.assert_up(h.connect('a', user='alice', candidate='10.9.0.7'), '10.64.0.1')

    def test_replaced_when_full_is_refused(self):
        h = self.start(pool('p', '10.64.0.1'), candidate='replace')
        h.connect('a', user='alice')
        self.assert_refused(h.connect('b', user='bob', candidate='10.9.0.7'), 'full')

    def test_somebody_elses_reservation_is_refused(self):
        h = self.start(pool('p', '10.64.0.0/30'),
                       assign=[{'user': 'alice', 'address': '10.64.0.2'}, {'pool': 'p'}])
        self.assert_refused(h.connect('b', user='bob', candidate='10.64.0.2'))
        self.assert_up(h.connect('a', user='alice', candidate='10.64.0.2'), '10.64.0.2')

    def test_local_end_of_a_pool_is_refused(self):
        h = self.start(pool('p', '10.64.0.0/30', local='10.64.0.1'))
        self.assert_refused(h.connect('b', user='bob', candidate='10.64.0.1'))

    def test_our_own_end_of_this_link_is_refused(self):
        h = self.start(pool('p', '10.64.0.0/30'))
        self.assert_refused(h.connect('b', user='bob', candidate='10.9.0.1', local='10.9.0.1'))

    def test_from_pppds_options(self):
        self.write_config(pool('p', '10.64.0.1'))
        h = self.start(options=['10.9.0.1:10.9.0.2'])
        answer = h.connect('a', user='alice')
        self.assert_up(answer, '10.9.0.2')
        self.assertEqual(answer['local'], '10.9.0.1')
        self.assert_refused(h.connect('b', user='bob'))
        self.assert_up(h.reconnect('a'), '10.9.0.2')

    def test_one_users_candidate_is_not_the_next_ones(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice', candidate='10.9.0.7'), '10.9.0.7')
        self.assert_up(h.relogin('a', user='bob'), '10.64.0.1')
        self.assert_up(h.reconnect('a', user='carol', candidate='10.9.0.8'), '10.9.0.8')
        self.assert_up(h.reconnect('a', user='dave'), '10.64.0.1')

    def test_without_authentication(self):
        h = self.start(pool('p', '10.64.0.1'), anonymous='allow')
        self.assert_up(h.connect('a', noauth=True, candidate='10.9.0.7'), '10.9.0.7')


class Anonymous(Case):
    def test_refused_by_default(self):
        h = self.start(pool('p', '10.64.0.1'))
        for keys in ({'noauth': True}, {'noauth': True, 'asks': '10.1.2.3'}, {'user': ''},
                     {'noauth': True, 'candidate': '10.9.0.7'}):
            with self.subTest(keys):
                self.assert_refused(h.connect('a', **keys), 'anonymous')

    def test_allowed_is_user_with_no_name(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2'), anonymous='allow',
                       assign=[{'user': '', 'pool': 'p'}])
        self.assert_up(h.connect('a', noauth=True), '10.64.0.1')
        self.assertIn('user=""', h.events('grant')[0])

    def test_name_of_the_last_user_is_not_taken_over(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'))
        self.assert_refused(h.reconnect('a', noauth=True), 'anonymous')
        self.assert_refused(h.reconnect('a'), 'anonymous')
        self.assert_up(h.reconnect('a', user='alice'), '10.64.0.1')


class Ranges(Case):
    def all_of(self, h):
        found = []
        for i in range(300):
            answer = h.connect(f's{i}', user=f'u{i}')
            if answer['result'] != 'up':
                self.assert_refused(answer, 'full')
                return found
            found.append(answer['address'])
        return self.fail('the pool has no end')

    def test_cidr_includes_network_and_broadcast_address(self):
        h = self.start(pool('p', '10.64.0.0/29'))
        self.assertEqual(sorted(self.all_of(h)), [f'10.64.0.{i}' for i in range(8)])

    def test_excluded_and_local_are_never_given(self):
        for order in ('least-recent', 'sequential', 'random'):
            with self.subTest(order):
                shutil.rmtree(self.runtime_dir, ignore_errors=True)
                shutil.rmtree(self.state_dir, ignore_errors=True)
                h = self.start(pool('p', '10.64.0.0/28', exclude=['10.64.0.0', '10.64.0.4/30'],
                                    local='10.64.0.1', order=order))
                left = {0, 1, 4, 5, 6, 7}
                self.assertEqual(sorted(self.all_of(h)),
                                 sorted(f'10.64.0.{i}' for i in range(16) if i not in left))
                h.close()

    def test_local_of_another_pool_is_never_given(self):
        h = self.start(pool('p', '10.64.0.0/30'), pool('q', '10.65.0.0/30', local='10.64.0.2'))
        self.assertNotIn('10.64.0.2', self.all_of(h))

    def test_large_pool(self):
        h = self.start(pool('p', '10.0.0.0/8'))
        self.assert_up(h.connect('a', user='a'), '10.0.0.0')
        self.assert_up(h.connect('b', user='b'), '10.0.0.1')

    def test_local_and_dns_are_told(self):
        h = self.start(pool('p', '10.64.0.0/30', local='10.64.0.1',
                            dns=['192.0.2.53', '192.0.2.54']), pool('q', '10.65.0.0/30'),
                       assign=[{'user': 'bob', 'pool': 'q'}, {'pool': 'p'}])
        answer = h.connect('a', user='alice')
        self.assertEqual((answer['local'], answer['dns']),
                         ('10.64.0.1', ['192.0.2.53', '192.0.2.54']))
        answer = h.renegotiate('a')
        self.assertEqual((answer['local'], answer['dns']),
                         ('10.64.0.1', ['192.0.2.53', '192.0.2.54']))
        answer = h.reconnect('a', user='bob')
        self.assertNotEqual(answer['local'], '10.64.0.1')
        self.assertEqual(answer['dns'], [])

    def test_two_links_share_a_local_end(self):
        h = self.start(pool('p', '10.64.0.0/29', local='10.64.0.1'))
        self.assertEqual({h.connect(name, user=name)['local'] for name in 'abc'}, {'10.64.0.1'})

    def test_own_end_that_a_peer_has_closes_its_pool_alone(self):
        h = self.start(pool('p', '10.64.0.0/30'))
        address = self.assert_up(h.connect('a', user='alice'))
        first = pool('p', '10.64.0.0/30', local=address, hold='forever', next='q')
        self.write_config(first, pool('q', '10.65.0.1'))
        self.assert_up(h.connect('b', user='bob'), '10.65.0.1')
        for name in 'cde':
            self.assert_refused(h.connect(name, user=name), f'a live session has {address}')
        h.disconnect('a')
        # None of them rests for somebody who did not get it.
        addresses = [self.assert_up(h.connect(name, user=name)) for name in 'fgh']
        self.assertEqual(len(set(addresses) - {address}), 3)

    def test_our_own_end_is_not_given_to_a_peer(self):
        self.write_config(pool('p', '10.64.0.1-10.64.0.3', order='sequential'))
        h = self.start(options=['10.64.0.1:'])
        self.assert_up(h.connect('a', user='a'), '10.64.0.2')
        self.assert_up(h.connect('b', user='b'), '10.64.0.3')
        self.assert_refused(h.connect('c', user='c'))


class Assign(Case):
    def test_first_match_wins(self):
        h = self.start(pool('p', '10.64.0.0/24'), pool('q', '10.65.0.0/24'),
                       pool('r', '10.66.0.0/24'),
                       assign=[{'user': '*@corp.example', 'pool': 'q'},
                               {'user': 'al*', 'port': 'ttyS[0-3]', 'pool': 'r'},
                               {'port': 'ttyS*', 'pool': 'p'},
                               {'user': 'b?b', 'pool': 'q'}])
        for user, port, want in (('x@corp.example', 'ttyS0', '10.65'),
                                 ('alice', 'ttyS3', '10.66'), ('alice', 'ttyS4', '10.64'),
                                 ('carol', 'ttyS1', '10.64'), ('bob', 'pts/1', '10.65')):
            with self.subTest(user=user, port=port):
                address = self.assert_up(h.connect('a', user=user, port=port))
                self.assertTrue(address.startswith(want), address)
                h.disconnect('a')
        self.assert_refused(h.connect('a', user='carol', port='pts/1', asks='10.64.0.9'))

    def test_ports(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        for port, shown in (('ttyS0', 'ttyS0'), ('pts/3', 'pts/3'), ('eth0', 'eth0'),
                            (None, 'ppp0')):
            with self.subTest(port):
                self.assert_up(h.connect('a', user='alice', port=port))
                self.assertIn(f'port={shown}', h.events('grant')[-1])
                h.disconnect('a')

    def test_without_assign_the_first_pool_serves_everybody(self):
        h = self.start(pool('p', '10.64.0.1'), pool('q', '10.65.0.1'))
        self.assert_up(h.connect('a', user='a'), '10.64.0.1')
        self.assert_refused(h.connect('b', user='b'), 'full')

    def test_rule_that_is_full_does_not_fall_through(self):
        h = self.start(pool('p', '10.64.0.1'), pool('q', '10.65.0.1'),
                       assign=[{'user': '*', 'pool': 'p'}, {'pool': 'q'}])
        self.assert_up(h.connect('a', user='a'), '10.64.0.1')
        self.assert_refused(h.connect('b', user='b'), 'full')


class InUse(Case):
    """An address that this machine has already is passed over, and said so."""

    @staticmethod
    def namespace(*addresses):
        script = 'ip link set lo up' + ''.join(f' && ip addr add {a}/32 dev lo' for a in addresses)
        return ('unshare', '-r', '-n', 'sh', '-c', f'{script} && exec "$@"', 'sh')

    def setUp(self):
        super().setUp()
        tried = subprocess.run([*self.namespace('10.64.0.1'), 'true'], capture_output=True,
                               check=False)
        if tried.returncode:
            self.skipTest(f'no network namespace here: {tried.stderr.decode().strip()}')

    def test_passed_over(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2'), wrap=self.namespace('10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.2')
        self.assertIn('10.64.0.1', h.events('conflict')[0])
        self.assert_refused(h.connect('b', user='bob'))

    def test_candidate_in_use_is_refused(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2'), wrap=self.namespace('10.9.0.7'))
        self.assert_refused(h.connect('a', user='alice', candidate='10.9.0.7'))

    def test_ra_42_modules_address_in_use_here_is_refused(self):
        h = self.start(wrap=self.namespace('10.9.0.5'),
                       modules=[self.module('one', 'address=10.9.0.5')])
        self.assert_refused(h.connect('a', user='alice', port='ttyS0'))
        self.assertEqual(len(self.calls('release')), 1)

    def crowded(self, *addresses):
        """A machine with more addresses than are read at once, and `addresses`."""
        batch = self.directory / 'addresses'
        batch.write_text(''.join(f'addr add 10.{70 + i // 250}.0.{i % 250}/32 dev lo\n'
                                 for i in range(1100)))
        more = ' && '.join(f'ip addr add {address}/32 dev lo' for address in addresses)
        return ('unshare', '-r', '-n', 'sh', '-c',
                f'ip link set lo up && ip -batch {batch} && {more} && '
                'ip route add blackhole 10.64.0.0/24 && exec "$@"', 'sh')

    def test_on_a_machine_with_many_addresses(self):
        h = self.start(pool('p', '10.64.0.1-10.64.0.2'), wrap=self.crowded('10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.2')
        self.assertIn('10.64.0.1', h.events('conflict')[0])
        self.assert_refused(h.connect('b', user='bob'), 'full')

    def fails(self, namespace, n, **how):
        """A session of the pool that has 10.64.0.1 only, whose n-th call to the network fails."""
        fault = faults.Fault(n, self.directory, forks=1, callers='rasip.so',
                             kinds=faults.NETWORK, **how)
        done = harness.run(self.conf, 'connect a user=alice\n', wrap=[*namespace, *fault.wrap()])
        return done.answers[0], fault.struck()

    @unittest.skipIf(faults.why_not(), faults.why_not())
    def test_without_netlink_sockets_nothing_is_known_to_be_free(self):
        """As by RestrictAddressFamilies= of systemd, or a seccomp filter."""
        self.write_config(pool('p', '10.64.0.1'))
        for namespace in (), self.namespace('10.64.0.1'):
            answer, struck = self.fails(namespace, 1, variant=2, lasting=True)
            self.assertEqual(struck, 'socket')
            self.assert_refused(answer, 'cannot ask the kernel which addresses this machine has: '
                                'Address family not supported by protocol')

    @unittest.skipIf(faults.why_not(), faults.why_not())
    def test_an_address_in_use_is_never_given_whatever_fails(self):
        self.write_config(pool('p', '10.64.0.1'))
        for namespace in self.namespace('10.64.0.1'), self.crowded('10.64.0.1'):
            for how in {}, {'lasting': True}, {'variant': 1}, {'variant': 2}:
                struck = []
                for n in range(1, 100):
                    answer, call = self.fails(namespace, n, **how)
                    self.assert_refused(answer)
                    if call is None:
                        break
                    struck.append(call)
                self.assertGreaterEqual(len(struck), 3, struck)

    def test_given_when_it_is_not_in_use_any_more(self):
        h = self.start(pool('p', '10.64.0.1'), wrap=self.namespace('10.64.0.1'))
        self.assert_refused(h.connect('a', user='alice'))
        h.close()
        answer = subprocess.run([paths.RASIP, '-c', self.conf, 'leases', '--all'],
                                capture_output=True, check=False)
        self.assertEqual(answer.returncode, 0, answer.stderr)


if __name__ == '__main__':
    unittest.main()
