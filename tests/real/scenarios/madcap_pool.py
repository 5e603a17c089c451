# SPDX-License-Identifier: MIT
"""A real pppd whose peer's address is leased from a madcapd on another host."""

import calendar
import json
import signal
import time

from madcap_world import Network, Server, impair, mend
from scenario import scenario
from world import STAGE, Line, check, equal, output_of, wait_for

SERVER = '192.0.2.1'
POOL = '''\
pools = (
  { name = "campus";
    backend = "madcap";
    ranges = ( "10.80.0.0/24" );
    exclude = ( "10.80.0.0" );
    local = "10.80.0.1";
    madcap = { scope = "239.192.0.0"; %s lease = "%s"; timeout = "%s"; };
  }
);
'''


def shared(world, lease='1h', timeout='8s', servers=f'servers = ( "{SERVER}" );'):
    """The network with a server on it, and the pool."""
    network = Network('server')
    network.join_here('192.0.2.100/24')
    server = Server(network.wrap('server'), interfaces=['eth0'])
    world.configure(POOL % (servers, lease, timeout))
    world.user('alice')
    return network, server


def groups(server):
    """Group -> the lease, as madcapd has it."""
    return {lease['addresses'][0]: lease for lease in server.book().values()}


def released(server):
    """Waits until the server knows of no lease. Whoever hangs up waits for
    that for half a second only; what is still owed then, others deliver."""
    wait_for('the releases', lambda: output_of('rasip', 'reclaim')
             and server.book() == {})


def group_of(address):
    return '239.192.0.' + address.rpartition('.')[2]


def link_up(line):
    server = line.serve('require-pap')
    client = line.dial()
    address, local = client.wait_up()
    equal(local, '10.80.0.1', "the link's other end")
    return server, client, address


@scenario
def madcap_pool_leases_and_releases(world):
    """pppd leases its peer's address from a madcapd elsewhere, and gives it back."""
    _, server = shared(world)
    pppd, client, address = link_up(Line())
    lease = groups(server)[group_of(address)]
    equal(lease['client'], '192.0.2.100', 'client')
    shown, = world.leases()
    equal((shown['address'], shown['group'], shown['server']),
          (address, group_of(address), f'{SERVER}:2535'), 'lease')
    pppd.log.wait('rasip: lease address=')
    client.stop()
    pppd.wait_exit()
    released(server)
    equal(pppd.log.count('rasip: release '), 1, 'releases')


@scenario
def madcap_pool_renews_over_a_restart_of_the_server(world):
    """Short leases are renewed, also by a server that was killed in between."""
    _, server = shared(world, lease='20s')
    pppd, client, address = link_up(Line())
    first = groups(server)[group_of(address)]['end']
    wait_for('a renewal', lambda: groups(server)[group_of(address)]['end'] > first)
    server.kill()
    server.start()
    before = groups(server)[group_of(address)]['end']
    wait_for('another one', lambda: groups(server)[group_of(address)]['end'] > before)
    check(pppd.running() and client.running(), 'the session has ended')
    client.stop()
    pppd.wait_exit()
    released(server)


@scenario
def madcap_pool_hangs_up_when_the_server_takes_the_lease(world):
    """A NAK to the renewal ends the session: one release, and the address is down."""
    _, server = shared(world, lease='10s')
    pppd, client, address = link_up(Line())
    output_of('madcap', 'admin', '-c', str(server.conf), 'release', group_of(address))
    equal(pppd.wait_exit(), 10, 'exit status')
    client.wait_exit()
    check(pppd.log.has('rasip: close .*Lease Identifier Not Recognized'), pppd.log.text())
    equal(pppd.log.count('rasip: release '), 1, 'releases')
    equal(world.leases(), [], 'leases')


@scenario
def madcap_pool_hangs_up_before_the_lease_ends(world):
    """The server is cut off: the session is over before its lease is."""
    network, server = shared(world, lease='16s')
    pppd, _, address = link_up(Line())
    impair(network, 'server', 1, 'loss', '100%')
    end = calendar.timegm(time.strptime(groups(server)[group_of(address)]['end'],
                                        '%Y-%m-%dT%H:%M:%SZ'))
    looks = [time.time()]

    def is_closed():
        looks.append(time.time())
        return pppd.log.has('rasip: close .*could not be renewed')

    wait_for('the end of the session', is_closed)
    # Nobody is in time on a machine that stands still.
    stood_still = max(after - before for before, after in zip(looks, looks[1:]))
    check(looks[-1] < end + 0.5 + stood_still,
          f'closed at {looks[-1]}, the lease ended at {end}')
    pppd.wait_exit()
    equal(pppd.log.count('rasip: release '), 1, 'releases')


@scenario
def madcap_pool_waits_without_stalling_the_link(world):
    """IPCP is put off while the server is silent; LCP goes on meanwhile."""
    network, server = shared(world, timeout='40s')
    impair(network, 'server', 1, 'loss', '100%')
    line = Line()
    pppd = line.serve('require-pap', 'lcp-echo-interval', '1', 'lcp-echo-failure', '8')
    client = line.dial('lcp-echo-interval', '1', 'lcp-echo-failure', '8')
    pppd.log.wait(r'rcvd \[LCP EchoRep', 3)
    client.log.wait(r'rcvd \[LCP EchoRep', 3)
    check(not pppd.log.has(r'sent \[IPCP ConfReq'), 'IPCP has not waited')
    mend(network, 'server', 1)
    address, _ = client.wait_up()
    check(group_of(address) in groups(server), 'no lease at the server')
    client.stop()
    pppd.wait_exit()


@scenario
def madcap_pool_refuses_where_no_server_answers(world):
    """Nobody answers: no address of any kind, within the pool's timeout."""
    world.configure(POOL % (f'servers = ( "{SERVER}" );', '1h', '2s'))
    world.user('alice')
    network = Network('server')
    network.join_here('192.0.2.100/24')
    line = Line()
    pppd = line.serve('require-pap')
    client = line.dial()
    equal(pppd.wait_exit(), 10, 'exit status')
    client.wait_exit()
    check(pppd.log.has('rasip: refuse .*no answer from 192.0.2.1'), pppd.log.text())
    check(not client.log.has('remote IP address'), client.log.text())


@scenario
def madcap_pool_finds_its_server(world):
    """Without `servers` they are looked for by multicast."""
    _, server = shared(world, servers='interface = "va";')
    pppd, client, address = link_up(Line())
    check(group_of(address) in groups(server), 'no lease at the server')
    client.stop()
    pppd.wait_exit()
    released(server)


@scenario
def madcap_pool_keeps_what_is_owed(world):
    """A killed pppd, and one whose server is down: both leases are released by whoever comes by."""
    _, server = shared(world)
    world.user('bob')
    pppd, client, _ = link_up(Line('1'))
    pppd.signal(signal.SIGKILL)
    pppd.wait_exit()
    client.wait_exit()
    second, client, _ = link_up(Line('2'))  # alice again: her lease goes on
    equal(len(server.book()), 1, 'leases at the server')
    server.kill()
    client.stop()
    second.wait_exit()
    server.start()
    equal(len(server.book()), 1, 'leases at the server')
    wait_for('the release', lambda: json.loads(
        output_of('rasip', 'reclaim', '--json'))['released'] == 1)
    equal(server.book(), {}, 'leases at the server')
    check((STAGE / 'server2.log').exists(), 'no log')
