# SPDX-License-Identifier: MIT
"""madcapd as its clients see it, by messages that were made without its code."""

import ipaddress
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

from rasip_test import madcap_wire as wire
from rasip_test import madcapd, paths, promtool
from rasip_test.madcapd import ORG, PATIENCE_SEC, wait_for

SITE = {'first': '239.255.0.0', 'last': '239.255.255.255', 'ttl': 16}
SCOPE6 = {'first': 'ff15::', 'last': 'ff15::ffff:ffff'}


class Start(madcapd.Case):
    def test_check_accepts(self):
        self.write_config()
        done = self.run_madcapd('-c', self.conf, '--check')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertIn('1 scope', done.stdout)
        self.assertFalse(self.state_dir.exists())

    def test_check_says_every_mistake_with_file_and_line(self):
        self.conf.write_text('port = 70000;\nscops = ();\nstate_dir = "x";\n')
        done = self.run_madcapd('--check', '-c', self.conf)
        self.assertEqual(done.returncode, 1)
        for line in (1, 2, 3):
            self.assertIn(f'{self.conf}:{line}: ', done.stderr)

    def test_start_with_a_mistake_ends_with_1(self):
        self.conf.write_text('port = 1\nscopes = (')
        done = self.run_madcapd('-c', self.conf)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rf'^{self.conf}:\d+: ')

    def test_missing_file(self):
        done = self.run_madcapd('-c', '/nonexistent/x.conf')
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, '/nonexistent/x.conf: No such file or directory\n')

    def test_usage(self):
        for words in (('--nonsense',), ('argument',), ('-x',), ('-c',), ('--check', '--init-book')):
            with self.subTest(words):
                done = self.run_madcapd(*words)
                self.assertEqual((done.returncode, done.stdout), (2, ''))
                self.assertIn("'madcapd --help'", done.stderr)
        for option in ('-V', '--version'):
            done = self.run_madcapd(option)
            self.assertEqual((done.returncode, done.stderr), (0, ''))
            self.assertRegex(done.stdout, r'^madcapd \d')
        done = self.run_madcapd('--help')
        self.assertEqual(done.returncode, 0)
        self.assertIn('usage: madcapd', done.stdout)

    def test_output_that_cannot_be_written(self):
        for words in (('--help',), ('--version',), ('--check', '-c', self.conf)):
            with self.subTest(words), open('/dev/full', 'w', encoding='ascii') as full:
                self.write_config()
                done = subprocess.run([str(paths.MADCAPD), *map(str, words)], stdout=full,
                                      stderr=subprocess.PIPE, text=True, check=False,
                                      timeout=madcapd.PATIENCE_SEC)
                self.assertEqual((done.returncode, done.stderr),
                                 (1, 'madcapd: standard output: No space left on device\n'))

    def test_nothing_of_its_own_stands_where_its_log_should_be(self):
        self.write_config()
        process = subprocess.Popen(['sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh', str(paths.MADCAPD),
                                    '-c', str(self.conf)])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for((self.state_dir / 'admin.sock').exists, 'the server is up')
        for number in range(3):
            self.assertEqual(os.readlink(f'/proc/{process.pid}/fd/{number}'), '/dev/null')

    def test_the_example_loads(self):
        done = self.run_madcapd('-c', paths.TOP / 'conf' / 'madcapd.conf', '--check')
        self.assertEqual((done.returncode, done.stderr), (0, ''))

    def test_ready_on_every_address_and_clean_end(self):
        server = self.start(listen=['127.0.0.1', '::1'])
        self.assertEqual([address for address, _ in server.listens], ['127.0.0.1', '::1'])
        self.assertEqual(len({port for _, port in server.listens}), 1)
        self.assertEqual(server.stop(), 0)
        self.assertFalse((self.state_dir / 'admin.sock').exists())

    def test_sigterm_and_sigint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number):
                self.assertEqual(self.start().stop(number), 0)

    def test_notifies_its_starter(self):
        path = self.directory / 'notify'
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(path))
            listener.settimeout(madcapd.PATIENCE_SEC)
            server = self.start(environment={'NOTIFY_SOCKET': str(path)})
            self.assertEqual(listener.recv(100), b'READY=1')
            server.stop()
            self.assertEqual(listener.recv(100), b'STOPPING=1')

    def test_second_one_in_the_same_directory_is_refused(self):
        self.start()
        second = self.launch()
        self.assertEqual(second.process.wait(madcapd.PATIENCE_SEC), 1)
        self.assertIn(str(self.state_dir), second.log())

    def test_address_in_use(self):
        first = self.start()
        second = self.launch(port=first.port, state_dir=self.directory / 'other')
        self.assertEqual(second.process.wait(madcapd.PATIENCE_SEC), 1)
        self.assertIn('Address already in use', second.log())

    def test_directory_that_others_may_write(self):
        self.state_dir.mkdir()
        os.chmod(self.state_dir, 0o777)
        server = self.launch()
        self.assertEqual(server.process.wait(madcapd.PATIENCE_SEC), 1)
        self.assertIn('may be written by others', server.log())

    def test_damaged_book_is_refused_and_left_alone(self):
        server = self.start()
        self.assert_ack(self.client(server).ask(wire.request(ORG['first'])))
        server.stop()
        book = self.state_dir / 'madcap-book.mdb'
        for name, content in (('text', b'this is no book\n' * 1000),
                              ('short', book.read_bytes()[:5000]),
                              ('zeros', b'\0' * 8192)):
            with self.subTest(name):
                book.write_bytes(content)
                server = self.launch()
                self.assertEqual(server.process.wait(madcapd.PATIENCE_SEC), 1)
                self.assertIn('madcap-book.mdb', server.log())
                self.assertEqual(book.read_bytes(), content)
                self.assertIn('damaged', server.log())
                # Moving it away, as one may the store of sessions, would lose the leases.
                self.assertNotIn('move it away', server.log())
                self.assertIn('its leases are lost without it', server.log())

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_goes_on_as_another_user(self):
        os.chmod(self.directory, 0o755)
        server = self.start(user='nobody')
        status = pathlib.Path(f'/proc/{server.process.pid}/status').read_text('ascii')
        self.assertRegex(status, r'Uid:\t65534\t65534\t65534\t65534')
        self.assertRegex(status, r'CapEff:\t0+\n')
        with self.subTest('it works'):
            client = self.client(server)
            self.assert_ack(client.ask(wire.request(ORG['first'])))
        self.assertEqual(server.stop(), 0)

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_unknown_user(self):
        server = self.launch(user='no-such-user')
        self.assertEqual(server.process.wait(madcapd.PATIENCE_SEC), 1)
        self.assertIn('no-such-user', server.log())


class Messages(madcapd.Case):
    """One server for all of them; leases do not get into each other's way."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = cls('setUp_shared')
        cls.shared.setUp()
        cls.server = cls.shared.start(
            {**ORG, 'names': [{'lang': 'en', 'name': 'Organisation', 'default': True},
                              {'lang': 'de', 'name': 'Betrieb'}],
             'max_lease': '1d', 'default_lease': '1h', 'exclude': ['239.192.0.1']},
            {**SITE}, SCOPE6, max_addresses_per_client=0, extra_allocation_time='0s')

    @classmethod
    def tearDownClass(cls):
        cls.shared.doCleanups()
        super().tearDownClass()

    def setUp_shared(self):
        pass

    def setUp(self):
        super().setUp()
        if hasattr(type(self), 'server'):
            self.it = self.client(self.server)

    # -- GETINFO

    def test_getinfo_scopes(self):
        answer = self.assert_ack(self.it.ask(wire.getinfo(wire.SCOPE_LIST)))
        self.assertEqual(answer.server, '127.0.0.1')
        scopes = {scope['first']: scope for scope in answer.scopes}
        self.assertEqual(set(scopes), {ORG['first'], SITE['first']})
        self.assertEqual(scopes[ORG['first']]['last'], ORG['last'])
        self.assertEqual(scopes[ORG['first']]['ttl'], 32)
        self.assertEqual(sorted(scopes[ORG['first']]['names']),
                         [(0, 'de', 'Betrieb'), (0x80, 'en', 'Organisation')])
        self.assertEqual([scope['first'] for scope in answer.scopes][0], SITE['first'],
                         'smaller scopes come first (3.10)')

    def test_getinfo_language(self):
        for tag, name in (('DE', 'Betrieb'), ('en', 'Organisation'), ('fr', 'Organisation')):
            with self.subTest(tag):
                answer = self.assert_ack(self.it.ask(
                    wire.getinfo(extra=[wire.language(tag)])))
                names = {scope['first']: scope['names'] for scope in answer.scopes}
                self.assertEqual([each[2] for each in names[ORG['first']]], [name])

    def test_getinfo_ipv6(self):
        answer = self.assert_ack(self.it.ask(wire.getinfo(family=2)))
        self.assertEqual([scope['first'] for scope in answer.scopes], ['ff15::'])

    def test_getinfo_features_and_time(self):
        answer = self.assert_ack(self.it.ask(
            wire.getinfo(wire.CURRENT_TIME, wire.FEATURES, extra=[wire.features([0, 1, 2])])))
        supported, requested, _ = answer.features
        self.assertEqual(requested, [])
        self.assertIn(wire.SHARED_ID, supported)
        self.assertNotIn(wire.MOBILITY, supported, 'its leases are not shared (2.13.1)')
        self.assertLess(abs(answer.number(wire.CURRENT_TIME) - time.time()), 60)

    def test_getinfo_without_a_list_is_invalid(self):
        message = wire.Message(wire.GETINFO, [wire.lease_id(wire.fresh_id())])
        self.assert_nak(self.it.ask(message), wire.INVALID, wire.OPTION_REQUEST)

    # -- REQUEST

    def test_request(self):
        message = wire.request(ORG['first'])
        answer = self.assert_ack(self.it.ask(message), message)
        self.assertEqual(answer.address(wire.SCOPE), ORG['first'])
        self.assertEqual(answer.number(wire.LEASE_TIME), 3600)
        self.assertEqual(len(answer.addresses), 1)
        self.assertTrue(answer.addresses[0].startswith('239.19'))

    def test_request_longest(self):
        answer = self.assert_ack(self.it.ask(
            wire.request(ORG['first'], wire.lease_time(30 * 86400))))
        self.assertEqual(answer.number(wire.LEASE_TIME), 86400)

    def test_request_minimum_lease_time(self):
        message = wire.request(ORG['first'], wire.lease_time(2 * 86400),
                               (wire.MIN_LEASE_TIME, wire.u32(90000)))
        self.assert_nak(self.it.ask(message), wire.NOT_COMPLETED, wire.MIN_LEASE_TIME)

    def test_request_several(self):
        answer = self.assert_ack(self.it.ask(
            wire.request(ORG['first'], wire.n_addresses(3, 10))))
        self.assertEqual(len(set(answer.addresses)), 10)
        self.assertEqual(len(answer.ranges), 1, 'as few ranges as possible')

    def test_request_too_many(self):
        answer = self.assert_ack(self.it.ask(
            wire.request(ORG['first'], wire.n_addresses(1, 5000))))
        self.assertEqual(len(answer.addresses), 256)
        self.assert_nak(self.it.ask(wire.request(ORG['first'], wire.n_addresses(257, 5000))),
                        wire.NOT_COMPLETED, wire.N_ADDRESSES)

    def test_request_minimum_above_desired(self):
        self.assert_nak(self.it.ask(wire.request(ORG['first'], wire.n_addresses(3, 2))),
                        wire.INVALID, wire.N_ADDRESSES)

    def test_request_these_addresses_only(self):
        answer = self.assert_ack(self.it.ask(
            wire.request(ORG['first'], wire.ranges(('239.193.7.7', 1)))))
        self.assertEqual(answer.addresses, ['239.193.7.7'])
        self.assert_nak(self.it.ask(
            wire.request(ORG['first'], wire.ranges(('239.193.7.7', 1)))),
            wire.NOT_COMPLETED, wire.RANGES)

    def test_request_excluded_or_server_group(self):
        for address in ('239.192.0.1', '239.195.255.254'):
            with self.subTest(address):
                self.assert_nak(self.it.ask(
                    wire.request(ORG['first'], wire.ranges((address, 1)))),
                    wire.NOT_COMPLETED, wire.RANGES)

    def test_request_unknown_scope(self):
        self.assert_nak(self.it.ask(wire.request('239.0.0.0')), wire.NOT_COMPLETED, wire.SCOPE)

    def test_request_without_scope(self):
        message = wire.Message(wire.REQUEST, [wire.lease_id(wire.fresh_id())])
        self.assert_nak(self.it.ask(message), wire.INVALID, wire.SCOPE)

    def test_the_longest_request_that_madcap_makes(self):
        """256 addresses of IPv6, none next to another."""
        wanted = [f'ff15::{2 * i:x}' for i in range(256)]
        done = subprocess.run(
            [str(paths.MADCAP), 'request', '--server', f'127.0.0.1:{self.server.port}', '--scope',
             'ff15::', '--count', '256', '--timeout', '20s', '--json',
             *(word for each in wanted for word in ('--address', each))],
            capture_output=True, text=True, timeout=PATIENCE_SEC, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        found = json.loads(done.stdout)['addresses']
        self.assertEqual([ipaddress.ip_address(each) for each in found],
                         [ipaddress.ip_address(each) for each in wanted])

    def test_request_ipv6(self):
        answer = self.assert_ack(self.it.ask(
            wire.request(SCOPE6['first'], wire.n_addresses(4, 4))))
        self.assertEqual(answer.family, 2)
        self.assertEqual(len(set(answer.addresses)), 4)
        self.assertTrue(all(each.startswith('ff15::') for each in answer.addresses))

    def test_request_in_the_future(self):
        when = int(time.time()) + 7200
        message = wire.request(ORG['first'], wire.start_time(when), wire.current_time(),
                               wire.lease_time(600))
        answer = self.assert_ack(self.it.ask(message))
        self.assertEqual(answer.number(wire.START_TIME), when)
        self.assertTrue(answer.has(wire.CURRENT_TIME))

    def test_one_address_at_different_times(self):
        """239.194.0.9 for an hour from 2, 4 and 6 hours on; what overlaps is refused."""
        only = wire.ranges(('239.194.0.9', 1))
        now = int(time.time())
        for hours in (4, 2, 6):
            self.assert_ack(self.it.ask(wire.request(
                ORG['first'], only, wire.start_time(now + hours * 3600), wire.current_time(),
                wire.lease_time(3600), (wire.MAX_START_TIME, wire.u32(now + hours * 3600)))))
        answer = self.it.ask(wire.request(
            ORG['first'], only, wire.start_time(now + 9000), wire.current_time(),
            wire.lease_time(3600), (wire.MIN_LEASE_TIME, wire.u32(3600)),
            (wire.MAX_START_TIME, wire.u32(now + 9000))))
        self.assert_nak(answer, wire.NOT_COMPLETED)

    def test_start_without_current_time(self):
        message = wire.request(ORG['first'], wire.start_time(time.time() + 100))
        self.assert_nak(self.it.ask(message), wire.INVALID, wire.CURRENT_TIME)

    def test_clock_skew(self):
        message = wire.request(ORG['first'], wire.current_time(time.time() - 3600))
        answer = self.assert_nak(self.it.ask(message), wire.CLOCK_SKEW)
        self.assertLess(abs(int.from_bytes(answer.error[1], 'big') - time.time()), 60)

    def test_features(self):
        answer = self.it.ask(wire.request(ORG['first'], wire.features([0], [], [0, 77])))
        self.assert_nak(answer, wire.FEATURE_MISSING, wire.u16(0) + wire.u16(77))
        answer = self.assert_ack(self.it.ask(
            wire.request(ORG['first'], wire.features([2], [2]))))
        self.assertEqual(answer.features[2], [wire.SHARED_ID])
        answer = self.assert_ack(self.it.ask(wire.request(ORG['first'])))
        self.assertIsNone(answer.features)

    def test_request_for_another_server(self):
        message = wire.request(ORG['first'], wire.server_id('192.0.2.77'))
        self.assert_nak(self.it.ask(message), wire.INVALID, wire.SERVER_ID)

    # -- retransmission, RENEW, RELEASE

    def test_retransmission_gets_the_same_answer(self):
        message = wire.request(ORG['first'])
        first = self.it.ask(message)
        self.it.send(message)
        again = self.it.answer_to(message)
        self.assertEqual(again.encode(), first.encode())

    def test_renew(self):
        identifier = wire.fresh_id()
        first = self.assert_ack(self.it.ask(
            wire.request(ORG['first'], wire.lease_time(60), identifier=identifier)))
        message = wire.renew(identifier, wire.lease_time(7200))
        answer = self.assert_ack(self.it.ask(message), message)
        self.assertEqual(answer.addresses, first.addresses)
        self.assertEqual(answer.number(wire.LEASE_TIME), 7200)
        self.assertEqual(answer.address(wire.SCOPE), ORG['first'])

    def test_renew_and_release_of_nothing(self):
        self.assert_nak(self.it.ask(wire.renew(wire.fresh_id())), wire.UNKNOWN_LEASE, b'')
        self.assert_nak(self.it.ask(wire.release(wire.fresh_id())), wire.UNKNOWN_LEASE, b'')

    def test_release(self):
        identifier = wire.fresh_id()
        only = wire.ranges(('239.193.9.9', 1))
        self.assert_ack(self.it.ask(wire.request(ORG['first'], only, identifier=identifier)))
        answer = self.assert_ack(self.it.ask(wire.release(identifier)))
        self.assertEqual({code for code, _ in answer.options}, {wire.SERVER_ID, wire.LEASE_ID})
        self.assert_nak(self.it.ask(wire.renew(identifier)), wire.UNKNOWN_LEASE)
        self.assert_ack(self.it.ask(wire.request(ORG['first'], only)))

    # -- what is no request

    def test_wrong_types(self):
        for kind in (0, 9, 255, wire.OFFER, wire.ACK):
            with self.subTest(kind=kind):
                message = wire.Message(kind, [wire.lease_id(wire.fresh_id())])
                self.assert_nak(self.it.ask(message), wire.INVALID)

    def test_a_nak_is_never_answered(self):
        message = wire.Message(wire.NAK, [wire.lease_id(wire.fresh_id()),
                                          wire.server_id('127.0.0.1'),
                                          (wire.ERROR, wire.u16(1))])
        self.assertIsNone(self.it.ask_once(message))

    def test_garbled_ones_are_ignored(self):
        whole = wire.request(ORG['first'], wire.n_addresses(1, 2)).encode()
        for length in range(len(whole)):
            self.it.send(whole[:length])
        self.it.send(wire.request(ORG['first'], version=1))
        self.it.send(whole + b'x')
        self.it.send(b'')
        self.it.send(os.urandom(4000))
        self.it.send(b'\0' * 9000)
        self.assertIsNone(self.it.receive(0.3))
        self.assert_ack(self.it.ask(wire.getinfo()))

    def test_option_twice(self):
        message = wire.request(ORG['first'], wire.lease_time(1), wire.lease_time(2))
        self.assert_nak(self.it.ask(message), wire.INVALID, wire.LEASE_TIME)

    def test_option_that_may_not_stand_there(self):
        message = wire.request(ORG['first'], (wire.RETRY_TIME, wire.u32(5)))
        self.assert_nak(self.it.ask(message), wire.INVALID, wire.RETRY_TIME)

    def test_unknown_options_are_skipped(self):
        self.assert_ack(self.it.ask(wire.request(ORG['first'], (4711, b'whatever'))))


class Addresses(madcapd.Case):
    def test_answers_from_the_address_that_was_asked(self):
        server = self.start(listen=['0.0.0.0'])
        for address in ('127.0.0.1', '127.0.0.2', '127.3.4.5'):
            client = self.client(server, address)
            answer = self.assert_ack(client.ask(wire.request(ORG['first'])))
            self.assertEqual(client.source[0], address)
            self.assertEqual(answer.server, address)

    def test_ipv6(self):
        server = self.start(listen=['::'])
        client = self.client(server, '::1')
        answer = self.assert_ack(client.ask(wire.request(ORG['first'])))
        self.assertEqual(client.source[0], '::1')
        self.assertEqual(answer.server, '::1')

    def test_server_id(self):
        server = self.start(server_id='192.0.2.5')
        answer = self.assert_ack(self.client(server).ask(wire.getinfo()))
        self.assertEqual(answer.server, '192.0.2.5')

    def test_limit_per_client(self):
        server = self.start(max_addresses_per_client=5)
        one, other = self.client(server), self.client(server, source='127.0.0.9')
        for _ in range(5):
            self.assert_ack(one.ask(wire.request(ORG['first'])))
        self.assertNotIn('max_addresses_per_client', server.log())
        for _ in range(3):
            self.assert_nak(one.ask(wire.request(ORG['first'])), wire.NOT_COMPLETED)
        self.assert_ack(other.ask(wire.request(ORG['first'])))
        # The client cannot know why, so the operator is told, but not for each request.
        server.wait_log('127.0.0.1 has as many addresses as max_addresses_per_client allows (5)')
        self.assertEqual(server.log().count('max_addresses_per_client'), 1)

    def test_full(self):
        server = self.start({**ORG, 'allocate': ['239.192.0.0-239.192.0.9']})
        client = self.client(server)
        given = [self.assert_ack(client.ask(wire.request(ORG['first']))).addresses[0]
                 for _ in range(10)]
        self.assertEqual(len(set(given)), 10)
        self.assert_nak(client.ask(wire.request(ORG['first'])), wire.NOT_COMPLETED)


    def test_lease_that_ends_by_itself(self):
        server = self.start({**ORG, 'allocate': ['239.192.0.5']}, extra_allocation_time='0s')
        client = self.client(server)
        identifier = wire.fresh_id()
        self.assert_ack(client.ask(wire.request(ORG['first'], identifier=identifier)))
        self.assert_nak(client.ask(wire.request(ORG['first'])), wire.NOT_COMPLETED)
        self.assert_ack(client.ask(wire.renew(identifier, wire.lease_time(2))))
        wait_for(lambda: client.ask(wire.request(ORG['first'])).kind == wire.ACK,
                 'the address to be free again')
        self.assert_nak(client.ask(wire.renew(identifier)), wire.UNKNOWN_LEASE)

    def test_ended_leases_are_removed(self):
        server = self.start(extra_allocation_time='0s')
        client = self.client(server)
        for _ in range(300):
            message = wire.request(ORG['first'], wire.lease_time(1))
            self.assert_ack(client.ask(message, again=PATIENCE_SEC))  # each of them once
        wait_for(lambda: self.admin('leases') == [], 'the book to be empty')
        self.assertEqual(self.admin('metrics')['values']['leases_expired_total'], 300)

    def test_an_address_rests_between_leases(self):
        """2.12, EXTRA-ALLOCATION-TIME"""
        server = self.start({**ORG, 'allocate': ['239.192.0.5']}, extra_allocation_time='1h')
        client = self.client(server)
        self.assert_ack(client.ask(wire.request(ORG['first'], wire.lease_time(3600))))
        now = int(time.time())
        for hours, kind in ((1, wire.NAK), (4, wire.ACK)):
            when = now + hours * 3600 + 60
            answer = client.ask(wire.request(
                ORG['first'], wire.start_time(when), wire.current_time(),
                (wire.MAX_START_TIME, wire.u32(when))))
            self.assertEqual(answer.kind, kind, answer)

    def test_scope_that_ends(self):
        for seconds in (3, 10, 60):  # more where the machine was too slow to see it before its end
            end = int(time.time()) + seconds
            expires = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(end))
            server = self.start({**ORG, 'expires': expires}, SITE)
            client = self.client(server)
            answer = client.ask(wire.request(ORG['first']))
            if time.time() < end:
                break
            server.stop()
        self.assert_ack(answer)
        self.assertLessEqual(answer.number(wire.LEASE_TIME), seconds)
        wait_for(lambda: [each['first'] for each in client.ask(wire.getinfo()).scopes]
                 == [SITE['first']], 'the scope to be gone')
        self.assert_nak(client.ask(wire.request(ORG['first'])), wire.NOT_COMPLETED, wire.SCOPE)

    def test_scope_that_is_not_enabled(self):
        server = self.start({**ORG, 'enabled': False}, SITE)
        client = self.client(server)
        self.assertEqual([each['first'] for each in client.ask(wire.getinfo()).scopes],
                         [SITE['first']])
        self.assert_nak(client.ask(wire.request(ORG['first'])), wire.NOT_COMPLETED)

    def test_nesting_state(self):
        """RFC 2907"""
        server = self.start(ORG, {**SITE, 'inside': [ORG['first']]})
        answer = self.assert_ack(self.client(server).ask(
            wire.getinfo(wire.SCOPE_LIST, wire.NESTING)))
        self.assertEqual([each['first'] for each in answer.scopes],
                         [SITE['first'], ORG['first']])
        self.assertTrue(answer.has(wire.NESTING))


class Reload(madcapd.Case):
    def test_another_scope(self):
        server = self.start()
        client = self.client(server)
        identifier = wire.fresh_id()
        self.assert_ack(client.ask(wire.request(ORG['first'], identifier=identifier)))
        self.assert_nak(client.ask(wire.request(SITE['first'])), wire.NOT_COMPLETED)
        self.write_config(ORG, SITE)
        server.send_signal(signal.SIGHUP)
        server.wait_log('reloaded')
        self.assert_ack(client.ask(wire.request(SITE['first'])))
        self.assert_ack(client.ask(wire.renew(identifier)))
        self.assertEqual(len(self.admin('scopes')), 2)

    def test_scope_with_leases_cannot_be_split(self):
        server = self.start({'first': '239.192.0.0', 'last': '239.195.255.255'})
        client = self.client(server)
        identifier = wire.fresh_id()
        wanted = wire.ranges(('239.194.0.5', 1))
        self.assert_ack(client.ask(wire.request('239.192.0.0', wanted, identifier=identifier)))
        self.write_config({'first': '239.192.0.0', 'last': '239.193.255.255'},
                          {'first': '239.194.0.0', 'last': '239.195.255.255'})
        server.send_signal(signal.SIGHUP)
        server.wait_log('not reloaded')
        self.assertIn('a scope cannot be split', server.log())
        self.assert_nak(client.ask(wire.request('239.194.0.0', wanted)), wire.NOT_COMPLETED)
        self.assert_ack(client.ask(wire.release(identifier)))
        server.send_signal(signal.SIGHUP)
        wait_for(lambda: server.log().count('madcapd: reloaded') > 0, 'a reload')
        self.assert_ack(client.ask(wire.request('239.194.0.0', wanted)))

    def test_bad_file_is_refused(self):
        server = self.start()
        client = self.client(server)
        self.conf.write_text('scopes = (\n { first = "10.0.0.0"; } );\n')
        server.send_signal(signal.SIGHUP)
        server.wait_log('not reloaded')
        self.assertIn(f'{self.conf}:2: first: ', server.log())
        self.assert_ack(client.ask(wire.request(ORG['first'])))

    def test_address_that_cannot_be_listened_on(self):
        server = self.start()
        client = self.client(server)
        self.write_config(ORG, SITE, listen=['127.0.0.1', '203.0.113.77'])
        server.send_signal(signal.SIGHUP)
        server.wait_log('not reloaded')
        self.assertIn('203.0.113.77', server.log())
        self.assert_nak(client.ask(wire.request(SITE['first'])), wire.NOT_COMPLETED)

    def test_listens_elsewhere(self):
        server = self.start()
        self.write_config(listen=['127.0.0.2'])
        server.send_signal(signal.SIGHUP)
        wait_for(lambda: server.log().count('ready on') == 2, 'the new address')
        server.wait_ready()
        host, port = server.listens[-1]
        self.assertEqual(host, '127.0.0.2')
        with wire.Client(host, port) as client:
            self.assert_ack(client.ask(wire.request(ORG['first'])))

    def test_state_dir_does_not_change(self):
        server = self.start()
        self.write_config(state_dir=self.directory / 'other')
        server.send_signal(signal.SIGHUP)
        server.wait_log('not reloaded')

    def test_limits_change(self):
        server = self.start(max_addresses_per_request=2)
        client = self.client(server)
        wish = wire.n_addresses(1, 9)
        self.assertEqual(len(client.ask(wire.request(ORG['first'], wish)).addresses), 2)
        self.write_config(max_addresses_per_request=5)
        server.send_signal(signal.SIGHUP)
        server.wait_log('reloaded')
        self.assertEqual(len(client.ask(wire.request(ORG['first'], wish)).addresses), 5)


class Load:
    """Clients that request, renew and release as fast as they get answers, and what they know:
    identifier -> addresses, of leases that were acknowledged and not asked to end."""

    def __init__(self, port, clients=8):
        self.port = port
        self.held = {}
        self.unclear = set()  # a release or a request was sent, and no answer came
        self.acknowledged = 0
        self.failure = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        if self.failure:
            raise AssertionError(self.failure)

    def _run(self, number):
        rng = random.Random(number)
        mine = []
        with wire.Client('127.0.0.1', self.port, f'127.0.1.{number + 1}') as client:
            while not self._stop.is_set():
                if mine and rng.random() < 0.3:
                    self._release(client, mine.pop(rng.randrange(len(mine))))
                elif mine and rng.random() < 0.3:
                    self._renew(client, rng.choice(mine))
                else:
                    self._request(client, mine, rng)

    def _note(self, identifier, addresses):
        with self._lock:
            self.acknowledged += 1
            if addresses is None:
                self.held.pop(identifier, None)
            else:
                self.held[identifier] = addresses
            self.unclear.discard(identifier)

    def _ask(self, client, message, identifier):
        with self._lock:
            self.unclear.add(identifier)
        answer = client.ask_once(message, 1.0)
        if answer is not None and answer.kind != wire.ACK:
            self.failure = f'{message} got {answer}'
        return answer

    def _request(self, client, mine, rng):
        identifier = wire.fresh_id()
        answer = self._ask(client, wire.request(
            ORG['first'], wire.n_addresses(1, rng.randrange(1, 4)), identifier=identifier),
            identifier)
        if answer is not None and answer.kind == wire.ACK:
            self._note(identifier, answer.addresses)
            mine.append(identifier)

    def _renew(self, client, identifier):
        answer = self._ask(client, wire.renew(identifier), identifier)
        if answer is not None and answer.kind == wire.ACK:
            self._note(identifier, answer.addresses)
        # A renewal that was not answered leaves the lease there.
        with self._lock:
            self.unclear.discard(identifier)

    def _release(self, client, identifier):
        answer = self._ask(client, wire.release(identifier), identifier)
        if answer is not None and answer.kind == wire.ACK:
            self._note(identifier, None)


class UnderLoad(madcapd.Case):
    def test_reload(self):
        self.write_config(max_addresses_per_client=0)
        server = self.start()
        load = Load(server.port)
        try:
            for count in range(1, 6):
                server.send_signal(signal.SIGHUP)
                wait_for(lambda: server.log().count('reloaded') == count, 'a reload')
        finally:
            load.stop()
        leases = {each['request_id']: each['addresses'] for each in self.admin('leases')}
        for identifier, addresses in load.held.items():
            if identifier not in load.unclear:
                self.assertEqual(leases.get(identifier.hex()), addresses)

    def test_clean_end(self):
        self.write_config(max_addresses_per_client=0)
        server = self.start()
        load = Load(server.port)
        try:
            wait_for(lambda: load.acknowledged > 50, 'some leases')
            self.assertEqual(server.stop(), 0)
        finally:
            load.stop()


class Durability(madcapd.Case):
    def leases(self):
        return {lease['request_id']: lease['addresses'] for lease in self.admin('leases')
                if lease['state'] in ('active', 'future')}

    def assert_no_address_twice(self, leases):
        every = [address for addresses in leases.values() for address in addresses]
        self.assertEqual(len(every), len(set(every)), 'an address was given twice')

    def test_leases_outlive_a_restart(self):
        server = self.start()
        identifier = wire.fresh_id()
        first = self.client(server).ask(wire.request(ORG['first'], identifier=identifier))
        self.assertEqual(server.stop(), 0)
        server = self.start()
        answer = self.assert_ack(self.client(server).ask(wire.renew(identifier)))
        self.assertEqual(answer.addresses, first.addresses)

    def test_a_request_again_after_a_restart_gets_its_lease_again(self):
        server = self.start()
        message = wire.request(ORG['first'], wire.n_addresses(2, 2))
        first = self.client(server).ask(message)
        server.kill()
        server = self.start()
        again = self.assert_ack(self.client(server).ask(message))
        self.assertEqual(again.addresses, first.addresses)
        self.assertEqual(len(self.leases()), 1)

    def test_the_clock_was_ahead(self):
        """And has been set right: what was granted meanwhile is still leased."""
        skewed = {'LD_PRELOAD': str(paths.MODULES / 'skewed.so'), 'SKEW_SEC': '40000',
                  'ASAN_OPTIONS': 'verify_asan_link_order=0'}  # it has to come second for once
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        server = self.launch(tiny, environment=skewed).wait_ready()
        identifier = wire.fresh_id()
        first = self.assert_ack(self.client(server).ask(
            wire.request(ORG['first'], wire.lease_time(600), identifier=identifier)))
        self.assertNotIn('clock', server.log())
        server.kill()
        server = self.start()
        server.wait_log('the clock is behind')
        client = self.client(server)
        self.assert_nak(client.ask(wire.request(ORG['first'])), wire.NOT_COMPLETED)
        answer = self.assert_ack(client.ask(wire.renew(identifier, wire.lease_time(600))))
        self.assertEqual((answer.addresses, answer.number(wire.LEASE_TIME)),
                         (first.addresses, 600))
        self.assertEqual(server.log().count('the clock'), 1)
        server.kill()
        server = self.launch(environment={**skewed, 'SKEW_SEC': '50000'}).wait_ready()
        self.assertNotIn('the clock', server.log())

    def test_killed_at_any_moment_under_load(self):
        """No acknowledged lease is lost and no address given twice."""
        known, unclear, total = {}, set(), 0
        rng = random.Random(os.environ.get('MADCAP_SEED', '1'))
        self.write_config(max_addresses_per_client=0)
        kills = int(os.environ.get('MADCAP_KILLS', '8'))
        for _ in range(kills):
            server = self.start()
            load = Load(server.port)
            try:
                wait_for(lambda: load.acknowledged > 100 // kills, 'some leases')
                time.sleep(rng.uniform(0, 0.4))  # the moment is to be any
                server.kill()
            finally:
                load.stop()
            known.update(load.held)
            unclear |= load.unclear
            total += load.acknowledged
            server = self.start()
            found = self.leases()
            self.assert_no_address_twice(found)
            for identifier, addresses in known.items():
                if identifier in unclear:
                    continue
                self.assertEqual(found.get(identifier.hex()), addresses)
            server.kill()
        self.assertGreater(total, 100)

    def test_nothing_is_answered_before_it_is_on_disk(self):
        """Every ACK is in the book of a server that was killed the moment it came."""
        self.write_config()
        for _ in range(5):
            server = self.start()
            message = wire.request(ORG['first'])
            self.assert_ack(self.client(server).ask(message))
            server.kill()
            second = self.start()
            self.assertIn(message.get(wire.LEASE_ID).hex(), self.leases())
            second.kill()


class Damage(madcapd.Case):
    """A book in which something is wrong: refused and left as it is, or nothing is lost."""

    PAGE = 4096
    HEADS = 2 * PAGE  # LMDB has two: where the newer one is bad, the last batch but one is the book
    ROUNDS = int(os.environ.get('MADCAP_DAMAGES', '40'))

    def setUp(self):
        super().setUp()
        server = self.start(max_addresses_per_client=0)
        client = self.client(server)
        messages = [wire.request(ORG['first'], wire.n_addresses(1, 3)) for _ in range(300)]
        for message in messages:
            self.assert_ack(client.ask(message))
        for message in messages[::3]:  # so that there are pages to be used again
            self.assert_ack(client.ask(wire.release(message.get(wire.LEASE_ID))))
        self.leases = self.listed()
        self.assertEqual(server.stop(), 0)
        self.book = self.state_dir / 'madcap-book.mdb'
        self.whole = self.book.read_bytes()

    def listed(self):
        return sorted(self.admin('leases'), key=lambda lease: lease['request_id'])

    def assert_refused_or_whole(self, content):
        """Whether it was refused."""
        self.book.write_bytes(content)
        server = self.launch()
        try:
            wait_for(lambda: server.process.poll() is not None or 'ready' in server.log(),
                     'a start')
            if server.process.poll() is None:
                self.assertEqual(self.listed(), self.leases)
                return False
        finally:
            server.kill()
        self.assertEqual(server.process.returncode, 1, server.log())
        self.assertRegex(server.log(), r'(?m)^madcapd: .*madcap-book.mdb (is damaged|was '
                                       'written by another version)')
        self.assertEqual(self.book.read_bytes(), content)
        return True

    def test_bits_that_changed(self):
        refused = 0
        for seed in range(self.ROUNDS):
            rng, content = random.Random(seed), bytearray(self.whole)
            for _ in range(4):
                content[rng.randrange(self.HEADS, len(content))] ^= 1 << rng.randrange(8)
            with self.subTest(seed=seed):
                refused += self.assert_refused_or_whole(bytes(content))
        self.assertGreater(refused, self.ROUNDS // 10)

    def test_pages_that_were_lost(self):
        refused = 0
        for page in range(self.HEADS // self.PAGE, len(self.whole) // self.PAGE):
            for name, lost in (('zeros', bytes(self.PAGE)), ('noise', os.urandom(self.PAGE)),
                               ('another', self.whole[-self.PAGE:])):
                at = page * self.PAGE
                with self.subTest(page=page, name=name):
                    refused += self.assert_refused_or_whole(
                        self.whole[:at] + lost + self.whole[at + self.PAGE:])
        self.assertGreater(refused, 5)

    def test_a_lease_that_changed(self):
        """In every copy that the file has of it."""
        identifier = bytes.fromhex(self.leases[7]['request_id'])
        for offset in (-25, -10, 18):  # the record's state, its end, its address
            content, at = bytearray(self.whole), -1
            while (at := self.whole.find(identifier, at + 1)) >= 0:
                content[at + offset] ^= 1
            with self.subTest(offset=offset):
                self.assertTrue(self.assert_refused_or_whole(bytes(content)))

    def test_another_version(self):
        kind = b'madcap lease book'
        content, at = bytearray(self.whole), -1
        while (at := self.whole.find(kind, at + 1)) >= 0:
            content[at + len(kind) + 3] ^= 0x40
        self.book.write_bytes(content)
        server = self.launch()
        self.assertEqual(server.process.wait(madcapd.PATIENCE_SEC), 1)
        self.assertIn('another version', server.log())
        self.assertEqual(self.book.read_bytes(), bytes(content))


class FullDisk(madcapd.Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('mounting needs root')
        self.state_dir.mkdir(mode=0o750)
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k,mode=0750', 'tmpfs',
                               str(self.state_dir)], check=False, capture_output=True)
        if done.returncode != 0:
            self.skipTest('no tmpfs here')
        self.addCleanup(subprocess.run, ['umount', '-l', str(self.state_dir)], check=False)

    @staticmethod
    def fill(path):
        with open(path, 'wb', buffering=0) as file:
            try:
                while file.write(b'x' * 4096):
                    pass
            except OSError:
                pass

    @staticmethod
    def answer_or_trouble(server, client, message):
        """None once the server has said that it cannot write, and not because it is slow."""
        client.send(message)

        def outcome():
            answer = client.answer_to(message, 0.05)
            return [answer] if answer or 'cannot be written' in server.log() else None

        return wait_for(outcome, 'an answer, or why there is none')[0]

    def test_full_disk(self):
        server = self.start(max_addresses_per_client=0)
        client = self.client(server)
        kept = {}
        filler = self.state_dir / 'filler'
        self.fill(filler)
        for _ in range(5000):
            message = wire.request(ORG['first'])
            answer = self.answer_or_trouble(server, client, message)
            if answer is None or answer.kind == wire.NAK:
                break
            kept[message.get(wire.LEASE_ID)] = answer.addresses
        else:
            self.fail('the disk never got full')
        self.assertIsNone(server.process.poll())
        server.wait_log('cannot be written')
        with self.subTest('what needs no disk is answered'):
            self.assert_ack(client.ask(wire.getinfo()))
        with self.subTest('a refusal, which writes nothing, is no sign of room'):
            answer = client.ask(wire.release(wire.fresh_id()))
            self.assertEqual(answer.kind, wire.NAK)
            self.assertNotIn('can be written again', server.log())
        with self.subTest('service again'):
            filler.unlink()
            identifier = wire.fresh_id()
            answer = self.assert_ack(client.ask(
                wire.request(ORG['first'], identifier=identifier)))
            kept[identifier] = answer.addresses
            server.wait_log('can be written again')
        server.kill()
        server = self.start()
        leases = {lease['request_id']: lease['addresses'] for lease in self.admin('leases')}
        for identifier, addresses in kept.items():
            self.assertEqual(leases.get(identifier.hex()), addresses)

    @staticmethod
    def note_release(held, answer):
        """The ACK to a RELEASE is the one that has no addresses."""
        if answer is not None and answer.kind == wire.ACK and not answer.has(wire.RANGES):
            held.pop(answer.get(wire.LEASE_ID), None)

    def test_leases_on_a_full_disk(self):
        """What is there stays, over a restart as well; renewals and releases are refused, or done
        for good."""
        server = self.start(max_addresses_per_client=0)
        client = self.client(server)
        held = {}
        for _ in range(18):
            message = wire.request(ORG['first'])
            held[message.get(wire.LEASE_ID)] = self.assert_ack(client.ask(message)).addresses
        filler = self.state_dir / 'filler'
        self.fill(filler)
        identifiers = list(held)
        for number, identifier in enumerate(identifiers):
            message = wire.release(identifier) if number % 3 else wire.renew(identifier)
            self.note_release(held, client.ask_once(message, 0.2))
        self.assert_ack(client.ask(wire.getinfo()))  # nor is it busy with any of them
        self.assertIsNone(server.process.poll(), server.log())
        server.kill()
        while (late := client.receive(0)) is not None:
            self.note_release(held, late)
        server = self.start()
        self.assertEqual({bytes.fromhex(lease['request_id']): lease['addresses']
                          for lease in self.admin('leases')}, held)
        filler.unlink()
        client = self.client(server)
        for identifier in held:
            self.assert_ack(client.ask(wire.renew(identifier)))

    def test_a_server_that_cannot_write_rests(self):
        server = self.start(max_addresses_per_client=0, extra_allocation_time='0s')
        client = self.client(server)
        for _ in range(50):
            self.assert_ack(client.ask(wire.request(ORG['first'], wire.lease_time(3))))
        self.fill(self.state_dir / 'filler')
        wait_for(lambda: client.ask_once(wire.request(ORG['first']), 0.3) is None and
                 'cannot be written' in server.log(), 'the disk to be full')
        before = server.cpu_ticks()
        time.sleep(2)
        self.assertLess(server.cpu_ticks() - before, os.sysconf('SC_CLK_TCK') / 2)


IP_PKTINFO = 8  # of Linux


class Flood(madcapd.Case):
    def flood(self, server, stop, sources, make):
        sockets = []
        for source in sources:
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            each.bind((source, 0))
            each.connect(('127.0.0.1', server.port))
            each.setblocking(False)
            sockets.append(each)
        while not stop.is_set():
            for each in sockets:
                try:
                    for _ in range(20):
                        each.send(make())
                except (BlockingIOError, ConnectionRefusedError):
                    pass
        for each in sockets:
            each.close()

    def served_during_flood(self, sources, make):
        server = self.start(max_addresses_per_client=10)
        client = self.client(server, source='127.0.0.200')
        stop = threading.Event()
        thread = threading.Thread(target=self.flood, args=(server, stop, sources, make))
        thread.start()
        try:
            server_memory = memory_kb(server)
            for _ in range(20):
                message = wire.request(ORG['first'])
                self.assert_ack(client.ask(message))
                self.assert_ack(client.ask(wire.release(message.get(wire.LEASE_ID))))
            grown = memory_kb(server) - server_memory
        finally:
            stop.set()
            thread.join()
        self.assertLess(grown, 100_000, 'kB')
        return server

    def test_one_source(self):
        self.served_during_flood(['127.0.0.100'], lambda: wire.request(ORG['first']).encode())

    def test_many_sources(self):
        self.served_during_flood([f'127.0.5.{i}' for i in range(1, 200)],
                                 lambda: wire.request(ORG['first']).encode())

    def forge(self, server, stop, make):
        """Every datagram has another source: all of 127.0.0.0/8 is this host's."""
        rng = random.Random(2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not stop.is_set():
                source = struct.pack('=i4s4s', 0, bytes([127, rng.randrange(1, 255),
                                                         rng.randrange(256), rng.randrange(256)]),
                                     bytes(4))
                sender.sendmsg([make()], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0,
                               ('127.0.0.1', server.port))

    def served_in_spite_of(self, make, **settings):
        """An honest client's exchanges; then the server, and how much it has grown, in kB."""
        server = self.start(**settings)
        client = self.client(server, source='127.0.0.200')
        stop = threading.Event()
        thread = threading.Thread(target=self.forge, args=(server, stop, make))
        self.assert_ack(client.ask(wire.getinfo()))
        before = memory_kb(server)
        thread.start()
        try:
            wait_for(lambda: self.admin('metrics')['values']['datagrams_received_total'] > 20000,
                     'the flood')
            for _ in range(20):
                message = wire.request(ORG['first'])
                self.assert_ack(client.ask(message))
                self.assert_ack(client.ask(wire.renew(message.get(wire.LEASE_ID))))
                self.assert_ack(client.ask(wire.release(message.get(wire.LEASE_ID))))
        finally:
            stop.set()
            thread.join()
        return server, memory_kb(server) - before

    def test_forged_discovers(self):
        """Held addresses are bounded, and leave room."""
        _, grown = self.served_in_spite_of(
            lambda: wire.discover(ORG['first'], wire.n_addresses(200, 200)).encode())
        scope = self.admin('scopes')[0]
        self.assertLessEqual(scope['offered'], scope['size'] // 2)
        self.assertLess(grown, 100_000)

    def test_forged_requests_that_wait_for_the_operator(self):
        """As many wait as may, and the others are refused."""
        _, grown = self.served_in_spite_of(
            lambda: wire.request(ORG['first'], wire.n_addresses(9, 9),
                                 wire.features([wire.RETRY_AFTER])).encode(),
            retry_after_above=2)
        self.assertLessEqual(self.admin('scopes')[0]['pending'], 1024)
        self.assertLess(grown, 100_000)

    def test_forged_questions_get_few_long_answers(self):
        """Whose address it is gets no flood of answers (4)."""
        scopes = [{'first': f'239.{i}.0.0', 'last': f'239.{i}.255.255'} for i in range(100)]
        server = self.start(*scopes, getinfo_rate=5)
        victim = self.client(server, source='127.0.0.77')
        began = time.monotonic()
        for _ in range(300):
            victim.send(wire.getinfo())
        self.assert_ack(self.client(server, source='127.0.0.78').ask(wire.getinfo()))
        took = time.monotonic() - began
        answers = 0
        while victim.receive(0.2):
            answers += 1
        # As many as in two seconds at once, and then five a second.
        self.assertLessEqual(answers, 10 + 5 * took + 1)
        self.assertGreaterEqual(self.admin('metrics')['values']['getinfo_limited_total'],
                                300 - answers)
        self.assert_ack(victim.ask(wire.getinfo()))

    def test_garbage(self):
        self.served_during_flood(['127.0.0.100'], lambda: os.urandom(random.randrange(200)))

    def test_getinfo(self):
        self.served_during_flood(['127.0.0.100'], lambda: wire.getinfo().encode())


def memory_kb(server):
    with open(f'/proc/{server.process.pid}/status', encoding='ascii') as file:
        for line in file:
            if line.startswith('VmRSS:'):
                return int(line.split()[1])
    return 0


class Multicast(madcapd.Case):
    """Two servers and a client on one network."""

    def setUp(self):
        super().setUp()
        self.network = madcapd.make_network(self, 'one', 'two', 'client')
        self.write_config(ORG, SITE, SCOPE6, listen=['0.0.0.0', '::'], port=wire.PORT,
                          interfaces=['eth0'])
        self.conf_two = self.directory / 'two.conf'
        self.conf_two.write_text(self.conf.read_text().replace(
            str(self.state_dir), str(self.directory / 'two')))
        self.one = self.launch(wrap=self.network.wrap('one')).wait_ready()
        with self.network.enter('client'):
            self.it = wire.Client('192.0.2.1')
            self.six = wire.Client('2001:db8::1')
        self.addCleanup(self.it.close)
        self.addCleanup(self.six.close)
        self.it.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 16)
        self.it.socket.setsockopt(
            socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('192.0.2.3'))

    def start_two(self):
        server = madcapd.Madcapd(self.conf_two, self.directory / 'log2',
                                 self.network.wrap('two'))
        self.addCleanup(server.stop, signal.SIGKILL)
        return server.wait_ready()

    def offers(self, message, n, to='239.255.255.254'):
        self.it.send(message, to)
        found = {}
        while len(found) < n:
            answer = self.it.answer_to(message)
            self.assertIsNotNone(answer, f'{len(found)} answers')
            self.assertEqual(self.it.source[0], answer.server)
            found[answer.server] = answer
        return found

    def test_getinfo_to_the_local_group(self):
        self.start_two()
        found = self.offers(wire.getinfo(), 2)
        self.assertEqual(set(found), {'192.0.2.1', '192.0.2.2'})
        self.assertTrue(all(each.kind == wire.ACK for each in found.values()))

    def test_getinfo_to_another_group_is_ignored(self):
        """2.11"""
        self.assertIsNone(self.it.ask_once(wire.getinfo(), to='239.195.255.254'))

    def test_discover_offer_request(self):
        self.start_two()
        identifier = wire.fresh_id()
        found = self.offers(wire.discover(ORG['first'], identifier=identifier), 2)
        for answer in found.values():
            self.assertEqual(answer.kind, wire.OFFER)
            self.assertTrue(answer.has(wire.LEASE_TIME) and answer.has(wire.SCOPE))
        message = wire.request(ORG['first'], wire.server_id('192.0.2.2'), identifier=identifier)
        answer = self.assert_ack(self.it.ask(message, to='239.255.255.254', again=PATIENCE_SEC))
        self.assertEqual(answer.server, '192.0.2.2')
        self.assertIsNone(self.it.receive(0.3))
        wait_for(lambda: self.admin('scopes')[0]['offered'] == 0, 'the hold to be dropped')

    def test_offers_are_held_for_a_time(self):
        self.write_config(ORG, listen=['0.0.0.0'], port=wire.PORT, interfaces=['eth0'],
                          offer_hold='1s')
        self.one.send_signal(signal.SIGHUP)
        self.one.wait_log('reloaded')

        def held():
            """How many addresses are, if the machine was quick enough to look."""
            began = time.monotonic()
            answer = self.it.ask(wire.discover(ORG['first'], wire.n_addresses(7, 7)),
                                 to='239.255.255.254')
            self.assertEqual(answer.kind, wire.OFFER)
            offered = self.admin('scopes')[0]['offered']
            in_time = time.monotonic() - began < 1
            wait_for(lambda: self.admin('scopes')[0]['offered'] == 0, 'the hold to end')
            return offered if in_time else None

        self.assertEqual(wait_for(held, 'a look in time'), 7)

    def test_discover_at_the_scopes_own_group(self):
        message = wire.discover(ORG['first'])
        answer = self.it.ask(message, to='239.195.255.254')
        self.assertEqual(answer.kind, wire.OFFER)
        self.assertEqual(self.it.source[0], '192.0.2.1')

    def test_discover_for_a_smaller_scope_than_the_groups(self):
        """Local Scope does not enclose what the organisation's group belongs to (2.11)."""
        self.assertIsNone(self.it.ask_once(wire.discover(SITE['first']), to='239.195.255.254'))

    def test_discover_that_cannot_be_met(self):
        self.assertIsNone(self.it.ask_once(wire.discover('239.0.0.0'), to='239.255.255.254'))

    def test_multicast_request_without_server(self):
        message = wire.request(ORG['first'])
        self.assert_nak(self.it.ask(message, to='239.255.255.254'), wire.INVALID, wire.SERVER_ID)

    def test_ipv6_group(self):
        index = 0
        with self.network.enter('client'):
            index = socket.if_nametoindex('eth0')
        self.six.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        self.six.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 16)
        answer = self.six.ask(wire.discover(SCOPE6['first']), to='ff15::ffff:fffe')
        self.assertIsNotNone(answer)
        self.assertEqual(answer.kind, wire.OFFER)
        self.assertEqual(self.six.source[0], answer.server)
        self.assertEqual(answer.server, '2001:db8::1')

    def test_groups_of_sockets_that_listen_on_one_address(self):
        self.one.stop()
        self.write_config(ORG, SITE, SCOPE6, listen=['192.0.2.1'], port=wire.PORT,
                          interfaces=['eth0'])
        self.launch(wrap=self.network.wrap('one')).wait_ready()
        answer = self.it.ask(wire.discover(ORG['first']), to='239.255.255.254')
        self.assertEqual(answer.kind, wire.OFFER)
        self.assertEqual(self.it.source[0], '192.0.2.1')
        self.assert_ack(self.it.ask(wire.request(ORG['first'])))

    def test_answers_from_an_address_that_it_listens_on(self):
        """Where the lease is to be renewed, there has to be somebody."""
        self.one.stop()
        for address in ('192.0.2.77/24', '2001:db8::77/64'):
            self.network.ip('-n', self.network.space('one'), 'address', 'add', address, 'dev',
                            'eth0', *(('nodad',) if ':' in address else ()))
        self.write_config(ORG, SITE, SCOPE6, listen=['192.0.2.77', '2001:db8::77'],
                          port=wire.PORT, interfaces=['eth0'])
        self.launch(wrap=self.network.wrap('one')).wait_ready()
        answer = self.it.ask(wire.discover(ORG['first']), to='239.255.255.254')
        self.assertEqual((answer.server, self.it.source[0]), ('192.0.2.77', '192.0.2.77'))
        self.assert_ack(self.it.ask(wire.request(ORG['first']), to=answer.server))
        with self.network.enter('client'):
            index = socket.if_nametoindex('eth0')
        self.six.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        answer = self.six.ask(wire.discover(SCOPE6['first']), to='ff15::ffff:fffe')
        self.assertEqual((answer.server, self.six.source[0]), ('2001:db8::77', '2001:db8::77'))

    def test_answers_to_others_do_not_come_from_the_loopback(self):
        self.one.stop()
        self.network.ip('-n', self.network.space('one'), 'address', 'add', '192.0.2.77/24', 'dev',
                        'eth0')
        self.write_config(ORG, SITE, listen=['127.0.0.1', '192.0.2.77'], port=wire.PORT,
                          interfaces=['eth0'])
        self.launch(wrap=self.network.wrap('one')).wait_ready()
        answer = self.it.ask(wire.discover(ORG['first']), to='239.255.255.254')
        self.assertEqual((answer.server, self.it.source[0]), ('192.0.2.77', '192.0.2.77'))

    def test_no_group_without_interfaces(self):
        self.write_config(ORG, SITE, listen=['0.0.0.0'], port=wire.PORT)
        self.one.send_signal(signal.SIGHUP)
        self.one.wait_log('reloaded')
        self.assertIsNone(self.it.ask_once(wire.getinfo(), to='239.255.255.254'))
        self.assert_ack(self.it.ask(wire.getinfo()))

    def test_only_unicast(self):
        """4: with IPsec, multicasts are dropped, except GETINFO."""
        self.write_config(ORG, listen=['0.0.0.0'], port=wire.PORT, interfaces=['eth0'],
                          only_unicast=True)
        self.one.send_signal(signal.SIGHUP)
        self.one.wait_log('reloaded')
        self.assertIsNone(self.it.ask_once(wire.discover(ORG['first']), to='239.255.255.254'))
        self.assert_ack(self.it.ask(wire.getinfo(), to='239.255.255.254'))
        self.assert_ack(self.it.ask(wire.request(ORG['first'])))

    def test_unknown_interface(self):
        self.write_config(interfaces=['nosuch0'])
        self.one.send_signal(signal.SIGHUP)
        self.one.wait_log('not reloaded')
        self.assertIn('nosuch0', self.one.log())
        self.assert_ack(self.it.ask(wire.getinfo(), to='239.255.255.254'))


class Admin(madcapd.Case):
    def setUp(self):
        super().setUp()
        self.server = self.start(
            {**ORG, 'names': [{'lang': 'en', 'name': 'Organisation', 'default': True}],
             'allocate': ['239.192.0.0/24']}, SITE, retry_after_above=10, retry_after='1s')
        self.it = self.client(self.server)

    def lease(self, *extra):
        message = wire.request(ORG['first'], *extra)
        answer = self.assert_ack(self.ask(message))
        return message.get(wire.LEASE_ID), answer.addresses

    def ask(self, message):
        """Once: what the server has counted is compared."""
        return self.it.ask(message, again=PATIENCE_SEC)

    def tool(self, *arguments):
        """`madcap admin`, where it has been built."""
        if not paths.MADCAP.exists():
            self.skipTest('there is no madcap tool yet')
        return subprocess.run([str(paths.MADCAP), 'admin', '-c', str(self.conf), *arguments],
                              capture_output=True, text=True, check=False,
                              timeout=madcapd.PATIENCE_SEC)

    def test_scopes(self):
        self.lease(wire.n_addresses(3, 3))
        first, second = self.admin('scopes')
        self.assertEqual((first['first'], first['last'], first['name'], first['ttl']),
                         ('239.192.0.0', '239.195.255.255', 'Organisation', 32))
        self.assertEqual((first['size'], first['leased'], first['leases'], first['free']),
                         (256, 3, 1, 253))
        self.assertEqual(second['size'], 65535)

    def test_leases(self):
        identifier, addresses = self.lease(wire.n_addresses(2, 2))
        lease, = self.admin('leases')
        self.assertEqual(lease['request_id'], identifier.hex())
        self.assertEqual(lease['addresses'], addresses)
        self.assertEqual(lease['state'], 'active')
        self.assertEqual(lease['client'], '127.0.0.1')
        self.assertRegex(lease['end'], r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$')

    def test_many_leases_in_pieces(self):
        held = {}
        self.write_config(max_addresses_per_client=0)
        self.server.send_signal(signal.SIGHUP)
        self.server.wait_log('reloaded')
        for _ in range(1500):
            identifier, addresses = self.lease()
            held[identifier.hex()] = addresses
        self.assertEqual({each['request_id']: each['addresses']
                          for each in self.admin('leases')}, held)

    def test_release_by_address_and_by_id(self):
        for by_address in (True, False):
            with self.subTest(by_address=by_address):
                identifier, addresses = self.lease(wire.n_addresses(2, 2))
                result = self.admin('release', addresses[1] if by_address else identifier.hex())
                self.assertEqual(result['request_id'], identifier.hex())
                self.assertEqual(self.admin('leases'), [])
                self.assert_nak(self.it.ask(wire.renew(identifier)), wire.UNKNOWN_LEASE)

    def test_release_of_a_future_lease_by_address(self):
        _, addresses = self.lease(wire.start_time(time.time() + 1000), wire.current_time())
        self.assertEqual(self.admin('leases')[0]['state'], 'future')
        self.admin('release', addresses[0])
        self.assertEqual(self.admin('leases'), [])

    def test_what_cannot_be_done(self):
        for verb, argument in (('release', '239.192.0.77'), ('release', 'ab' * 17),
                               ('release', 'nonsense'), ('release', None), ('nonsense', None),
                               ('approve', 'ab' * 17), ('approve', '239.192.0.0'),
                               ('deny', 'abc'), ('deny', 'ab' * 300)):
            with self.subTest(verb=verb, argument=argument):
                answer = self.admin_answer(verb, argument)
                self.assertFalse(answer['ok'])
                self.assertTrue(answer['error'])

    def test_odd_connections(self):
        path = str(self.state_dir / 'admin.sock')
        lines = (b'\n', b'{}\n', b'[1]\n', b'\xff\n', b'x' * 5000, b'{"verb": 5}\n', b'')
        for line in lines * 3:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(madcapd.PATIENCE_SEC)
                connection.connect(path)
                try:
                    connection.sendall(line)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
        self.assertEqual(len(self.admin('scopes')), 2)

    def test_socket_is_for_the_operator_only(self):
        self.assertEqual((self.state_dir / 'admin.sock').stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.state_dir.stat().st_mode & 0o777, 0o750)

    def test_metrics(self):
        identifier, _ = self.lease()
        self.ask(wire.renew(identifier))
        self.ask(wire.renew(wire.fresh_id()))
        metrics = self.admin('metrics')
        values = metrics['values']
        self.assertEqual(values['received_total']['REQUEST'], 1)
        self.assertEqual(values['received_total']['RENEW'], 2)
        self.assertEqual((values['acks_total'], values['naks_total']), (2, 1))
        self.assertEqual(values['scope_leases']['239.192.0.0'], 1)
        for line in metrics['text'].splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) .+|madcapd_\w+({\w+="[^"]*"})? \d+)$')

    def test_promtool(self):
        self.assertEqual(promtool.check(self.admin('metrics')['text']), '')

    # -- Retry After

    def ask_many(self, identifier):
        self.asked = int(time.time())
        return self.it.ask(wire.request(ORG['first'], wire.n_addresses(20, 20),
                                        wire.features([wire.RETRY_AFTER]),
                                        identifier=identifier))

    def assert_later(self, answer):
        self.assert_ack(answer)
        self.assertEqual(answer.ranges, [])
        self.assertIn(wire.RETRY_AFTER, answer.features[2])
        self.assertGreater(answer.number(wire.RETRY_TIME), self.asked)
        self.assertTrue(answer.has(wire.CURRENT_TIME))

    def test_retry_after_approved(self):
        identifier = wire.fresh_id()
        self.assert_later(self.ask_many(identifier))
        pending, = self.admin('pending')
        self.assertEqual((pending['request_id'], pending['count'], pending['state']),
                         (identifier.hex(), 20, 'pending'))
        self.assert_later(self.ask_many(identifier))
        self.assert_nak(self.it.ask(wire.renew(identifier)), wire.INVALID)
        self.assertEqual(self.admin('approve', identifier.hex())['state'], 'approved')
        answer = self.assert_ack(self.ask_many(identifier))
        self.assertEqual(len(answer.addresses), 20)
        self.assertEqual(self.admin('pending'), [])

    def test_retry_after_denied(self):
        identifier = wire.fresh_id()
        self.assert_later(self.ask_many(identifier))
        self.admin('deny', identifier.hex())
        self.assert_nak(self.ask_many(identifier), wire.NOT_COMPLETED)

    def test_retry_after_outlives_a_restart(self):
        identifier = wire.fresh_id()
        self.assert_later(self.ask_many(identifier))
        self.server.kill()
        self.server = self.start()
        self.it = self.client(self.server)
        self.admin('approve', identifier.hex())
        self.server.kill()
        self.server = self.start()
        self.it = self.client(self.server)
        self.assertEqual(len(self.assert_ack(self.ask_many(identifier)).addresses), 20)

    def test_retry_after_ended_by_a_release(self):
        identifier = wire.fresh_id()
        self.assert_later(self.ask_many(identifier))
        self.assert_ack(self.it.ask(wire.release(identifier)))
        self.assertEqual(self.admin('pending'), [])

    # -- the tool

    def test_tool(self):
        identifier, addresses = self.lease()
        self.assertIn('Organisation', self.tool('scopes').stdout)
        self.assertIn(identifier.hex(), self.tool('leases').stdout)
        self.assertIn('madcapd_acks_total 1', self.tool('metrics').stdout)
        self.assertEqual(self.tool('pending').stdout, 'nothing is pending\n')
        done = self.tool('leases', '--json')
        self.assertIn(addresses[0], done.stdout)
        done = self.tool('release', addresses[0])
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        done = self.tool('release', addresses[0])
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.startswith('madcap admin: '), done.stderr)
        self.assertEqual(self.tool('relase', addresses[0]).returncode, 2)
        self.assertEqual(self.tool('--help').returncode, 0)
        self.server.stop()
        done = self.tool('scopes')
        self.assertEqual(done.returncode, 1)
        self.assertIn('no madcapd answers', done.stderr)


if __name__ == '__main__':
    unittest.main()
