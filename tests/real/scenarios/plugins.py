# SPDX-License-Identifier: MIT
"""Beside a plugin that takes pppd's hooks for itself, as radius.so does."""

from scenario import scenario
from world import Line, equal

BASE = ('nodetach', 'auth', 'name', 'ras', 'ipparam', 'server', 'require-pap',
        '10.64.0.1:')
OURS = ('plugin', 'rasip.so')
THEIRS = ('plugin', 'selfish.so')


def session(world, *options, name=''):
    """One session: the address that the peer got and the lease says."""
    line = Line(name)
    server = line.serve(*options, base=BASE)
    client = line.dial()
    client.wait_up()
    address = server.wait_up()[1]
    equal(world.lease_of('alice')['address'], address, 'lease')
    equal(server.log.count('rasip: grant'), 1, 'grants')
    server.stop()
    equal(world.leases(), [], 'leases after the end')
    equal(server.log.count('rasip: release'), 1, 'releases')
    return address


@scenario
def without_an_opinion_loaded_before(world):
    """The other plugin chooses nothing and was there first: the pool's."""
    equal(session(world, *THEIRS, *OURS), '10.64.0.2', 'address')


@scenario
def without_an_opinion_loaded_after(world):
    """The other plugin chooses nothing and comes last: the pool's."""
    equal(session(world, *OURS, *THEIRS), '10.64.0.2', 'address')


@scenario
def with_an_address_loaded_before(world):
    """The other plugin's address is a candidate: accepted and recorded."""
    equal(session(world, *THEIRS, *OURS, 'selfish-address', '10.98.0.9'),
          '10.98.0.9', 'address')


@scenario
def with_an_address_loaded_after(world):
    """The same when that plugin comes last."""
    equal(session(world, *OURS, *THEIRS, 'selfish-address', '10.98.0.9'),
          '10.98.0.9', 'address')


@scenario
def with_an_address_replaced(world):
    """candidate = "replace": the pool's choice in either order."""
    world.configure('pools = ( { name = "p"; ranges = ( "10.64.0.2" ); '
                    'local = "10.64.0.1"; } );\ncandidate = "replace";\n')
    for name, order in (('-after', OURS + THEIRS), ('-before', THEIRS + OURS)):
        equal(session(world, *order, 'selfish-address', '10.98.0.9',
                      name=name), '10.64.0.2', f'address{name}')
    world.never_seen(r'10\.98\.')
