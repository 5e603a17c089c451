# SPDX-License-Identifier: MIT
"""Two pppds over a pty: an address from the pool, and its end."""

from scenario import scenario
from world import Line, check, equal, interfaces


def session_with(world, demand):
    """One session from the first packet to the release."""
    line = Line()
    server = line.serve(demand)
    client = line.dial()
    equal(client.wait_up(), ('10.64.0.2', '10.64.0.1'), "the client's end")
    equal(server.wait_up(), ('10.64.0.1', '10.64.0.2'), "the server's end")
    lease = world.lease_of('alice')
    equal(lease['address'], '10.64.0.2', 'leased address')
    equal(lease['pool'], 'residential', 'pool')
    equal(lease['port'], line.port, 'port')
    equal(lease['state'], 'active', 'state')
    equal(lease['pid'], server.pid, "the lease's process")
    world.scripts.wait('ip-up client')
    client.stop()
    equal(server.wait_exit(), 16, "the server's exit status")
    equal(world.leases(), [], 'leases after the end')
    return server


def check_scripts(world):
    """What ip-up and ip-down of both sides were told."""
    scripts = world.scripts
    given = 'peer=10.64.0.2 pool=residential address=10.64.0.2 dns='
    scripts.wait(rf'ip-up server ppp\d+ {given}\n')
    scripts.wait(rf'ip-down server ppp\d+ {given}\n')
    scripts.wait(r'ip-up client ppp\d+ peer=10.64.0.1 pool= address= '
                 r'dns=192.0.2.53\n')
    equal(interfaces(), {}, 'interfaces left')


@scenario
def pap_address_from_the_pool(world):
    """PAP, three words in the secrets: address, DNS, scripts, release."""
    server = session_with(world, 'require-pap')
    check_scripts(world)
    server.log.wait(r'rasip: grant address=10\.64\.0\.2 pool=residential '
                    r'user="alice" port=pts/\d+')
    equal(server.log.count('rasip: grant'), 1, 'grants')
    equal(server.log.count('rasip: release'), 1, 'releases')


@scenario
def chap_address_from_the_pool(world):
    """CHAP, three words in the secrets: the same."""
    session_with(world, 'require-chap')
    check_scripts(world)


@scenario
def two_users_two_addresses(world):
    """Two lines at once: two addresses, and one may end before the other."""
    first, second = Line('1'), Line('2')
    servers = [line.serve('require-pap') for line in (first, second)]
    alice, bob = first.dial(user='alice'), second.dial(user='bob')
    given = {alice.wait_up()[0], bob.wait_up()[0]}
    equal(len(given), 2, 'distinct addresses')
    alice.stop()
    servers[0].wait_exit()
    equal([lease['user'] for lease in world.leases()], ['bob'], 'users left')
    check(servers[1].running(), "bob's session ended too")
    bob.stop()
    servers[1].wait_exit()
    equal(world.leases(), [], 'leases after the end')


@scenario
def sticky_address_on_return(world):
    """A user who returns gets the address he had, from another pppd."""
    addresses = []
    for number, user in enumerate(('alice', 'bob', 'alice', 'bob')):
        line = Line(str(number))
        server = line.serve('require-pap')
        client = line.dial(user=user)
        addresses.append(client.wait_up()[0])
        client.stop()
        server.wait_exit()
    equal(addresses[2:], addresses[:2], 'addresses on return')
    check(addresses[0] != addresses[1], 'both had the same address')
