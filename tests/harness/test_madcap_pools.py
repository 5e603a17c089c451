# SPDX-License-Identifier: MIT
"""Pools with backend = "madcap": real sessions, a real madcapd, and servers that do as told."""

import json
import signal
import subprocess
import time
import unittest

from rasip_test import config, madcap_fake, madcap_wire as wire, paths
from rasip_test.case import Case
from rasip_test.madcapd import Madcapd, make_network, wait_for

SCOPE = '239.192.0.0'


def group_of(address, first='10.80.0.0'):
    """The i-th group for the i-th address, in ranges of less than 256."""
    index = int(address.split('.')[3]) - int(first.split('.')[3])
    return f'239.192.0.{index}'


class Served(Case):
    """A case with MADCAP servers, and pools that lease from them."""

    def setUp(self):
        super().setUp()
        self.madcapd_conf = self.directory / 'madcapd.conf'

    def server(self, port=0, **settings):
        whole = {'listen': ['127.0.0.1'], 'port': port, 'state_dir': self.directory / 'madcapd',
                 'scopes': [{'first': SCOPE, 'last': '239.195.255.255',
                             **settings.pop('scope', {})}]}
        whole.update(settings)
        self.madcapd_conf.write_text(config.render_file(whole))
        server = Madcapd(self.madcapd_conf, self.directory / 'madcapd.log')
        self.addCleanup(server.stop, signal.SIGKILL)
        server.wait_ready()
        server.name = f'127.0.0.1:{server.port}'
        return server

    def fake(self, answer=lambda message: None):
        server = madcap_fake.FakeServer(answer)
        self.addCleanup(server.close)
        return server

    def pool(self, *servers, ranges=('10.80.0.0-10.80.0.9',), name='campus', timeout='20s',
             lease='1h', local_allocation=None, **settings):
        madcap = {'scope': SCOPE, 'timeout': timeout, 'lease': lease,
                  'servers': [each if isinstance(each, str) else each.name for each in servers]}
        if local_allocation is not None:
            madcap['local_allocation'] = local_allocation
        return config.pool(name, *ranges, backend='madcap', madcap=madcap, **settings)

    def at_server(self):
        """{group: lease} as madcapd's operator sees them."""
        done = subprocess.run([str(paths.MADCAP), 'admin', '-c', str(self.madcapd_conf), 'leases',
                               '--json'], capture_output=True, text=True, check=True)
        return {lease['addresses'][0]: lease for lease in json.loads(done.stdout)}

    def rasip(self, *words):
        done = subprocess.run([str(paths.RASIP), '-c', str(self.conf), *words],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def leases(self):
        return json.loads(self.rasip('leases', '--json'))

    @staticmethod
    def ended(h, name):
        """Waits until a session has been closed, and its address given back."""
        wait_for(lambda: h.wait(0.2) and h.events('close', name), 'the end of the session')
        wait_for(lambda: h.wait(0.1) and h.events('release', name), 'the release')

    def closed(self, h, names='abc'):
        """Why a session was closed. On a machine that stands still a lease ends before
        its server has been heard; not three times, though."""
        for name in names:
            self.assert_up(h.connect(name, user=name, port=name))
            self.ended(h, name)
            if 'could not be renewed' not in h.events('close', name)[0]:
                break
        self.assertEqual(len(h.events('close', name)), 1)
        self.assertEqual(len(h.events('release', name)), 1)
        self.assertEqual(self.leases(), [])
        return h.events('close', name)[0]

    def renewed(self, h, before):
        """Waits until the only lease ends later than it did before."""
        wait_for(lambda: h.wait(0.2) and self.leases()[0]['expires'] > before, 'a renewal')

    def wait_delivered(self, groups=frozenset()):
        """Until the server has heard of what has ended. Whoever hangs up waits for that for half a
        second only."""
        wait_for(lambda: self.rasip('reclaim') and set(self.at_server()) == set(groups),
                 'the releases')


class Mapping(Served):
    def test_the_ith_group_stands_for_the_ith_address(self):
        server = self.server()
        h = self.start(self.pool(server, ranges=('10.80.9.4-10.80.9.5', '10.80.1.7')))
        found = {}
        for user in ('a', 'b', 'c'):
            answer = h.connect(user, user=user)
            found[self.assert_up(answer)] = answer['env']['RASIP_GROUP']
        self.assertEqual(found, {'10.80.9.4': '239.192.0.0', '10.80.9.5': '239.192.0.1',
                                 '10.80.1.7': '239.192.0.2'})
        self.assertEqual(set(self.at_server()), set(found.values()))

    def test_groups_that_follow_each_other_are_asked_for_as_one_range(self):
        fake = self.fake(madcap_fake.grant)
        h = self.start(self.pool(fake, ranges=('10.80.1.0/25', '10.80.7.0-10.80.7.9', '10.82.0.0/15',
                                               '10.99.0.1'), exclude=['10.80.7.3']))
        self.assert_up(h.connect('a', user='a'))
        self.assertEqual([(str(first), count) for first, count in fake.seen[0].ranges],
                         [('239.192.0.0', 128 + 3), ('239.192.0.132', 65535),
                          ('239.193.0.131', 65535), ('239.194.0.130', 9)])

    def test_scripts_are_told_of_group_server_and_end(self):
        server = self.server()
        h = self.start(self.pool(server, lease='1h'))
        before = int(time.time())
        answer = h.connect('a', user='alice')
        after = int(time.time())
        env = answer['env']
        self.assertEqual(env['RASIP_POOL'], 'campus')
        self.assertEqual(env['RASIP_GROUP'], group_of(answer['address']))
        self.assertEqual(env['RASIP_SERVER'], server.name)
        self.assertIn(int(env['RASIP_LEASE_END']) - 3600, range(before - 1, after + 2))

    def test_excluded_reserved_and_local_addresses_are_not_asked_for(self):
        """T23, on this side."""
        server = self.server()
        h = self.start(self.pool(server, ranges=('10.80.0.0-10.80.0.5',), exclude=['10.80.0.0'],
                                 local='10.80.0.1'),
                       assign=[{'user': 'vip', 'address': '10.80.0.2'}, {'pool': 'campus'}])
        found = {self.assert_up(h.connect(user, user=user)) for user in 'abc'}
        self.assertEqual(found, {'10.80.0.3', '10.80.0.4', '10.80.0.5'})
        self.assert_refused(h.connect('d', user='d'), 'full')

    def test_listings_tell_server_group_and_end(self):
        server = self.server()
        h = self.start(self.pool(server))
        address = self.assert_up(h.connect('a', user='alice'))
        lease, = self.leases()
        self.assertEqual(lease['server'], server.name)
        self.assertEqual(lease['group'], group_of(address))
        self.assertIsNotNone(lease['expires'])
        self.assertIn(server.name, self.rasip('leases'))
        self.assertIn(server.name, self.rasip('check'))
        h.disconnect('a')
        self.assertEqual(self.leases(), [])

    def test_explain_asks_nobody(self):
        fake = self.fake()
        self.write_config(self.pool(fake))
        self.assertIn('asks ' + fake.name, self.rasip('explain', '--user', 'alice'))
        found = json.loads(self.rasip('explain', '--user', 'alice', '--json'))
        self.assertEqual((found['result'], found['address'], found['pool']),
                         ('asked', None, 'campus'))
        self.assertEqual(fake.seen, [])


class Choice(Served):
    def test_a_user_gets_the_address_he_had(self):
        server = self.server()
        h = self.start(self.pool(server))
        had = self.assert_up(h.connect('a', user='alice'))
        h.disconnect('a')
        for user in 'bcdefghi':
            self.assert_up(h.connect(user, user=user))
            self.assertNotEqual(self.leases()[-1], had)
            h.disconnect(user)
        self.assert_up(h.connect('a', user='alice'), had)
        self.assertIn('how=sticky', h.events('grant', 'a')[-1])

    def test_the_last_address_first_then_any(self):
        first = {}

        def answer(message):
            if message.kind != wire.REQUEST:
                return madcap_fake.ack(message)
            if message.ranges[0][1] == 1 and first:
                return madcap_fake.nak(message, wire.NOT_COMPLETED, wire.u16(wire.RANGES))
            first['seen'] = True
            return madcap_fake.grant(message, ('239.192.0.4', 1) if len(fake.seen) < 3
                                     else ('239.192.0.5', 1))

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        self.assert_up(h.connect('a', user='alice'), '10.80.0.4')
        h.disconnect('a')
        self.assert_up(h.connect('a', user='alice'), '10.80.0.5')
        requests = [m for m in fake.seen if m.kind == wire.REQUEST]
        self.assertEqual([m.ranges for m in requests[1:]],
                         [[(requests[1].ranges[0][0], 1)], requests[0].ranges])
        self.assertEqual(str(requests[1].ranges[0][0]), '239.192.0.4')
        self.assertEqual(requests[1].get(wire.LEASE_ID), requests[2].get(wire.LEASE_ID))
        self.assertNotEqual(requests[1].xid, requests[2].xid)

    def test_full_is_what_the_server_says(self):
        server = self.server()
        h = self.start(self.pool(server, ranges=('10.80.0.0/31',)))
        self.assert_up(h.connect('a', user='a'))
        self.assert_up(h.connect('b', user='b'))
        self.assert_refused(h.connect('c', user='c'), 'full')
        h.disconnect('a')
        self.wait_delivered(['239.192.0.1'])
        self.assert_up(h.connect('c', user='c'))

    def test_full_leads_to_the_next_pool(self):
        server = self.server()
        h = self.start(self.pool(server, ranges=('10.80.0.0',), next='second'),
                       self.pool(server, ranges=('10.81.0.0',), name='second', next='overflow'),
                       config.pool('overflow', '10.99.0.0/30'))
        self.assert_up(h.connect('a', user='a'), '10.80.0.0')
        # the second pool's address stands for the same group, which is taken
        answer = h.connect('b', user='b')
        self.assert_up(answer, '10.99.0.0')
        self.assertNotIn('RASIP_GROUP', answer['env'])
        self.assertNotIn('RASIP_LEASE_END', answer['env'])

    def test_t18_a_silent_server_refuses_in_time_and_no_other_pool_serves(self):
        fake = self.fake()
        h = self.start(self.pool(fake, timeout='3s', next='overflow'),
                       config.pool('overflow', '10.99.0.0/30'))
        before = time.monotonic()
        self.assert_refused(h.connect('a', user='a'), 'no answer')
        self.assertLess(time.monotonic() - before, 30)
        self.assertEqual(set(fake.kinds()), {'REQUEST'})
        self.assertGreater(len(fake.seen), 1)
        self.assertEqual(len({m.encode() for m in fake.seen}), 1)
        self.assertEqual(self.leases(), [])

    def test_t18_local_allocation_sends_no_packet(self):
        fake = self.fake()
        h = self.start(self.pool(fake, local_allocation=True, ranges=('10.80.0.0/28',)))
        found = []
        for i in range(16):
            answer = h.connect(f'u{i}', user=f'u{i}')
            found.append(self.assert_up(answer))
            self.assertEqual(answer['env']['RASIP_GROUP'], group_of(found[-1]))
            self.assertNotIn('RASIP_SERVER', answer['env'])
        self.assertEqual(len(set(found)), 16)
        self.assertNotEqual(found, sorted(found, key=lambda a: int(a.split('.')[3])))
        self.assert_refused(h.connect('x', user='x'), 'full')
        self.assertEqual(fake.seen, [])
        self.assertIsNone(self.leases()[0]['server'])
        self.assertIsNotNone(self.leases()[0]['group'])

    def test_what_a_server_gave_before_is_not_shown_of_what_is_drawn_here(self):
        server = self.server()
        h = self.start(self.pool(server))
        address = self.assert_up(h.connect('a', user='alice'))
        self.write_config(config.pool('campus', '10.80.0.0-10.80.0.9'))
        h.kill('a')
        self.rasip('reclaim')
        self.write_config(self.pool(server, local_allocation=True))
        self.assert_up(h.connect('b', user='alice'), address)
        lease = self.leases()[0]
        self.assertEqual((lease['server'], lease['expires']), (None, None))

    def test_limit_per_user(self):
        server = self.server()
        h = self.start(self.pool(server, max_per_user=1))
        self.assert_up(h.connect('a', user='alice'))
        self.assert_refused(h.connect('b', user='alice', port='ttyS9'), 'limit')
        self.assertEqual(len(self.at_server()), 1)

    def test_a_reservation_is_leased(self):
        server = self.server()
        settings = dict(assign=[{'user': 'alice', 'address': '10.80.0.7'}, {'pool': 'campus'}])
        h = self.start(self.pool(server), **settings)
        self.assert_up(h.connect('a', user='alice'), '10.80.0.7')
        self.assertIn('239.192.0.7', self.at_server())
        # another access server: the same user has it already, elsewhere
        first = self.conf.read_text()
        self.write_config(self.pool(server), runtime_dir=self.directory / 'run2',
                          state_dir=self.directory / 'state2', **settings)
        other = self.start()
        self.assert_refused(other.connect('a', user='alice'), '10.80.0.7 cannot be leased')
        h.disconnect('a')
        self.conf.write_text(first)
        self.wait_delivered()
        self.assert_up(other.connect('a', user='alice'), '10.80.0.7')

    def test_a_candidate_in_the_pool_is_leased(self):
        server = self.server()
        h = self.start(self.pool(server))
        self.assert_up(h.connect('a', user='a', candidate='10.80.0.5'), '10.80.0.5')
        self.assertIn('239.192.0.5', self.at_server())
        self.write_config(self.pool(server), runtime_dir=self.directory / 'run2',
                          state_dir=self.directory / 'state2')
        other = self.start()
        self.assert_refused(other.connect('b', user='b', candidate='10.80.0.5'), 'candidate')
        self.assert_up(other.connect('c', user='c', candidate='10.99.0.5'), '10.99.0.5')

    def test_a_modules_address_in_the_pool_is_leased(self):
        server = self.server()
        h = self.start(self.pool(server), modules=[self.module(argument='address=10.80.0.3')])
        self.assert_up(h.connect('a', user='a'), '10.80.0.3')
        self.assertIn('239.192.0.3', self.at_server())
        h.disconnect('a')
        self.wait_delivered()
        self.assertEqual(len(self.calls('release')), 1)

    def test_two_access_servers_share_a_pool(self):
        """T15 across machines."""
        server = self.server(max_addresses_per_client=0)
        pool = self.pool(server, ranges=('10.80.0.0-10.80.0.19',))
        first = self.start(pool)
        first.wait(0)  # it has read its configuration
        self.write_config(pool, runtime_dir=self.directory / 'run2',
                          state_dir=self.directory / 'state2')
        second = self.start()
        found = []
        for i in range(10):
            found.append(self.assert_up(first.connect(f'a{i}', user=f'a{i}')))
            found.append(self.assert_up(second.connect(f'b{i}', user=f'b{i}')))
        self.assertEqual(len(set(found)), 20)
        self.assert_refused(first.connect('x', user='x'), 'full')
        held = set(self.at_server()) - {group_of(found[7])}
        second.disconnect('b3')
        self.wait_delivered(held)
        self.assert_up(first.connect('x', user='x'))

    def test_what_is_in_use_on_this_machine_is_given_back(self):
        """A grant that this machine cannot use does not stop the search."""
        def answer(message):
            if message.kind != wire.REQUEST:
                return madcap_fake.ack(message)
            return madcap_fake.grant(message, (str(message.ranges[0][0]), 1))

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        # a link's own end lies in the pool
        self.assert_up(h.connect('x', user='x', candidate='10.99.0.9', local='10.80.0.0'))
        self.assert_up(h.connect('a', user='a'), '10.80.0.1')
        self.assertEqual(len(h.events('conflict', 'a')), 1)
        wait_for(lambda: 'RELEASE' in fake.kinds(), 'the release of what could not be used')

    def test_a_grant_for_later_is_not_used(self):
        def answer(message):
            if message.kind != wire.REQUEST:
                return madcap_fake.ack(message)
            now = int(time.time())
            return madcap_fake.grant(message, extra=(
                (wire.START_TIME, wire.u32(now + 600)), (wire.CURRENT_TIME, wire.u32(now))))

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        self.assert_refused(h.connect('a', user='a'), 'at a later time only')

    def test_another_error_than_full_is_a_failure(self):
        fake = self.fake(lambda message: madcap_fake.nak(message, wire.INVALID))
        h = self.start(self.pool(fake, next='overflow'), config.pool('overflow', '10.99.0.0/30'))
        self.assert_refused(h.connect('a', user='a'), 'Invalid Request')


class Servers(Served):
    def test_they_are_asked_in_order(self):
        silent = self.fake()
        server = self.server()
        h = self.start(self.pool(silent, server, timeout='8s'))
        self.assert_up(h.connect('a', user='a'))
        self.assertEqual(set(silent.kinds()), {'REQUEST'})
        self.assertEqual(self.leases()[0]['server'], server.name)

    def test_one_that_is_down_costs_only_the_first_user_its_share(self):
        silent = self.fake()
        server = self.server()
        h = self.start(self.pool(silent, server, timeout='8s'))
        for user in 'abcd':
            self.assert_up(h.connect(user, user=user))
        with wire.Client('127.0.0.1', silent.port) as client:
            client.send(wire.getinfo())  # behind whatever has been sent
        wait_for(lambda: 'GETINFO' in silent.kinds(), 'the last datagram')
        self.assertEqual([kind for kind in silent.steps() if kind != 'RELEASE'],
                         ['REQUEST', 'GETINFO'])

    def test_what_a_silent_server_may_have_granted_is_released(self):
        mute = {'is': True}
        silent = self.fake(lambda m: None if mute['is'] else madcap_fake.ack(m))
        server = self.server()
        h = self.start(self.pool(silent, server, timeout='6s'))
        self.assert_up(h.connect('a', user='a'))
        mute['is'] = False
        wait_for(lambda: self.rasip('reclaim') and 'RELEASE' in silent.kinds(), 'a release')
        asked = silent.seen[0].get(wire.LEASE_ID)
        self.assertEqual({m.get(wire.LEASE_ID) for m in silent.seen if m.kind == wire.RELEASE},
                         {asked})
        # and the lease that is used is not
        self.assertEqual(len(self.at_server()), 1)

    def test_one_that_was_silent_first_keeps_what_it_gave_later(self):
        """Its release is for the request that it did not answer."""
        quiet = {'n': 0}

        def answer(message):
            if message.kind == wire.REQUEST and quiet['n']:
                return None
            return madcap_fake.ack(message) if message.kind == wire.RELEASE else \
                madcap_fake.grant(message)

        fake = self.fake(answer)
        full = self.fake(lambda m: madcap_fake.nak(m, wire.NOT_COMPLETED, wire.u16(wire.RANGES))
                         if m.kind == wire.REQUEST else madcap_fake.ack(m))
        h = self.start(self.pool(fake, full, timeout='6s'))
        self.assert_up(h.connect('a', user='alice'))
        h.disconnect('a')
        quiet['n'] = 1
        self.assert_refused(h.connect('a', user='alice'), 'no answer')
        quiet['n'] = 0
        self.assert_up(h.connect('a', user='alice'))
        self.rasip('reclaim')
        used = [m for m in fake.seen if m.kind == wire.REQUEST][-1].get(wire.LEASE_ID)
        self.assertNotIn(used, [m.get(wire.LEASE_ID) for m in fake.seen if m.kind == wire.RELEASE])

    def test_another_refusal_than_full_is_no_proof(self):
        """The server does not know the scope, or has a limit for this client: no other pool serves."""
        server = self.server(max_addresses_per_client=1)
        h = self.start(self.pool(server, next='overflow'), config.pool('overflow', '10.99.0.0/30'))
        self.assert_up(h.connect('a', user='a'))
        self.assert_refused(h.connect('b', user='b'), 'refuses')
        self.assertEqual(len(self.leases()), 1)

    def test_full_needs_the_word_of_all(self):
        silent = self.fake()
        full = self.fake(lambda m: madcap_fake.nak(m, wire.NOT_COMPLETED,
                                                    wire.u16(wire.RANGES)))
        h = self.start(self.pool(silent, full, timeout='1s', next='overflow'),
                       config.pool('overflow', '10.99.0.0/30'))
        self.assert_refused(h.connect('a', user='a'), 'no answer')


class Keeping(Served):
    def connect_and_renew(self, h, fake, times):
        """A session that has sent so many renewals: its name, and what it was told at first. On a
        machine that stands still it may be over before; not three times, though."""
        for name in 'abc':
            fake.seen.clear()
            answer = h.connect(name, user=name, port=name)
            self.assert_up(answer)
            wait_for(lambda: h.wait(0.2) and (fake.steps().count('RENEW') >= times
                                              or h.events('close', name)), 'renewals')
            if not h.events('close', name):
                break
        return name, answer

    def test_t20_a_lease_is_renewed_as_it_was_granted(self):
        """Less than asked for is honoured: renewed at half of what was given."""
        def answer(message):
            if message.kind == wire.RELEASE:
                return madcap_fake.ack(message)
            return madcap_fake.grant(message, seconds=8)

        fake = self.fake(answer)
        h = self.start(self.pool(fake, lease='1h'))
        name, answer = self.connect_and_renew(h, fake, 2)
        end = int(answer['env']['RASIP_LEASE_END'])
        self.assertLessEqual(end - time.time(), 9 - 4)  # half of it is over
        renewals = [m for m in fake.seen if m.kind == wire.RENEW]
        self.assertEqual(renewals[0].number(wire.LEASE_TIME), 3600)
        self.assertLessEqual(renewals[0].number(wire.MIN_LEASE_TIME), 5)
        self.assertEqual({m.get(wire.LEASE_ID) for m in renewals},
                         {fake.seen[0].get(wire.LEASE_ID)})
        self.assertEqual(self.leases()[0]['state'], 'active')
        self.assertGreater(int(h.show(name)['env']['RASIP_LEASE_END']), end)

    def test_a_lost_answer_has_not_made_the_lease_shorter(self):
        """A renewal asks for no less than is left, until the server says that it cannot."""
        came = []  # when renewals did

        def answer(message):
            if message.kind == wire.REQUEST:
                return madcap_fake.grant(message, seconds=16)
            if message.kind == wire.RENEW and message.has(wire.MIN_LEASE_TIME):
                came.append(time.time())
                return madcap_fake.nak(message, wire.NOT_COMPLETED,
                                       wire.u16(wire.MIN_LEASE_TIME))
            return madcap_fake.grant(message, seconds=7) if message.kind == wire.RENEW else \
                madcap_fake.ack(message)

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        _, found = self.connect_and_renew(h, fake, 3)
        end = int(found['env']['RASIP_LEASE_END'])
        renewals = [m for m in fake.seen if m.kind == wire.RENEW]
        first = renewals[0].number(wire.MIN_LEASE_TIME)
        left = end - min(at for at in came if at > end - 16)
        self.assertGreaterEqual(first, int(left) - 1)  # whole seconds
        self.assertLessEqual(first, 9)
        self.assertFalse([m for m in renewals if m.xid != renewals[0].xid][0]
                         .has(wire.MIN_LEASE_TIME))
        self.assertEqual(self.leases()[0]['state'], 'active')

    def test_t20_a_nak_hangs_up_and_is_followed_by_one_release(self):
        def answer(message):
            if message.kind == wire.RENEW:
                return madcap_fake.nak(message, wire.UNKNOWN_LEASE, b'')
            return madcap_fake.grant(message, seconds=12) if message.kind == wire.REQUEST else None

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        reason = self.closed(h)
        self.assertIn('Lease Identifier Not Recognized', reason)
        last = [m for m in fake.seen if m.kind == wire.REQUEST][-1].get(wire.LEASE_ID)
        self.assertNotIn(last, [m.get(wire.LEASE_ID) for m in fake.seen
                                if m.kind == wire.RELEASE])  # the server knows no lease

    def test_a_server_that_is_gone_ends_the_session_before_the_lease(self):
        fake = self.fake(lambda m: madcap_fake.grant(m, seconds=5) if m.kind == wire.REQUEST
                         else None)
        h = self.start(self.pool(fake))
        for name in 'abc':  # a machine that stands still is late itself, but not always
            fake.seen.clear()
            answer = h.connect(name, user=name, port=name)
            self.assert_up(answer)
            self.ended(h, name)
            late = time.time() - int(answer['env']['RASIP_LEASE_END'])
            self.assertIn('could not be renewed', h.events('close', name)[0])
            self.assertEqual(len(h.events('release', name)), 1)
            self.assertEqual(set(fake.kinds()) - {'RELEASE'}, {'REQUEST', 'RENEW'})
            if late <= 0.5 and fake.kinds().count('RENEW') > 2:
                return
        self.fail(f'{late} s after the lease, {fake.kinds()}')

    def test_the_server_may_restart_in_between(self):
        server = self.server()
        h = self.start(self.pool(server, lease='16s'))
        address = self.assert_up(h.connect('a', user='a'))
        before = self.leases()[0]['expires']
        port = server.port
        server.kill()
        server = self.server(port=port)
        self.renewed(h, before)
        self.assertEqual(self.leases()[0]['state'], 'active')
        self.assertIn(group_of(address), self.at_server())

    def test_the_server_takes_the_lease_away(self):
        server = self.server()
        h = self.start(self.pool(server, lease='10s'))
        address = self.assert_up(h.connect('a', user='a'))
        subprocess.run([str(paths.MADCAP), 'admin', '-c', str(self.madcapd_conf), 'release',
                        group_of(address)], check=True, capture_output=True)
        self.ended(h, 'a')
        self.assertEqual(len(h.events('release', 'a')), 1)

    def test_renegotiation_asks_nobody(self):
        fake = self.fake(madcap_fake.grant)
        h = self.start(self.pool(fake))
        address = self.assert_up(h.connect('a', user='a'))
        for _ in range(3):
            self.assert_up(h.renegotiate('a'), address)
        self.assertEqual(fake.steps(), ['REQUEST'])

    def test_t12_persist_asks_anew(self):
        server = self.server()
        h = self.start(self.pool(server))
        address = self.assert_up(h.connect('a', user='a'))
        self.assert_up(h.reconnect('a'), address)
        self.assertEqual(len(h.events('release', 'a')), 1)
        self.wait_delivered([group_of(address)])

    def test_updetach_keeps_the_lease_and_renews_it(self):
        server = self.server()
        h = self.start(self.pool(server, lease='10s'))
        address = self.assert_up(h.connect('a', user='a'))
        self.assertEqual(h.detach('a')['result'], 'ok')
        self.renewed(h, self.leases()[0]['expires'])
        self.assertIn(group_of(address), self.at_server())
        h.disconnect('a')
        self.wait_delivered()


class Answers(Served):
    """Servers that answer otherwise than they are asked: nothing of it is used, and it goes back."""

    def assert_released(self, fake, *messages):
        """Each of the requests has been given back under its own id."""
        wanted = {message.get(wire.LEASE_ID) for message in messages}
        wait_for(lambda: self.rasip('reclaim') and wanted <= {
            m.get(wire.LEASE_ID) for m in fake.seen if m.kind == wire.RELEASE}, 'the releases')

    def closed_by_renewal(self, renewal, names='abc'):
        def answer(message):
            if message.kind == wire.RELEASE:
                return madcap_fake.ack(message)
            return renewal(message) if message.kind == wire.RENEW else \
                madcap_fake.grant(message, seconds=12)

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        reason = self.closed(h, names)
        self.assert_released(fake, *(m for m in fake.seen if m.kind == wire.REQUEST))
        return reason

    def test_a_renewal_of_another_address(self):
        self.assertIn('has renewed another one', self.closed_by_renewal(
            lambda m: madcap_fake.grant(m, ('239.192.0.8', 1), seconds=12)))

    def test_a_renewal_for_later(self):
        now = int(time.time())
        self.assertIn('has renewed it for later', self.closed_by_renewal(
            lambda m: madcap_fake.grant(m, seconds=12, extra=(
                (wire.START_TIME, wire.u32(now + 600)), (wire.CURRENT_TIME, wire.u32(now))))))

    def test_a_renewal_of_nothing(self):
        self.assertIn('could not be renewed', self.closed_by_renewal(
            lambda m: madcap_fake.grant(m, seconds=0), 'a'))

    def refused_grant(self, *ranges, **settings):
        fake = self.fake(lambda m: madcap_fake.ack(m) if m.kind == wire.RELEASE
                         else madcap_fake.grant(m, *ranges))
        h = self.start(self.pool(fake, **settings))
        self.assert_refused(h.connect('a', user='a'))
        self.assert_released(fake, fake.seen[0])
        self.assertEqual(self.leases(), [])
        return h.log('a')

    def test_a_grant_of_two_addresses(self):
        self.refused_grant(('239.192.0.7', 2))

    def test_a_grant_of_an_address_of_no_pool(self):
        self.assertIn('no answer', self.refused_grant(('239.192.0.200', 1), timeout='2s'))

    def test_a_grant_that_began_before(self):
        """What is left of it is what counts."""
        now = int(time.time())
        fake = self.fake(lambda m: madcap_fake.grant(m, seconds=3600, extra=(
            (wire.START_TIME, wire.u32(now - 3000)), (wire.CURRENT_TIME, wire.u32(now))))
            if m.kind == wire.REQUEST else madcap_fake.ack(m))
        h = self.start(self.pool(fake))
        answer = h.connect('a', user='a')
        self.assert_up(answer)
        self.assertIn(int(answer['env']['RASIP_LEASE_END']) - 600,
                      range(now - 1, int(time.time()) + 2))

    def adopted(self, renewal, timeout='20s'):
        """A dead session's lease, which is renewed for its user; returns the server and what became
        of that."""
        def answer(message):
            if message.kind == wire.RELEASE:
                return madcap_fake.ack(message)
            return renewal(message) if message.kind == wire.RENEW else madcap_fake.grant(message)

        fake = self.fake(answer)
        h = self.start(self.pool(fake, timeout=timeout))
        address = self.assert_up(h.connect('a', user='alice'))
        h.kill('a')
        self.assert_up(h.connect('b', user='alice', port='ttyS7'), address)
        self.assertEqual(len(self.leases()), 1)
        first, *_, last = [m for m in fake.seen if m.kind == wire.REQUEST]
        self.assertNotEqual(first.get(wire.LEASE_ID), last.get(wire.LEASE_ID))
        return fake, first, last

    def test_what_the_dead_had_and_the_server_has_forgotten(self):
        fake, first, _ = self.adopted(lambda m: madcap_fake.nak(m, wire.UNKNOWN_LEASE, b''))
        self.rasip('reclaim')
        self.assertNotIn(first.get(wire.LEASE_ID),
                         [m.get(wire.LEASE_ID) for m in fake.seen if m.kind == wire.RELEASE])

    def test_what_the_dead_had_is_renewed_as_something_else(self):
        fake, first, last = self.adopted(lambda m: madcap_fake.grant(m, ('239.192.0.8', 1)))
        self.assert_released(fake, first)
        self.assertNotIn(last.get(wire.LEASE_ID),
                         [m.get(wire.LEASE_ID) for m in fake.seen if m.kind == wire.RELEASE])

    def test_what_the_dead_had_and_no_answer(self):
        fake, first, _ = self.adopted(lambda m: None, timeout='8s')
        self.assert_released(fake, first)

    def test_all_is_reserved(self):
        fake = self.fake(lambda m: madcap_fake.grant(m, (str(m.ranges[0][0]), 1)))
        h = self.start(self.pool(fake, ranges=('10.80.0.6-10.80.0.7',)),
                       assign=[{'user': 'six', 'address': '10.80.0.6'},
                               {'user': 'seven', 'address': '10.80.0.7'}, {'pool': 'campus'}])
        self.assert_refused(h.connect('a', user='a'), 'reserved')
        self.assertEqual(fake.seen, [])
        self.assert_up(h.connect('b', user='seven'), '10.80.0.7')

    def test_a_reservation_whose_server_does_not_answer(self):
        fake = self.fake()
        h = self.start(self.pool(fake, timeout='1s'),
                       assign=[{'user': 'seven', 'address': '10.80.0.7'}, {'pool': 'campus'}])
        self.assert_refused(h.connect('b', user='seven'), 'no answer')
        self.assertEqual(self.leases(), [])

    def test_explain_tells_the_address_that_is_asked_for_first(self):
        fake = self.fake(lambda m: madcap_fake.grant(m) if m.kind == wire.REQUEST
                         else madcap_fake.ack(m))
        h = self.start(self.pool(fake))
        address = self.assert_up(h.connect('a', user='alice'))
        h.disconnect('a')
        self.assertIn(f'first for {address}', self.rasip('explain', '--user', 'alice'))

    def test_an_interface_that_is_not_there(self):
        self.write_config(self.pool())
        text = self.conf.read_text().replace('servers = ', 'interface = "nope0"; servers = ')
        self.conf.write_text(text.replace('servers = ();', '').replace('servers = (  );', ''))
        h = self.start()
        self.assert_refused(h.connect('a', user='a'), 'there is no interface nope0')

    def test_what_the_dead_had_and_no_interface(self):
        """What cannot be taken up again is still to be released."""
        fake = self.fake(lambda m: madcap_fake.ack(m) if m.kind == wire.RELEASE
                         else madcap_fake.grant(m))
        h = self.start(self.pool(fake))
        self.assert_up(h.connect('a', user='alice'))
        h.kill('a')
        whole = self.conf.read_text()
        self.conf.write_text(whole.replace('servers = ', 'interface = "nope0"; servers = '))
        self.assert_refused(h.connect('b', user='alice'), 'there is no interface nope0')
        self.conf.write_text(whole)
        wait_for(lambda: json.loads(self.rasip('reclaim', '--json'))['released'] == 1,
                 'the release')
        self.assertEqual(fake.steps(), ['REQUEST', 'RELEASE'])


class Discovery(Served):
    """Servers that are found by multicast, in a network of their own."""

    def setUp(self):
        super().setUp()
        self.network = make_network(self, 'one', 'two', 'ras')

    def at(self, name, number, answer):
        with self.network.enter(name):
            server = madcap_fake.FakeServer(answer, address='0.0.0.0', port=wire.PORT,
                                            group='239.255.255.254',
                                            interface=f'192.0.2.{number}')
        self.addCleanup(server.close)
        return server

    @staticmethod
    def offering(number, on_request):
        """Offers, answers a request by `on_request`, and hears releases."""
        server = f'192.0.2.{number}'

        def answer(message):
            if message.kind == wire.DISCOVER:
                return madcap_fake.reply(message, wire.OFFER, wire.lease_time(3600),
                                         wire.scope(SCOPE), wire.ranges(('239.192.0.7', 1)),
                                         server=server)
            if message.kind == wire.REQUEST and message.get(wire.SERVER_ID)[2:] != \
                    wire.server_id(server)[1][2:]:
                return None
            return on_request(message, server) if message.kind == wire.REQUEST else \
                madcap_fake.ack(message, server=server)

        return answer

    def serve(self, **settings):
        madcap = {'scope': SCOPE, 'timeout': '10s', 'lease': '1h', 'interface': 'eth0'}
        return self.start(config.pool('campus', '10.80.0.0-10.80.0.9', backend='madcap',
                                      madcap=madcap, **settings),
                          wrap=self.network.wrap('ras'))

    def test_the_one_that_is_found_is_written_down_and_released(self):
        one = self.at('one', 1, self.offering(
            1, lambda m, server: madcap_fake.grant(m, server=server)))
        h = self.serve()
        self.assert_up(h.connect('a', user='a'), '10.80.0.7')
        self.assertEqual(self.leases()[0]['server'], '192.0.2.1:2535')
        h.disconnect('a')
        wait_for(lambda: 'RELEASE' in one.kinds(), 'the release')

    def test_one_that_offers_and_is_silent_then_is_owed_a_release(self):
        """It may have granted all the same."""
        silent = {}  # the first of them that is asked

        def on_request(message, server):
            return None if silent.setdefault('name', server) == server else \
                madcap_fake.grant(message, server=server)

        servers = {f'192.0.2.{number}': self.at(name, number, self.offering(number, on_request))
                   for number, name in ((1, 'one'), (2, 'two'))}
        h = self.serve()
        self.assert_up(h.connect('a', user='a'), '10.80.0.7')
        mute = servers.pop(silent['name'])
        (used, other), = servers.items()
        self.assertEqual(self.leases()[0]['server'], f'{used}:2535')
        wait_for(lambda: subprocess.run(
            [*self.network.wrap('ras'), str(paths.RASIP), '-c', str(self.conf), 'reclaim'],
            check=True) and 'RELEASE' in mute.kinds(), 'the release')
        self.assertNotIn('RELEASE', other.kinds())


class Owed(Served):
    def test_a_release_that_is_not_heard_does_not_hold_the_hang_up(self):
        server = self.server()
        h = self.start(self.pool(server, timeout='100s'))
        address = self.assert_up(h.connect('a', user='a'))
        port = server.port
        server.kill()
        before = time.monotonic()
        h.disconnect('a')
        self.assertLess(time.monotonic() - before, 30)
        server = self.server(port=port)
        self.assertEqual(set(self.at_server()), {group_of(address)})
        # whoever comes by delivers it
        other = self.assert_up(h.connect('b', user='b'))
        wait_for(lambda: h.wait(0.3) and set(self.at_server()) == {group_of(other)},
                 'the release that was owed')

    def test_t19_a_lease_whose_process_died_is_released_from_its_record(self):
        seen = []

        def answer(message):
            seen.append(message)
            return madcap_fake.grant(message) if message.kind == wire.REQUEST else \
                madcap_fake.ack(message)

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        self.assert_up(h.connect('a', user='a'))
        h.kill('a')
        wait_for(lambda: '1 lease released at MADCAP servers' in self.rasip('reclaim'),
                 'the release')
        self.assertEqual(fake.steps(), ['REQUEST', 'RELEASE'])
        self.assertEqual(seen[0].get(wire.LEASE_ID), seen[-1].get(wire.LEASE_ID))
        self.assertEqual(json.loads(self.rasip('reclaim', '--json'))['released'], 0)

    def test_a_registry_that_was_lost_releases_nothing(self):
        """Nobody can tell whether its sessions live."""
        server = self.server()
        h = self.start(self.pool(server))
        for user in 'abc':
            self.assert_up(h.connect(user, user=user))
        for path in self.runtime_dir.glob('leases*'):
            path.unlink()
        self.assertIn('0 leases taken back', self.rasip('reclaim'))
        self.assert_up(h.connect('d', user='d'))
        self.rasip('reclaim')
        self.assertEqual(len(self.at_server()), 4)

    def test_another_configuration_with_the_same_state_dir_releases_nothing(self):
        server = self.server()
        h = self.start(self.pool(server))
        self.assert_up(h.connect('a', user='a'))
        self.write_config(self.pool(server), runtime_dir=self.directory / 'run2')
        self.rasip('reclaim')
        self.assertEqual(len(self.at_server()), 1)
        other = self.start()
        self.assert_up(other.connect('b', user='b'))
        self.rasip('reclaim')
        self.assertEqual(len(self.at_server()), 2)

    def test_the_dead_are_cleared_away_before_a_pool_is_full(self):
        server = self.server()
        h = self.start(self.pool(server, ranges=('10.80.0.0/30',)))
        for user in 'abcd':
            self.assert_up(h.connect(user, user=user))
            h.kill(user)
        for user in 'efgh':
            self.assert_up(h.connect(user, user=user))
        self.assert_refused(h.connect('i', user='i'), 'full')

    def test_reservations_and_candidates_go_on_with_what_the_dead_had(self):
        fake = self.fake(lambda m: madcap_fake.ack(m) if m.kind == wire.RELEASE
                         else madcap_fake.grant(m, ('239.192.0.7', 1)))
        h = self.start(self.pool(fake), assign=[{'user': 'vip', 'address': '10.80.0.7'},
                                                {'pool': 'campus'}])
        self.assert_up(h.connect('a', user='vip'), '10.80.0.7')
        h.kill('a')
        self.assert_up(h.connect('b', user='vip'), '10.80.0.7')
        h.disconnect('b')
        self.assertEqual(fake.steps(), ['REQUEST', 'RENEW', 'RELEASE'])

    def test_reclaim_delivers_all(self):
        server = self.server(max_addresses_per_client=0)
        h = self.start(self.pool(server, ranges=('10.80.0.0/24',)))
        for i in range(40):
            self.assert_up(h.connect(f'a{i}', user=f'a{i}'))
            # Else what is a second old looks for what the dead have left.
            h.signal(f'a{i}', 'STOP')
        for i in range(40):
            h.kill(f'a{i}')
        released = json.loads(self.rasip('reclaim', '--json'))['released']
        wait_for(lambda: self.rasip('reclaim') and not self.at_server(), 'all releases', 90)
        self.assertGreater(released, 16)

    def test_an_address_whose_release_is_on_its_way_is_not_taken_up(self):
        """The next session of the user asks anew; a late release ends nothing that is used."""
        mute = {'is': True}

        def answer(message):
            if message.kind == wire.RELEASE:
                return None if mute['is'] else madcap_fake.ack(message)
            return madcap_fake.grant(message)

        fake = self.fake(answer)
        h = self.start(self.pool(fake))
        self.assert_up(h.connect('a', user='alice'))
        h.disconnect('a')
        self.assert_up(h.connect('a', user='alice'))
        requests = [m for m in fake.seen if m.kind == wire.REQUEST]
        self.assertNotIn('RENEW', fake.kinds())
        self.assertEqual(len({m.get(wire.LEASE_ID) for m in requests}), 2)

    def test_t19_a_dead_sessions_lease_is_renewed_for_its_user(self):
        fake = self.fake(lambda m: madcap_fake.ack(m) if m.kind == wire.RELEASE
                         else madcap_fake.grant(m))
        h = self.start(self.pool(fake))
        address = self.assert_up(h.connect('a', user='alice'))
        h.kill('a')
        self.assert_up(h.connect('b', user='alice', port='ttyS7'), address)
        self.assertEqual(fake.steps(), ['REQUEST', 'RENEW'])
        h.disconnect('b')
        self.assertEqual(fake.steps(), ['REQUEST', 'RENEW', 'RELEASE'])
        self.assertEqual(len({message.get(wire.LEASE_ID) for message in fake.seen}), 1)

    def test_a_process_that_dies_while_it_asks_leaves_its_request_id(self):
        fake = self.fake()
        h = self.start(self.pool(fake, timeout='30s'))
        h.send('connect a user=a')
        wait_for(lambda: fake.seen, 'a request')
        lease_id = fake.seen[0].get(wire.LEASE_ID)
        self.assertTrue(lease_id in (self.state_dir / 'memory.mdb').read_bytes())
        for line in subprocess.run(['pgrep', '-P', str(h.pid)], capture_output=True, text=True,
                                   check=True).stdout.split():
            subprocess.run(['kill', '-KILL', line], check=True)
        self.assertNotEqual(h.answer()['result'], 'up')

    def test_hold_keeps_the_lease_for_its_last_user(self):
        server = self.server()
        h = self.start(self.pool(server, ranges=('10.80.0.0/31',), hold='30m'))
        had = self.assert_up(h.connect('a', user='alice'))
        h.disconnect('a')
        self.assertEqual(set(self.at_server()), {group_of(had)})
        self.assertEqual(json.loads(self.rasip('leases', '--all', '--json'))[0]['state'], 'held')
        self.assertNotEqual(self.assert_up(h.connect('b', user='bob')), had)
        self.assert_refused(h.connect('c', user='carol'), 'full')
        self.assert_up(h.connect('a', user='alice'), had)
        self.assertEqual(len(self.at_server()), 2)

    def test_after_its_rest_the_lease_is_released(self):
        server = self.server()
        h = self.start(self.pool(server, ranges=('10.80.0.0/31',), hold='8s'))
        had = self.assert_up(h.connect('a', user='alice'))
        self.assert_up(h.connect('b', user='bob'))
        h.disconnect('a')
        self.assertIn(group_of(had), self.at_server())
        wait_for(lambda: self.rasip('reclaim') and group_of(had) not in self.at_server(),
                 'the end of the rest')
        self.assert_up(h.connect('c', user='carol'), had)

    def test_a_refused_link_leaves_nothing(self):
        server = self.server()
        h = self.start(self.pool(server))
        answer = h.connect('a', user='a', ipcp='fail')
        self.assertEqual(answer['result'], 'refused')
        self.wait_delivered()
        self.assertEqual(self.leases(), [])


class Waiting(Served):
    def test_a_slow_server_stalls_no_link(self):
        """IPCP is put off; the hook itself does not wait."""
        def answer(message):
            if message.kind == wire.REQUEST and tries(message) < 3:
                return None
            return madcap_fake.grant(message) if message.kind == wire.REQUEST else \
                madcap_fake.ack(message)

        def tries(message):
            return sum(each.xid == message.xid for each in fake.seen)

        fake = self.fake(answer)
        h = self.start(self.pool(fake, timeout='15s'))
        took_us = []
        for name in 'abc':  # a machine that stands still does so anywhere, but not always
            answer = h.connect(name, user=name, port=name)
            self.assert_up(answer)
            self.assertGreaterEqual(tries(fake.seen[-1]), 3)
            took_us.append(answer['choose_us'])
            h.disconnect(name)
        self.assertLess(min(took_us), 500000)

    def test_a_link_that_ends_while_it_waits(self):
        fake = self.fake()
        h = self.start(self.pool(fake, timeout='3s'))
        h.send('connect a user=a')
        wait_for(lambda: fake.seen, 'a request')
        self.assertEqual(h.answer()['result'], 'refused')
        self.assertEqual(self.leases(), [])

    def test_many_at_once(self):
        server = self.server(max_addresses_per_client=0)
        h = self.start(self.pool(server, ranges=('10.80.0.0/24',), timeout='20s'))
        found = h.storm(60, 12)
        self.assertEqual((found['refused'], found['duplicates']), (0, 0), found)
        wait_for(lambda: self.rasip('reclaim') and not self.at_server(), 'all releases')


if __name__ == '__main__':
    unittest.main()
