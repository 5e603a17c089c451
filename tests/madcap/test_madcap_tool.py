# SPDX-License-Identifier: MIT
"""madcap(1), and with it libmadcap, against servers that are played and against madcapd."""

import calendar
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from rasip_test import madcap_fake as fake
from rasip_test import madcap_wire as wire
from rasip_test import madcapd, paths
from rasip_test.madcap_fake import ack, grant, nak, scope_list

SCOPE = '239.192.0.0'
LIMIT_SEC = 60


def run(*words, wrap=(), limit=LIMIT_SEC):
    return subprocess.run([*wrap, str(paths.MADCAP), *map(str, words)], capture_output=True,
                          text=True, timeout=limit, check=False, stdin=subprocess.DEVNULL)


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp(prefix='madcap-')
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.directory = pathlib.Path(directory)
        self.file = self.directory / 'lease.json'

    def serve(self, answer=lambda message: None, **settings):
        server = fake.FakeServer(answer, **settings)
        self.addCleanup(server.close)
        return server

    def assert_done(self, done):
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return done.stdout

    def assert_fails(self, done, words, status=1):
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, '')
        self.assertEqual(done.stderr.count('\n'), 1 if status == 1 else 2)

    def request(self, server, *words):
        """The lease that `request --json` prints."""
        return json.loads(self.assert_done(run('request', '--scope', SCOPE, '--server',
                                               getattr(server, 'name', server), '--json',
                                               *words)))

    def write_lease(self, server, /, **changes):
        lease = {'request_id': '00' + '11' * 16, 'server': server, 'scope': SCOPE,
                 'start': '2026-11-20T09:00:00Z', 'end': '2026-11-20T10:00:00Z',
                 'addresses': ['239.192.0.7']}
        lease.update(changes)
        self.file.write_text(json.dumps({key: value for key, value in lease.items()
                                         if value is not ...}))
        return lease


class CommandLine(Case):
    def test_help_explains_every_verb(self):
        for verb in ('scopes', 'request', 'renew', 'release', 'help', 'admin'):
            with self.subTest(verb):
                self.assertIn('usage: madcap', self.assert_done(run(verb, '--help')))
                self.assertIn(verb, self.assert_done(run('--help')))
        self.assertRegex(self.assert_done(run('--version')), r'^madcap \d')

    def test_wrong_usage_is_2_and_says_what_was_meant(self):
        for words, said in (
                ((), 'a verb is missing'),
                (('reqest',), "did you mean 'request'?"),
                (('request',), '--scope is missing'),
                (('request', '--scop', SCOPE), "did you mean '--scope'?"),
                (('request', '--scope'), '--scope needs a value'),
                (('request', '--scope', '10.0.0.0'), "'10.0.0.0' is no scope"),
                (('request', '--scope', SCOPE, '--count', '0'), "'0' is no number"),
                (('request', '--scope', SCOPE, '--count', '1', '--min', '2'), 'least number'),
                (('request', '--scope', SCOPE, '--lease', '1 hour'), 'is no duration'),
                (('request', '--scope', SCOPE, '--lease', '0s'), 'has to last'),
                (('request', '--scope', SCOPE, '--start', 'noon'), 'is no time'),
                (('request', '--scope', SCOPE, '--server', '239.0.0.1'), 'is no server'),
                (('request', '--scope', SCOPE, '--address', 'x'), 'no multicast address'),
                (('request', '--scope', SCOPE, '--scope', SCOPE), 'given twice'),
                (('request', '--scope', SCOPE, '--json=1'), 'takes no value'),
                (('renew',), 'FILE is missing'),
                (('renew', 'a', 'b'), 'one word too many'),
                (('release',), 'either FILE or --request-id'),
                (('release', '--request-id', '00'), 'needs one --server'),
                (('release', '--request-id', 'zz', '--server', '127.0.0.1'), 'hexadecimal'),
                (('scopes', '--timeout', '0s'), 'timeout'),
                (('scopes', '--count', '1'), 'unknown option'),
                (('help', 'scops'), "did you mean 'scopes'?")):
            with self.subTest(words=words):
                self.assert_fails(run(*words), said, 2)

    def test_admin_goes_to_the_operators_side(self):
        self.assertEqual(run('admin', '-c', '/nonexistent', 'leases').returncode, 1)
        self.assertEqual(run('admin', 'nonsense').returncode, 2)

    def test_output_that_cannot_be_written(self):
        with open('/dev/full', 'w', encoding='ascii') as full:
            done = subprocess.run([str(paths.MADCAP), '--help'], stdout=full, check=False,
                                  stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)


class Completion(unittest.TestCase):
    """What bash offers after these words; of what the last one begins with, if it is not empty."""

    def complete(self, *words, program=paths.MADCAP):
        script = (f'source {paths.TOP}/conf/madcap.bash-completion; COMP_WORDS=("$@"); '
                  f'COMP_CWORD=$(($# - 1)); _{program.name}; printf "%s\\n" "${{COMPREPLY[@]}}"')
        done = subprocess.run(['bash', '-c', script, 'bash', str(program), *words], text=True,
                              capture_output=True, timeout=LIMIT_SEC, check=True)
        self.assertEqual(done.stderr, '')
        return done.stdout.split()

    def test_verbs(self):
        verbs = ['scopes', 'request', 'renew', 'release', 'admin', 'help']
        self.assertEqual(self.complete(''), verbs)
        self.assertEqual(self.complete('help', ''), verbs)
        self.assertEqual(self.complete('re'), ['request', 'renew', 'release'])
        self.assertEqual(self.complete('admin', '-c', 'leases', ''), [
            'scopes', 'leases', 'release', 'pending', 'approve', 'deny', 'metrics'])
        self.assertEqual(self.complete('admin', 'metrics', ''), [])

    def test_options_are_those_of_the_help(self):
        for verb in ('scopes', 'request', 'renew', 'release'):
            known = re.findall(r'(?m)^  (?:-h, )?(--[a-z0-9-]+)', run(verb, '--help').stdout)
            self.assertEqual(self.complete(verb, '-'), known, verb)
        self.assertEqual(self.complete('admin', '-'), ['-c', '--json', '--help'])
        self.assertEqual(self.complete('admin', 'leases', '--j'), ['--json'])
        self.assertEqual(self.complete('-', program=paths.MADCAPD),
                         ['-c', '--check', '--init-book', '--verbose', '--help', '--version'])

    def test_values(self):
        self.assertIn('lo', self.complete('request', '--interface', ''))
        self.assertEqual(self.complete('request', '--lease', ''), [])
        self.assertEqual(self.complete('--server', 'renew', 'rel'), ['release'])
        for words in (('renew', ''), ('request', '--save', ''), ('admin', '-c', '')):
            self.assertEqual(self.complete(*words[:-1], f'{paths.TOP}/Make'),
                             [f'{paths.TOP}/Makefile'])


class Scopes(Case):
    LIST = scope_list((SCOPE, '239.195.255.255', 32, [(0x80, 'en', 'Firm'), (0, 'de', 'Firma')]),
                      ('239.255.0.0', '239.255.255.255', 16, []))

    def test_mc_5_list(self):
        server = self.serve(lambda message: ack(message, self.LIST))
        scopes = json.loads(self.assert_done(run('scopes', '--server', server.name, '--json')))
        self.assertEqual([scope['scope'] for scope in scopes], [SCOPE, '239.255.0.0'])
        self.assertEqual(scopes[0], {
            'scope': SCOPE, 'last': '239.195.255.255', 'ttl': 32, 'name': 'Firm',
            'names': [{'lang': 'en', 'name': 'Firm'}, {'lang': 'de', 'name': 'Firma'}],
            'server': server.name, 'interface': 'lo'})
        self.assertIsNone(scopes[1]['name'])
        self.assertIn('Firm', self.assert_done(run('scopes', '--server', server.name)))
        self.assertEqual(server.kinds(), ['GETINFO'] * 2)
        self.assertEqual(len(server.seen[0].get(wire.LEASE_ID)), 17)

    def test_rfc_3_9_language(self):
        server = self.serve(lambda message: ack(message, self.LIST))
        self.assert_done(run('scopes', '--server', server.name, '--lang', 'pt-BR'))
        self.assertEqual(server.seen[0].get(wire.LANGUAGE), b'pt-BR')

    def test_t22_no_scopes(self):
        server = self.serve(lambda message: ack(message, scope_list()))
        self.assert_fails(run('scopes', '--server', server.name), 'no scopes')
        server.answer = ack
        self.assert_fails(run('scopes', '--server', server.name), 'no scopes')

    def test_ipv6(self):
        server = self.serve(lambda message: ack(
            message, scope_list(('ff15::', 'ff15:ffff::', 32, [(0x80, 'en', 'Site')])),
            server='::1'), address='::1')
        scopes = json.loads(self.assert_done(run('scopes', '--server', server.name, '--ipv6',
                                                 '--json')))
        self.assertEqual((scopes[0]['scope'], scopes[0]['server']), ('ff15::', server.name))
        self.assertEqual(server.seen[0].family, 2)

    def test_names_cannot_spoil_the_terminal(self):
        server = self.serve(lambda message: ack(message, scope_list(
            (SCOPE, '239.195.255.255', 32, [(0x80, 'en', b'\x1b[2J\n\xff')]))))
        self.assertIn(r'\x1b[2J\x0a\xff', self.assert_done(run('scopes', '--server',
                                                                server.name)))
        scopes = json.loads(self.assert_done(run('scopes', '--server', server.name, '--json')))
        self.assertEqual(scopes[0]['name'], r'\x1b[2J\x0a\xff')
        # The second set of controls, and marks that turn the direction of what follows.
        server.answer = lambda message: ack(message, scope_list(
            (SCOPE, '239.195.255.255', 32, [(0x80, 'en', '\x9b2J\u202e\u2066J\u00f6rg 5\u2030')])))
        for words in ((), ('--json',)):
            shown = self.assert_done(run('scopes', '--server', server.name, *words))
            self.assertNotRegex(shown, '[\x80-\x9f\u202e\u2066]')
            self.assertIn('J\u00f6rg 5\u2030', shown)


class Request(Case):
    def test_mc_7_what_is_wished_and_what_is_granted(self):
        server = self.serve(lambda message: grant(
            message, ('239.192.0.8', 2), seconds=100,
            extra=[wire.start_time(1900000000), wire.current_time()]))
        lease = self.request(server, '--count', '3', '--min', '2', '--lease', '10m', '--start',
                             '@1899999999', '--min-lease', '60s', '--save', self.file)
        message, = server.seen
        self.assertEqual(message.number(wire.LEASE_TIME), 600)
        self.assertEqual(message.get(wire.N_ADDRESSES), wire.u16(2) + wire.u16(3))
        self.assertEqual(message.number(wire.START_TIME), 1899999999)
        self.assertAlmostEqual(message.number(wire.CURRENT_TIME), time.time(), delta=60)
        self.assertEqual(message.number(wire.MIN_LEASE_TIME), 60)
        self.assertEqual(message.address(wire.SCOPE), SCOPE)
        self.assertEqual(message.features, ([wire.RETRY_AFTER], [], []))  # RFC 2730, 2.13.2
        self.assertEqual(lease, {
            'request_id': message.get(wire.LEASE_ID).hex(), 'server': server.name,
            'scope': SCOPE, 'start': '2030-03-17T17:46:40Z', 'end': '2030-03-17T17:48:20Z',
            'addresses': ['239.192.0.8', '239.192.0.9']})
        self.assertEqual(json.loads(self.file.read_text()), lease)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_cl_2_cl_3_ids_are_fresh_and_have_17_octets(self):
        server = self.serve(grant)
        ids = {self.request(server)['request_id'] for _ in range(5)}
        self.assertEqual(len(ids), 5)
        self.assertTrue(all(len(each) == 34 and each.startswith('00') for each in ids))
        self.assertEqual(len({message.xid for message in server.seen}), 5)

    def test_rfc_2_1_4_the_first_xid_is_random(self):
        server = self.serve(grant)
        for _ in range(3):
            self.request(server)
        self.assertEqual(len({message.xid for message in server.seen}), 3)

    def test_cl_6_defaults_are_left_out(self):
        server = self.serve(grant)
        self.request(server, '--wait', '0s')
        self.assertEqual({code for code, _ in server.seen[0].options},
                         {wire.LEASE_ID, wire.SCOPE})

    def test_rfc_3_11_addresses(self):
        server = self.serve(lambda message: grant(message, ('239.192.0.9', 1)))
        self.request(server, '--address', '239.192.0.9', '--address', '239.192.0.8',
                     '--address', '239.192.0.11')
        self.assertEqual([(str(first), count) for first, count in server.seen[0].ranges],
                         [('239.192.0.8', 2), ('239.192.0.11', 1)])

    def test_printed_for_people(self):
        server = self.serve(grant)
        lines = self.assert_done(run('request', '--scope', SCOPE, '--server',
                                     server.name)).splitlines()
        self.assertEqual(lines[0], '239.192.0.7')
        self.assertIn(f'server {server.name}', lines)

    def test_t18_silent_server(self):
        for _ in range(5):  # a machine that stands still is late, but not always
            server = self.serve()
            begin = time.monotonic()
            self.assert_fails(run('request', '--scope', SCOPE, '--server', server.name,
                                  '--timeout', '2s', '--save', self.file),
                              f'no answer from {server.name}')
            took = time.monotonic() - begin
            self.assertGreater(took, 1.9)
            if took < 3:
                break
        self.assertLess(took, 3)
        self.assertFalse(self.file.exists())
        # What may have been granted without our hearing of it is given back.
        madcapd.wait_for(lambda: server.kinds() == ['REQUEST'] * 4 + ['RELEASE'], 'a release')
        self.assertEqual(len({message.encode() for message in server.seen[:4]}), 1)

    def test_t18_next_server_when_one_is_silent_or_refuses(self):
        silent = self.serve()
        refusing = self.serve(lambda message: nak(message, wire.NOT_COMPLETED))
        good = self.serve(grant)
        lease = self.request(silent, '--server', refusing.name, '--server', good.name,
                             '--timeout', '12s')
        self.assertEqual(lease['server'], good.name)
        self.assertEqual(good.steps(), ['REQUEST'])
        self.assertEqual(len({server.seen[0].get(wire.LEASE_ID)
                              for server in (silent, refusing, good)}), 3)
        self.assertEqual(len({server.seen[0].xid for server in (silent, refusing, good)}), 3)
        madcapd.wait_for(lambda: silent.kinds()[-1] == 'RELEASE', 'a release')
        self.assertEqual(silent.seen[-1].get(wire.LEASE_ID), silent.seen[0].get(wire.LEASE_ID))

    def test_refusals_by_name(self):
        server = self.serve()
        for code, extra, said in (
                (wire.NOT_COMPLETED, wire.u16(wire.SCOPE),
                 'Valid Request Could Not Be Completed: Multicast Scope'),
                (wire.INVALID, b'\xff\xff', 'Invalid Request'),
                (wire.CLOCK_SKEW, wire.u32(1900000000),
                 "Excessive Clock Skew: the server's time is 2030-03-17T17:46:40Z"),
                (wire.UNKNOWN_LEASE, b'', 'Lease Identifier Not Recognized'),
                (wire.FEATURE_MISSING, wire.u16(0), 'Required Feature Not Supported'),
                (1500, b'', 'experimental error 1500'), (77, b'', 'unknown error 77')):
            with self.subTest(said):
                server.answer = lambda message, c=code, e=extra: nak(message, c, e)
                self.assert_fails(run('request', '--scope', SCOPE, '--server', server.name),
                                  f'{server.name} refuses: {said}')

    def test_rfc_2_5_garbage_before_the_answer(self):
        def answer(message):
            wrong = grant(message)
            wrong.xid ^= 1
            return [b'', b'\0', os.urandom(40), wrong, grant(message).encode()[:-5],
                    grant(message, ('10.0.0.1', 1)), grant(message, ('239.192.0.8', 1))]

        self.assertEqual(self.request(self.serve(answer))['addresses'], ['239.192.0.8'])

    def test_rfc_2_13_2_come_back_later(self):
        def answer(message):
            if len(server.seen) > 1:
                return grant(message)
            now = int(time.time())
            return ack(message, wire.lease_time(60), wire.scope(SCOPE), wire.ranges(),
                       (wire.RETRY_TIME, wire.u32(now + 2)), wire.current_time(now),
                       wire.features([1], [], [1]))

        server = self.serve(answer)
        self.assertEqual(self.request(server)['addresses'], ['239.192.0.7'])
        first, second = server.seen
        self.assertEqual(first.options, second.options)
        self.assertNotEqual(first.xid, second.xid)

    def test_rfc_2_13_2_patience_has_an_end_and_the_request_is_withdrawn(self):
        def answer(message):
            if message.kind == wire.RELEASE:
                return ack(message)
            now = int(time.time())
            return ack(message, wire.lease_time(60), wire.scope(SCOPE), wire.ranges(),
                       (wire.RETRY_TIME, wire.u32(now + 900)), wire.current_time(now),
                       wire.features([1], [], [1]))

        server = self.serve(answer)
        self.assert_fails(run('request', '--scope', SCOPE, '--server', server.name, '--wait',
                              '1s'), 'has not decided in time')
        self.assertEqual(server.steps(), ['REQUEST', 'REQUEST', 'RELEASE'])

    def test_ipv6_lease(self):
        server = self.serve(lambda message: grant(message, ('ff15::9', 2), scope='ff15::',
                                                  server='::1'), address='::1')
        lease = json.loads(self.assert_done(run(
            'request', '--scope', 'ff15::', '--count', 2, '--server', server.name, '--json')))
        self.assertEqual(lease['addresses'], ['ff15::9', 'ff15::a'])
        self.assertEqual(lease['server'], server.name)

    def test_a_lease_that_cannot_be_kept_is_not_asked_for(self):
        server = self.serve(grant)
        self.assert_fails(run('request', '--scope', SCOPE, '--server', server.name, '--save',
                              '/nonexistent/lease'), 'cannot write')
        self.assertEqual(server.seen, [])

    def test_a_file_is_never_put_in_the_place_of_something_else(self):
        server = self.serve(grant)
        pipe, link = self.directory / 'pipe', self.directory / 'link'
        os.mkfifo(pipe)
        link.symlink_to(pipe)
        self.file.mkdir()
        for path, why in ((pipe, 'not a regular file'), (link, 'not a regular file'),
                          (self.file, 'Is a directory'), ('', 'No such file or directory')):
            with self.subTest(path):
                self.assert_fails(run('request', '--scope', SCOPE, '--server', server.name,
                                      '--save', path), f'{path}: cannot write: {why}')
        self.assertEqual(server.seen, [])
        self.assertTrue(pipe.is_fifo() and link.is_symlink())

    def test_a_lease_that_could_not_be_kept_is_given_back(self):
        def answer(message):
            if message.kind == wire.RELEASE:
                return ack(message)
            self.file.mkdir()
            return grant(message)

        server = self.serve(answer)
        self.assert_fails(run('request', '--scope', SCOPE, '--server', server.name, '--save',
                              self.file), 'the lease is given back')
        self.assertEqual(server.kinds(), ['REQUEST', 'RELEASE'])
        self.assertEqual(os.listdir(self.directory), ['lease.json'])


class Multicast(Case):
    """Discovery, by servers that are played, on the loopback interface."""

    GROUP = '239.255.255.254'

    def join(self, answer):
        server = self.serve(answer, address='0.0.0.0', group=self.GROUP, interface='127.0.0.1')
        return server, ('--group', f'{self.GROUP}:{server.port}', '--interface', 'lo',
                        '--timeout', '8s')

    def offer(self, message):
        first = wire.ranges(('239.192.0.7', 1))
        if message.kind == wire.DISCOVER:
            return [fake.reply(message, wire.OFFER, wire.lease_time(lease), wire.scope(SCOPE),
                               first, server=server)
                    for server, lease in (('192.0.2.1', 600), ('192.0.2.2', 3600),
                                          ('192.0.2.3', 60))]
        if message.server != '192.0.2.2':
            return None
        return grant(message, server='192.0.2.2')

    def test_rfc_2_2_4_discover_offer_request_ack(self):
        server, group = self.join(self.offer)
        lease = json.loads(self.assert_done(run('request', '--scope', SCOPE, '--json', *group)))
        self.assertEqual(lease['addresses'], ['239.192.0.7'])
        self.assertEqual(server.steps(), ['DISCOVER', 'REQUEST'])
        discover, request = server.seen[0], server.seen[-1]
        self.assertEqual(discover.get(wire.LEASE_ID), request.get(wire.LEASE_ID))
        self.assertEqual(request.server, '192.0.2.2')
        self.assertEqual(set(server.ttls), {16})  # 2.10

    def test_mc_5_scope_and_server_select(self):
        scopes = scope_list((SCOPE, '239.195.255.255', 32, []))
        _, group = self.join(lambda message: [ack(message, scopes, server=server)
                                              for server in ('192.0.2.1', '192.0.2.2')])
        found = json.loads(self.assert_done(run('scopes', '--json', *group)))
        self.assertEqual([scope['scope'] for scope in found], [SCOPE, SCOPE])

    def forgetful(self, extra=lambda message: ()):
        """192.0.2.1 offers most, and its ACKs are lost; 192.0.2.2 does as it says."""
        def answer(message):
            if message.kind == wire.DISCOVER:
                return [fake.reply(message, wire.OFFER, wire.lease_time(lease), wire.scope(SCOPE),
                                   server=server)
                        for server, lease in (('192.0.2.1', 3600), ('192.0.2.2', 600))]
            if message.kind == wire.REQUEST and message.server == '192.0.2.2':
                return grant(message, server='192.0.2.2', extra=extra(message))
            return None
        return answer

    def assert_released(self, server, times=1):
        madcapd.wait_for(lambda: server.kinds().count('RELEASE') == times, 'the releases')
        self.assertEqual(len({message.get(wire.LEASE_ID) for message in server.seen}), 1)

    def test_a_lease_whose_ack_was_lost_is_released(self):
        server, group = self.join(self.forgetful())
        lease = json.loads(self.assert_done(run('request', '--scope', SCOPE, '--json', *group)))
        self.assertEqual(lease['addresses'], ['239.192.0.7'])
        self.assertIn('192.0.2.1', [message.server for message in server.seen])
        self.assert_released(server)

    def test_a_lease_whose_ack_was_lost_is_released_when_nobody_else_grants_one(self):
        def answer(message):
            return self.offer(message) if message.kind == wire.DISCOVER else None

        server, group = self.join(answer)
        self.assert_fails(run('request', '--scope', SCOPE, *group), 'no server has answered')
        self.assert_released(server, 3)  # each of the three had offered one

    def test_rfc_2_13_1_a_lease_that_servers_share_is_not_released_at_the_silent_one(self):
        """It would be the one that the other has told of."""
        server, group = self.join(self.forgetful(
            lambda message: (wire.features([wire.MOBILITY], [], [wire.MOBILITY]),)))
        self.assert_done(run('request', '--scope', SCOPE, *group))
        self.assertEqual(server.seen[0].features[1:], ([wire.MOBILITY], []))
        with wire.Client('127.0.0.1', server.port) as client:
            client.send(wire.renew(wire.fresh_id()))  # behind whatever has been sent
        madcapd.wait_for(lambda: 'RENEW' in server.kinds(), 'the last datagram')
        self.assertNotIn('RELEASE', server.kinds())

    def test_rfc_2_11_never_the_global_scopes_group(self):
        self.assert_fails(run('scopes', '--group', '238.255.255.254'), 'global scope', 2)


class Kept(Case):
    """Leases in files: T19."""

    def setUp(self):
        super().setUp()
        self.server = self.serve(self.answer)

    @staticmethod
    def answer(message):
        return ack(message) if message.kind == wire.RELEASE else grant(message, seconds=7200)

    def test_t19_renewed_and_released_with_the_same_id(self):
        lease = self.request(self.server, '--save', self.file)
        renewed = json.loads(self.assert_done(run('renew', self.file, '--lease', '2h', '--json')))
        self.assertEqual(json.loads(self.file.read_text()), renewed)
        self.assertEqual(renewed['request_id'], lease['request_id'])
        self.assertEqual(self.assert_done(run('release', self.file)), '')
        self.assertEqual(self.server.kinds(), ['REQUEST', 'RENEW', 'RELEASE'])
        self.assertEqual({message.get(wire.LEASE_ID).hex() for message in self.server.seen},
                         {lease['request_id']})
        self.assertEqual(self.server.seen[1].number(wire.LEASE_TIME), 7200)
        self.assertEqual({code for code, _ in self.server.seen[2].options}, {wire.LEASE_ID})

    def test_a_file_from_elsewhere(self):
        for request_id in ('01', 'AbCdEf', 'ff' * 255):
            with self.subTest(octets=len(request_id) // 2):
                self.write_lease(self.server.name, request_id=request_id, extra='is ignored')
                self.assert_done(run('release', self.file))
                self.assertEqual(self.server.seen[-1].get(wire.LEASE_ID),
                                 bytes.fromhex(request_id))

    def test_renewal_at_another_start(self):
        self.write_lease(self.server.name)
        self.assert_done(run('renew', self.file, '--start', '2030-01-01T00:00:00Z', '--lease',
                             '60s', '--latest-start', '@1893456001'))
        self.assertEqual(self.server.seen[0].number(wire.START_TIME), 1893456000)
        self.assertEqual(self.server.seen[0].number(wire.MAX_START_TIME), 1893456001)

    def test_missing_or_damaged_files_send_nothing(self):
        good = self.write_lease(self.server.name)
        whole = self.file.read_bytes()
        for name, content in (
                ('cut', whole[:-9]), ('empty', b''), ('zeros', bytes(len(whole))),
                ('binary', os.urandom(500)), ('twice', whole + whole),
                ('no id', json.dumps({**good, 'request_id': ''}).encode()),
                ('odd id', json.dumps({**good, 'request_id': '001'}).encode()),
                ('no address', json.dumps({**good, 'addresses': []}).encode()),
                ('unicast', json.dumps({**good, 'addresses': ['10.0.0.1']}).encode()),
                ('server', json.dumps({**good, 'server': 'host.example'}).encode()),
                ('times', json.dumps({**good, 'end': good['start']}).encode()),
                ('deep', b'[' * 100000)):
            self.file.write_bytes(content)
            for verb in ('renew', 'release'):
                with self.subTest(name, verb=verb):
                    self.assert_fails(run(verb, self.file), 'not a lease')
                    self.assertEqual(self.file.read_bytes(), content)
        for member in good:
            with self.subTest(missing=member):
                self.write_lease(self.server.name, **{member: ...})
                self.assert_fails(run('release', self.file), member)
        self.assert_fails(run('renew', self.directory / 'none'), 'No such file')
        self.assert_fails(run('release', self.directory), 'Is a directory')
        self.assertEqual(self.server.seen, [])

    def test_refused_renewal_leaves_the_file(self):
        self.write_lease(self.server.name)
        before = self.file.read_bytes()
        self.server.answer = lambda message: nak(message, wire.UNKNOWN_LEASE, b'')
        for verb in ('renew', 'release'):
            self.assert_fails(run(verb, self.file), 'Lease Identifier Not Recognized')
        self.assertEqual(self.file.read_bytes(), before)
        self.assertEqual(self.server.kinds(), ['RENEW', 'RELEASE'])

    def test_only_the_granting_server_is_asked(self):
        other = self.serve(self.answer)
        self.write_lease('127.0.0.1:9')
        for verb in ('renew', 'release'):  # the lease is not mobile
            self.assert_fails(run(verb, self.file, '--server', other.name, '--timeout', '1s'),
                              'no answer from')
        self.assertEqual(other.seen, [])

    def test_rfc_2_2_7_and_2_2_8_other_servers_are_required_to_share_the_lease(self):
        alone = self.serve(lambda message: nak(message, wire.FEATURE_MISSING, wire.u16(0)))
        other = self.serve(self.answer)
        for verb, server in (
                ('renew', self.serve(lambda message: nak(message, wire.NOT_COMPLETED))),
                ('release', self.serve())):
            self.write_lease(server.name, mobile=True)
            self.assert_done(run(verb, self.file, '--server', alone.name, '--server', other.name,
                                 '--timeout', '6s'))
            self.assertEqual((server.seen[0].features or ((), (), []))[2], [])
            for each in (alone, other):
                self.assertEqual(each.seen[-1].features[1:], ([], [wire.MOBILITY]))
                self.assertIn(wire.MOBILITY, each.seen[-1].features[0])
        self.assertEqual(other.steps(), ['RENEW', 'RELEASE'])

    def test_release_by_id(self):
        request_id = '00' + '42' * 16
        self.assert_done(run('release', '--request-id', request_id, '--server',
                             self.server.name))
        self.assertEqual(self.server.seen[0].get(wire.LEASE_ID).hex(), request_id)

    def test_mc_9_what_a_renewal_grants_is_believed(self):
        self.write_lease(self.server.name)
        self.server.answer = lambda message: grant(message, ('239.192.0.9', 1), seconds=5)
        renewed = json.loads(self.assert_done(run('renew', self.file, '--json')))
        self.assertEqual(renewed['addresses'], ['239.192.0.9'])


class Local(Case):
    """MC-1 to MC-3."""

    def traced(self, *words):
        """Runs madcap, and gives what it did with the network as well, if that can be seen."""
        trace = self.directory / 'trace'
        strace = ('env', 'ASAN_OPTIONS=detect_leaks=0', 'strace', '-f', '-e', 'trace=network',
                  '-o', str(trace))
        if shutil.which('strace') is None or subprocess.run(
                [*strace, 'true'], capture_output=True, check=False).returncode != 0:
            return run(*words), ''
        done = run(*words, wrap=strace)
        return done, trace.read_text(errors='replace')

    def test_t18_no_packet_leaves(self):
        server = self.serve(grant)
        done, trace = self.traced('request', '--local', '--scope', SCOPE, '--count', 3,
                                  '--server', server.name, '--json', '--save', self.file)
        lease = json.loads(self.assert_done(done))
        self.assertNotIn('socket(', trace)
        self.assertEqual(server.seen, [])
        self.assertIsNone(lease['server'])
        self.assertEqual(len(set(lease['addresses'])), 3)
        for words in (('renew', self.file, '--local'), ('release', self.file, '--local'),
                      ('scopes', '--local', '--server', server.name)):
            done, trace = self.traced(*words)
            self.assert_done(done)
            self.assertNotIn('socket(', trace)
        self.assertEqual(server.seen, [])

    def test_a_lease_ends_with_the_protocols_time(self):
        """What is kept of it can be read again."""
        self.assert_done(run('request', '--local', '--scope', SCOPE, '--lease', '36500d',
                             '--save', self.file))
        for _ in range(2):
            self.assertEqual(json.loads(self.file.read_text())['end'], '2106-02-07T06:28:15Z')
            self.assert_done(run('renew', self.file, '--lease', '36500d', '--local'))
        self.assert_done(run('release', self.file, '--local'))
        self.assertEqual(run('request', '--local', '--scope', SCOPE, '--start',
                             '@4294967295').returncode, 2)

    def test_works_without_any_network(self):
        if os.geteuid() != 0:
            self.skipTest('a network namespace needs root')
        done = run('request', '--local', '--scope', 'ff15::', '--json', wrap=('unshare', '-n'))
        self.assertTrue(json.loads(self.assert_done(done))['addresses'][0].startswith('ff15::'))

    def test_mc_2_is_no_fallback_and_takes_no_servers_lease(self):
        server = self.serve(grant)
        self.write_lease(server.name)
        for verb in ('renew', 'release'):
            self.assertEqual(run(verb, self.file, '--local').returncode, 2)
        self.assertEqual(server.seen, [])
        self.assertEqual(run('request', '--scope', '239.100.0.0', '--local').returncode, 2)


class Real(madcapd.Case):
    """Against madcapd."""

    def setUp(self):
        super().setUp()
        self.file = self.directory / 'lease.json'

    assert_done = Case.assert_done
    assert_fails = Case.assert_fails
    request = Case.request

    def test_whole_life_over_a_restart_of_the_server(self):
        server = self.start(dict(madcapd.ORG, names=[{'lang': 'en', 'name': 'Here',
                                                      'default': True}]))
        name = f'127.0.0.1:{server.port}'
        self.assertIn('Here', self.assert_done(run('scopes', '--server', name)))
        lease = self.request(name, '--count', 3, '--lease', '10m', '--save', self.file)
        self.assertEqual(len(lease['addresses']), 3)
        port = server.port
        server.kill()
        self.start(port=port)
        renewed = json.loads(self.assert_done(run('renew', self.file, '--lease', '20m',
                                                  '--json')))
        self.assertEqual(renewed['addresses'], lease['addresses'])
        self.assert_done(run('release', self.file))
        self.assert_fails(run('release', self.file), 'Lease Identifier Not Recognized')

    def test_mc_8_and_mc_10_several_addresses_in_one_lease_which_ends_as_a_whole(self):
        server = self.start(dict(madcapd.ORG))
        lease = self.request(f'127.0.0.1:{server.port}', '--count', 5, '--save', self.file)
        self.assertEqual(len(set(lease['addresses'])), 5)
        renewed = json.loads(self.assert_done(run('renew', self.file, '--json')))
        self.assertEqual(renewed['addresses'], lease['addresses'])
        self.assertEqual([each['addresses'] for each in self.admin('leases')],
                         [lease['addresses']])
        self.assert_done(run('release', self.file))
        self.assertEqual(self.admin('leases'), [])

    def test_mc_3_the_same_steps_with_a_server_and_without(self):
        server = self.start(dict(madcapd.ORG))
        shapes = []
        for where in (('--server', f'127.0.0.1:{server.port}'), ('--local',)):
            local = [word for word in where if word == '--local']
            lease = json.loads(self.assert_done(run('request', '--scope', SCOPE, '--count', 2,
                                                    '--save', self.file, '--json', *where)))
            renewed = json.loads(self.assert_done(run('renew', self.file, '--json', *local)))
            self.assertEqual(renewed['addresses'], lease['addresses'])
            self.assertEqual(renewed['request_id'], lease['request_id'])
            self.assert_done(run('release', self.file, *local))
            shapes.append((set(lease) - {'ttl'}, set(renewed) - {'ttl'}, len(lease['addresses'])))
        self.assertEqual(*shapes)

    def test_t20_less_than_asked_is_honoured(self):
        server = self.start(dict(madcapd.ORG, allocate=['239.192.0.0-239.192.0.1'],
                                 max_lease='5m'))
        before = int(time.time())
        lease = self.request(f'127.0.0.1:{server.port}', '--count', 5, '--min', 1, '--lease',
                             '1d')
        self.assertEqual(lease['addresses'], ['239.192.0.0', '239.192.0.1'])
        self.assertIn(calendar.timegm(time.strptime(lease['start'], '%Y-%m-%dT%H:%M:%SZ')),
                      range(before - 1, int(time.time()) + 2))

    def test_the_operator_completes_identifiers(self):
        server = self.start(dict(madcapd.ORG), retry_after_above=2)
        name = f'127.0.0.1:{server.port}'
        lease = self.request(name)
        waiting = subprocess.Popen([str(paths.MADCAP), 'request', '--scope', SCOPE, '--server',
                                    name, '--count', '3'], stdout=subprocess.DEVNULL)
        self.addCleanup(waiting.wait)
        self.addCleanup(waiting.kill)
        pending = madcapd.wait_for(lambda: self.admin('pending'), 'a request that waits')
        complete = Completion().complete
        config = ('-c', str(server.conf))
        self.assertEqual(complete('admin', *config, 'release', ''), [lease['request_id']])
        self.assertEqual(complete('admin', *config, 'approve', ''), [pending[0]['request_id']])

    def test_operator_decides(self):
        server = self.start(dict(madcapd.ORG), retry_after_above=2)
        name = f'127.0.0.1:{server.port}'
        self.assert_fails(run('request', '--scope', SCOPE, '--server', name, '--count', 3,
                              '--wait', '1s'), 'not decided')
        self.assertEqual(self.admin('leases'), [])

    def test_two_clients_over_a_bad_network(self):
        server = self.start()
        network = fake.BadNetwork(('127.0.0.1', server.port))
        self.addCleanup(network.close)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda number: self.storm(network.name, number), range(2)))
        held = [address for each in results for lease in each for address in lease['addresses']]
        self.assertEqual(len(held), len(set(held)), 'an address was given twice')
        self.assertGreater(network.lost, 10)
        self.assertGreater(network.doubled, 3)
        # Nothing but what is held is still leased: releases worked, and nothing leaked.
        leased = [lease['addresses'] for lease in self.admin('leases')]
        self.assertEqual(len(leased), sum(len(each) for each in results))

    def storm(self, server, number):
        """Leases, renews and releases; gives the leases that it still holds."""
        settings = ('--timeout', '30s', '--tries', '60')
        held = []
        for i in range(10):
            path = self.directory / f'{number}-{i}.json'
            lease = self.request(server, '--save', path, *settings, '--count', '2')
            renewed = json.loads(self.assert_done(run('renew', path, '--json', *settings)))
            self.assertEqual(renewed['addresses'], lease['addresses'])
            if i % 2:
                self.assert_done(run('release', path, *settings))
            else:
                held.append(lease)
        return held


class OddServer(madcapd.Case):
    """`madcap admin` with something at the socket that is no madcapd, or is broken."""

    VERBS = (('scopes',), ('leases',), ('pending',), ('metrics',), ('release', '239.192.0.7'),
             ('approve', '00ff'), ('deny', '00ff'))
    NONSENSE = (None, True, 5, 'x', [], {}, [5], [None], ['x'], [[]], [{}],
                {'leases': 5}, {'values': 5}, {'text': 5},
                [{'addresses': 5, 'ranges': {}, 'state': 7, 'start': 'x', 'end': [], 'scope': 1}],
                [{'first': 5, 'last': None, 'ttl': 'x', 'free': {}, 'names': 3}],
                [{'request_id': 1, 'client': {}, 'addresses': [1, None, {}]}])

    def setUp(self):
        super().setUp()
        self.write_config()
        self.state_dir.mkdir(mode=0o750)
        self.answer = b''
        self.socket = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.socket.close)
        self.socket.bind(str(self.state_dir / 'admin.sock'))
        self.socket.listen(5)
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            with connection:
                if self.answer is not None:
                    connection.recv(65536)
                    connection.sendall(self.answer)

    def ask(self, *words):
        done = run('admin', '-c', self.conf, *words)
        self.assertIn(done.returncode, (0, 1), (words, self.answer, done.stderr))
        if done.returncode == 1:
            self.assertRegex(done.stderr, r'^madcap admin: .*\n$', (words, self.answer))
            self.assertEqual(done.stdout, '')
        return done

    def test_answers_that_cannot_be_read(self):
        self.thread.start()
        for self.answer in (None, b'', b'\n', b'x\n', b'{"ok":tr', b'[]\n', b'{}\n', b'"ok"\n',
                            b'{"ok":true}\n', b'{"ok":1,"result":1}\n', b'{"ok":false}\n',
                            b'{"ok":false,"error":5}\n', b'\xff\xfe\n', b'{"ok":true,"result":'):
            for verb in self.VERBS:
                with self.subTest(verb, answer=self.answer):
                    self.assertEqual(self.ask(*verb).returncode, 1)

    def test_results_that_make_no_sense(self):
        self.thread.start()
        for result in self.NONSENSE:
            self.answer = json.dumps({'ok': True, 'result': result}).encode() + b'\n'
            for verb in self.VERBS:
                for words in (verb, (*verb, '--json')):
                    with self.subTest(words, result=result):
                        self.ask(*words)

    def test_nobody_accepts(self):
        self.socket.close()
        self.assertIn('no madcapd answers at', self.ask('leases').stderr)
        (self.state_dir / 'admin.sock').unlink()
        self.assertIn('no madcapd answers at', self.ask('leases').stderr)
        self.state_dir.joinpath('admin.sock').mkdir()
        self.assertEqual(self.ask('leases').returncode, 1)

    def test_a_directory_with_a_long_name(self):
        self.write_config(state_dir=self.directory / ('x' * 100))
        self.assertIn('File name too long', self.ask('leases').stderr)

    def test_an_argument_that_is_no_text(self):
        self.thread.start()
        done = subprocess.run([str(paths.MADCAP), 'admin', '-c', str(self.conf), 'release', b'\xff'],
                              capture_output=True, timeout=LIMIT_SEC, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b'no UTF-8 text', done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, 'needs root')
    def test_as_somebody_who_may_not(self):
        os.chmod(self.directory, 0o755)
        os.chmod(self.conf, 0o644)
        done = run('admin', '-c', self.conf, 'leases',
                   wrap=('setpriv', '--reuid=65534', '--clear-groups'))
        self.assertEqual(done.returncode, 1)
        self.assertIn('Permission denied', done.stderr)


class Discovery(madcapd.Case):
    """Servers found by multicast, in network namespaces."""

    assert_done = Case.assert_done

    def setUp(self):
        super().setUp()
        self.network = madcapd.make_network(self, 'one', 'two', 'client')

    def start_in(self, place, allocate):
        self.conf = self.directory / f'{place}.conf'
        return self.start(dict(madcapd.ORG, allocate=[allocate]), wrap=self.network.wrap(place),
                          listen=['0.0.0.0'], interfaces=['eth0'], port=2535,
                          state_dir=self.directory / place)

    def run_client(self, *words):
        return run(*words, '--timeout', '16s', wrap=self.network.wrap('client'))

    def test_rfc_2_2_2_the_best_offer_wins_and_the_other_is_dropped(self):
        self.start_in('one', '239.192.0.0-239.192.0.1')
        self.start_in('two', '239.192.1.0-239.192.1.9')
        lease = json.loads(self.assert_done(self.run_client(
            'request', '--scope', SCOPE, '--count', 5, '--min', 1, '--json', '--save',
            self.directory / 'lease')))
        self.assertEqual(len(lease['addresses']), 5)
        self.assertEqual(lease['server'], '192.0.2.2:2535')
        self.assert_done(self.run_client('release', self.directory / 'lease'))

    def test_scopes_of_both(self):
        self.start_in('one', '239.192.0.0-239.192.0.1')
        self.start_in('two', '239.192.1.0-239.192.1.9')
        scopes = json.loads(self.assert_done(self.run_client(
            'scopes', '--json', '--interface', 'eth0')))
        self.assertEqual(sorted(scope['server'] for scope in scopes),
                         ['192.0.2.1:2535', '192.0.2.2:2535'])
        self.assertEqual({scope['interface'] for scope in scopes}, {'eth0'})

    def test_rfc_2_10_and_2_11_the_local_scopes_group_whatever_the_scope(self):
        for scope, group in ((SCOPE, '239.255.255.254'), ('224.0.1.0', '239.255.255.254'),
                             ('ff15::', '[ff03:ffff:ffff:ffff:ffff:ffff:ffff:fffe]')):
            done = run('request', '--scope', scope, '--timeout', '1s',
                       wrap=self.network.wrap('client'))
            self.assertEqual(done.returncode, 1)
            self.assertIn(f'no server has answered at group {group}', done.stderr)


if __name__ == '__main__':
    unittest.main()
