# SPDX-License-Identifier: MIT
"""How sessions end, and processes that fork, stay or are killed."""

import os
import pathlib
import signal

from ppp_peer import Peer
from scenario import scenario
from world import (SERVER_OPTIONS, Line, check, equal, interfaces, output_of,
                   wait_for)

BACKGROUND = tuple(option for option in SERVER_OPTIONS if option != 'nodetach')
GRANT = r'rasip: grant address=10\.64\.0\.'
RELEASE = r'rasip: release address=10\.64\.0\.'


def is_pppd(pid):
    command = pathlib.Path(f'/proc/{pid}/comm')
    return command.exists() and command.read_text() == 'pppd\n'


def session(number, user='alice', base=SERVER_OPTIONS, options=()):
    """A session that is up: (line, server, client)."""
    line = Line(str(number))
    server = line.serve('require-pap', *options, base=base)
    client = line.dial(user=user, keep=True)
    client.wait_up()
    return line, server, client


ENDS = {
    'the peer terminates':
        lambda line, server, client: client.signal(signal.SIGTERM),
    'SIGTERM to the server':
        lambda line, server, client: server.signal(signal.SIGTERM),
    'SIGHUP to the server':
        lambda line, server, client: server.signal(signal.SIGHUP),
    'SIGINT to the server':
        lambda line, server, client: server.signal(signal.SIGINT),
}


@scenario
def every_end_releases(world):
    """Ends by the peer and by signals: one release each, no lease left."""
    for number, (how, act) in enumerate(ENDS.items()):
        line, server, client = session(number)
        wait_for('the lease', world.leases)
        act(line, server, client)
        server.wait_exit()
        equal(world.leases(), [], f'leases after: {how}')
        equal(server.log.count(RELEASE), 1, f'releases after: {how}')
        line.hang_up()
        client.wait_exit()


@scenario
def line_cut(world):
    """The line's other end closes without a word: released."""
    line = Line()
    server = line.serve('require-pap')
    check(Peer(line.master).connect(), 'no address')
    wait_for('the lease', world.leases)
    line.hang_up()
    equal(server.wait_exit(), 16, "the server's exit status")
    equal(world.leases(), [], 'leases')
    equal(server.log.count(RELEASE), 1, 'releases')


@scenario
def killed_servers_are_reclaimed(world):
    """Servers that were killed or crashed: the next ones get theirs."""
    world.configure('pools = ( { name = "three"; local = "10.64.0.1"; '
                    'ranges = ( "10.64.0.2-10.64.0.4" ); } );\n')
    names = [f'user{number}' for number in range(6)]
    for name in names:
        world.user(name)
    first = [session(number, name) for number, name in enumerate(names[:3])]
    equal(len(world.leases()), 3, 'leases')
    fates = signal.SIGKILL, signal.SIGSEGV, signal.SIGKILL
    for fate, (line, server, client) in zip(fates, first):
        server.signal(fate)
        server.wait_exit()
        line.hang_up()
        client.wait_exit()
    given = set()
    for number, name in enumerate(names[3:]):
        server, client = session(10 + number, name)[1:]
        given.add(client.wait_up()[0])
        server.log.wait('rasip: reclaim ' if not number else 'rasip: grant ')
    equal(given, {'10.64.0.2', '10.64.0.3', '10.64.0.4'}, 'addresses')
    equal({lease['user'] for lease in world.leases()}, set(names[3:]), 'users')


@scenario
def killed_while_another_lives(world):
    """`rasip reclaim` frees the dead session's address, not the other's."""
    dead = session(1, 'alice')[1]
    living = session(2, 'bob')[1]
    dead.signal(signal.SIGKILL)
    dead.wait_exit()
    output_of('rasip', 'reclaim')
    equal([lease['user'] for lease in world.leases()], ['bob'], 'users')
    check(living.running(), 'the other session ended')


@scenario
def operator_ends_a_session(world):
    """`rasip release ADDRESS` hangs the session up; the other goes on."""
    ended = session(1, 'alice')[1]
    other = session(2, 'bob')[1]
    address = world.lease_of('alice')['address']
    output_of('rasip', 'release', address)
    equal([lease['user'] for lease in world.leases()], ['bob'], 'users')
    ended.wait_exit()
    equal(ended.log.count(RELEASE), 1, 'releases')
    check(other.running(), 'the other session ended')


@scenario
def updetach(world):
    """The lease survives the fork after IPCP, and goes with the child."""
    line, parent, client = session(0, base=BACKGROUND, options=['updetach'])
    equal(parent.wait_exit(), 0, "the parent's exit status")
    lease = world.lease_of('alice')
    equal(lease['address'], '10.64.0.2', 'address')
    check(lease['pid'] != parent.pid, 'the lease is still the parent\'s')
    check(is_pppd(lease['pid']), f'{lease["pid"]} is not a pppd')
    world.scripts.wait('ip-up server')
    output_of('rasip', 'reclaim')
    equal(world.lease_of('alice'), lease, 'lease after a reclaim')
    os.kill(lease['pid'], signal.SIGTERM)
    world.wait_released()
    parent.log.wait(RELEASE)
    equal(parent.log.count(RELEASE), 1, 'releases')
    line.hang_up()
    client.wait_exit()


@scenario
def updetach_with_ipv6(world):
    """With IPv6 pppd may fork before or after the address is chosen."""
    line = Line()
    parent = line.serve('require-pap', 'updetach', '+ipv6', base=BACKGROUND)
    client = line.dial('+ipv6', keep=True)
    equal(client.wait_up(), ('10.64.0.2', '10.64.0.1'), "the client's end")
    equal(parent.wait_exit(), 0, "the parent's exit status")
    world.scripts.wait('ip-up server')
    lease = world.lease_of('alice')
    check(is_pppd(lease['pid']), f'{lease["pid"]} is not a pppd')
    client.stop()
    line.hang_up()
    world.wait_released()
    parent.log.wait(RELEASE)
    equal(parent.log.count(RELEASE), 1, 'releases')


@scenario
def ipv6_alone(world):
    """A link without IPv4 is not the pool's business: no address, and no refusal."""
    line = Line()
    server = line.serve('require-pap', 'noip', '+ipv6')
    client = line.dial('noip', '+ipv6', keep=True)
    server.log.wait('remote LL address')
    equal(world.leases(), [], 'leases')
    client.stop()
    line.hang_up()
    equal(server.wait_exit(), 16, "the server's exit status")
    equal(server.log.count('rasip: '), 0, 'lines of ours')


@scenario
def detached(world):
    """pppd as it is started usually: it goes to the background at once."""
    line, parent, client = session(0, base=BACKGROUND)
    equal(parent.wait_exit(), 0, "the parent's exit status")
    lease = world.lease_of('alice')
    check(lease['pid'] != parent.pid, "the lease is the parent's")
    check(is_pppd(lease['pid']), f'{lease["pid"]} is not a pppd')
    client.stop()
    line.hang_up()
    world.wait_released()


@scenario
def persist(world):
    """A second session in the same pppd asks again; none leased between."""
    line, server, client = session(0, options=['persist', 'holdoff', '2'])
    client.stop()
    server.log.wait(RELEASE)
    equal(world.leases(), [], 'leases during the hold-off')
    second = server.log.wait('Connect:', 2)
    check(server.log.has(RELEASE).end() <= second.start(), 'released only after the hold-off')
    equal(world.leases(), [], 'leases before authentication')
    again = line.dial(user='bob', label='-again')
    address = again.wait_up()[0]
    equal(world.lease_of('bob')['address'], address, "bob's lease")
    equal(world.lease_of('bob')['pid'], server.pid, 'process')
    world.scripts.wait(rf'ip-up server ppp\d+ peer={address} '
                       rf'pool=residential address={address} ')
    equal(server.log.count(GRANT), 2, 'grants')
    server.stop()
    equal(server.log.count(RELEASE), 2, 'releases')
    equal(world.leases(), [], 'leases at the end')
