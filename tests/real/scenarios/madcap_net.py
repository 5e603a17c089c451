# SPDX-License-Identifier: MIT
"""madcapd and madcap on a network: multicast, several servers, and netem."""

import concurrent.futures
import json
import random
import re
import socket
import subprocess
import time

from madcap_world import ORG, Network, Server, impair, mend
from rasip_test import madcap_wire as wire
from scenario import scenario
from world import STAGE, check, equal, output_of

SITE = {'first': '239.254.0.0', 'last': '239.254.255.255'}
LOCAL_GROUP = '239.255.255.254'
ORG_GROUP = '239.195.255.254'

# A fifth of the datagrams is lost each way, a tenth comes twice, and a delay
# of 0 to 40 ms makes that many of them overtake each other.
NETEM = ('delay', '20ms', '20ms', 'loss', '20%', 'duplicate', '10%')
PATIENT = ('--timeout', '20s', '--tries', '16')
WORKERS, LIVES = 4, 5
UNKNOWN = 'Lease Identifier Not Recognized'


def madcap(network, place, *words):
    """A `madcap` on that host: its exit status, output and errors."""
    with network.enter(place):
        tool = subprocess.Popen(['madcap', *map(str, words)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = tool.communicate()
    return tool.returncode, output, errors


def told(network, place, *words):
    """What it prints as JSON, when it has to work."""
    status, output, errors = madcap(network, place, *words, '--json')
    equal((status, errors), (0, ''), f'{place}: madcap {words}')
    return json.loads(output)


# ---- multicast ------------------------------------------------------------


def multicast_client(network, place, address):
    """A socket on that host whose multicasts leave by its interface."""
    with network.enter(place):
        client = wire.Client('192.0.2.1')
    for option, value in ((socket.IP_MULTICAST_TTL, 16),
                          (socket.IP_MULTICAST_IF, socket.inet_aton(address))):
        client.socket.setsockopt(socket.IPPROTO_IP, option, value)
    return client


@scenario
def madcap_groups_on_an_interface(_):
    """Server groups are joined on `interfaces`, and each serves its scopes."""
    network = Network('server', 'client')
    Server(network.wrap('server'), [ORG, SITE], interfaces=['eth0'])
    joined = output_of('ip', '-n', network.space('server'), 'maddr', 'show',
                       'dev', 'eth0')
    for group in (LOCAL_GROUP, ORG_GROUP, '239.254.255.254'):
        check(re.search(rf'\binet\s+{re.escape(group)}\b', joined), joined)
    client = multicast_client(network, 'client', '192.0.2.2')
    # Local Scope's group encloses nothing that it is not told to; its own
    # scope's does. The first one is ignored (2.11): the answer to the second
    # would come behind its answer.
    ignored = wire.discover(SITE['first'])
    client.send(ignored, ORG_GROUP)
    asked = wire.discover(ORG['first'])
    client.send(asked, ORG_GROUP)
    answer = client.receive()
    equal((answer.kind, answer.xid), (wire.OFFER, asked.xid), 'first answer')
    equal(client.receive(0.2), None, 'answer to what the group is not for')
    answer = client.ask(ignored, to='239.254.255.254')
    equal(answer.kind, wire.OFFER, "answer at the scope's own group")
    equal(client.source[0], '192.0.2.1', 'source')


@scenario
def madcap_discovery(_):
    """madcap finds two servers by multicast and takes the better offer."""
    network = Network('one', 'two', 'client')
    servers = [Server(network.wrap(name), [dict(ORG, allocate=[allocate])],
                      name=name, interfaces=['eth0'])
               for name, allocate in (('one', '239.192.0.1-239.192.0.2'),
                                      ('two', '239.192.1.0/24'))]
    scopes = told(network, 'client', 'scopes', '--interface', 'eth0')
    equal(sorted((each['server'], each['interface']) for each in scopes),
          [('192.0.2.1:2535', 'eth0'), ('192.0.2.2:2535', 'eth0')], 'scopes')
    lease = told(network, 'client', 'request', '--scope', ORG['first'],
                 '--count', 9, '--min', 1, '--timeout', '20s', '--save',
                 STAGE / 'lease')
    equal((lease['server'], len(lease['addresses'])), ('192.0.2.2:2535', 9),
          'lease')
    equal([len(server.book()) for server in servers], [0, 1],
          'the other one holds nothing any more')
    equal(madcap(network, 'client', 'release', STAGE / 'lease'),
          (0, '', ''), 'release')
    equal(servers[1].book(), {}, 'leases')


@scenario
def madcap_answers_from_where_it_was_asked(_):
    """A host's second address: the answer's source and server identifier."""
    network = Network('server', 'client')
    network.ip('-n', network.space('server'), 'address', 'add',
               '192.0.2.50/24', 'dev', 'eth0')
    Server(network.wrap('server'))
    for address in ('192.0.2.50', '192.0.2.1'):
        with network.enter('client'):
            client = wire.Client(address)
        answer = client.ask(wire.request(ORG['first']))
        equal((answer.kind, client.source[0], answer.server),
              (wire.ACK, address, address), 'answer')


# ---- netem ----------------------------------------------------------------


class Book:
    """What the clients were told, and what follows from it."""

    def __init__(self):
        self.held = {}
        self.spans = []  # (address, from, to) of leases that were released
        self.operations = 0

    def took(self, lease):
        self.operations += 1
        self.held[lease['request_id']] = (lease['addresses'], time.monotonic())

    def gives_back(self, lease):
        addresses, since = self.held.pop(lease['request_id'])
        now = time.monotonic()
        self.spans += [(address, since, now) for address in addresses]

    def verify(self, server):
        """Nobody had what another one had, and madcapd knows the same."""
        equal({key: (lease['addresses'], lease['state'])
               for key, lease in server.book().items()},
              {key: (addresses, 'active')
               for key, (addresses, _) in self.held.items()}, "madcapd's book")
        spans = self.spans + [(address, since, float('inf'))
                              for addresses, since in self.held.values()
                              for address in addresses]
        spans.sort()
        again = 0
        for (one, _, until), (other, since, _) in zip(spans, spans[1:]):
            again += one == other
            check(one != other or until <= since, f'{one} was given twice')
        return again


class Storm:
    """Lives of leases on two hosts at once, in spite of netem and SIGKILL."""

    def __init__(self, network, book):
        self._network = network
        self._book = book
        self._killed = []  # when the server was
        self._files = STAGE / 'leases'
        self._files.mkdir()
        self._random = random.Random(1)

    def _released(self, place, path):
        """Whose ACK got lost when the server was killed may be told that there
        is no such lease, which is true."""
        began = time.monotonic()
        status, _, errors = madcap(self._network, place, 'release', path,
                                   *PATIENT)
        excused = UNKNOWN in errors and any(began < when
                                            for when in self._killed)
        check(status == 0 or excused, f'{place}: release: {errors}')

    def _life(self, place, path, found, last):
        where = () if found else ('--server', '192.0.2.1')
        lease = told(self._network, place, 'request', '--scope', ORG['first'],
                     '--count', self._random.randint(1, 3), '--min', 1,
                     '--save', path, *where, *PATIENT)
        self._book.took(lease)
        renewed = told(self._network, place, 'renew', path, '--lease', '2h',
                       *PATIENT)
        for key in ('request_id', 'addresses', 'server'):
            equal(renewed[key], lease[key], f'{key} after the renewal')
        self._book.operations += 1
        if not last:
            self._book.gives_back(lease)
            self._released(place, path)
            self._book.operations += 1

    def worker(self, number):
        place = ('one', 'two')[number % 2]
        for life in range(LIVES):
            self._life(place, self._files / f'{number}-{life}', life % 3 == 1,
                       life % 4 == 3)

    def run(self, server):
        with concurrent.futures.ThreadPoolExecutor(2 * WORKERS) as pool:
            work = [pool.submit(self.worker, number)
                    for number in range(2 * WORKERS)]
            while self._book.operations < 6 * WORKERS:
                time.sleep(0.05)
            self._killed.append(time.monotonic())
            server.kill()
            server.start()
            for each in work:
                each.result()


def dropped(network, name, number):
    """Datagrams that netem has lost, each way."""
    return [int(re.search(r'dropped (\d+)', output_of(
        'tc', '-s', '-n', space, 'qdisc', 'show', 'dev', interface)).group(1))
        for space, interface in ((network.space(name), 'eth0'),
                                 (network.space('hub'), f'p{number}'))]


@scenario
def madcap_netem(world):
    """Two hosts, a fifth lost, doubles, overtaking, a SIGKILL: all is right."""
    network = Network('server', 'one', 'two')
    server = Server(network.wrap('server'),
                    [dict(ORG, allocate=['239.192.0.1-239.192.0.48'])],
                    interfaces=['eth0'], extra_allocation_time='0s')
    for number, name in ((2, 'one'), (3, 'two')):
        impair(network, name, number, *NETEM)
    book = Book()
    Storm(network, book).run(server)
    again = book.verify(server)
    lost = dropped(network, 'one', 2) + dropped(network, 'two', 3)
    check(min(lost) > 10, f'netem has lost {lost} only')
    values = server.admin('metrics')
    check(values['retransmissions_total'] > 0, 'nothing has come twice')
    check(again > 10, f'only {again} addresses were given a second time')
    world.note(f'{book.operations} operations, {sum(lost)} datagrams lost, '
               f'{values["retransmissions_total"]} retransmissions answered '
               f'after the restart, {again} addresses given again')
    for number, name in ((2, 'one'), (3, 'two')):
        mend(network, name, number)
