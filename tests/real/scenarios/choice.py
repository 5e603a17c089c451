# SPDX-License-Identifier: MIT
"""Which address: pools, reservations, candidates, the peer's own wish."""

from scenario import scenario
from world import SERVER_OPTIONS, Line, equal

TWO_POOLS = '''\
pools = (
  { name = "silver"; ranges = ( "10.64.0.2-10.64.0.9" );
    local = "10.64.0.1"; },
  { name = "gold"; ranges = ( "10.64.1.2-10.64.1.9" );
    local = "10.64.1.1"; }
);
'''
ANYBODY = tuple(option for option in SERVER_OPTIONS if option != 'auth')


def session(*options, user='alice', client_options=(), base=SERVER_OPTIONS):
    """A session that is up: the server, its addresses."""
    line = Line()
    server = line.serve(*options, base=base)
    line.dial(*client_options, user=user)
    return server, server.wait_up()


@scenario
def own_wish_is_overruled(world):
    """A client that names its own address gets ours."""
    line = Line()
    line.serve('require-pap')
    client = line.dial('10.99.0.5:', 'ipcp-accept-local')
    equal(client.wait_up(), ('10.64.0.2', '10.64.0.1'), "the client's end")
    equal(world.lease_of('alice')['address'], '10.64.0.2', 'lease')
    world.never_seen(r'10\.99\.')


@scenario
def pool_for_the_link(world):
    """rasip-pool on the command line."""
    world.configure(TWO_POOLS)
    ends = session('require-pap', 'rasip-pool', 'gold')[1]
    equal(ends, ('10.64.1.1', '10.64.1.2'), "the server's end")
    equal(world.lease_of('alice')['pool'], 'gold', 'pool')


@scenario
def pool_for_the_user(world):
    """rasip-pool behind the `--` of the user's secret."""
    world.configure(TWO_POOLS)
    world.user('carol', options='rasip-pool gold')
    ends = session('require-chap', user='carol')[1]
    equal(ends, ('10.64.1.1', '10.64.1.2'), "the server's end")
    equal(world.lease_of('carol')['pool'], 'gold', 'pool')


@scenario
def reservation(world):
    """A user's own address, outside all pools."""
    world.configure(TWO_POOLS + 'assign = ( { user = "alice"; '
                    'address = "10.64.7.7"; }, { pool = "silver"; } );\n')
    ends = session('require-pap')[1]
    equal(ends[1], '10.64.7.7', "the peer's address")
    equal(world.lease_of('alice')['address'], '10.64.7.7', 'lease')


@scenario
def candidate_is_kept(world):
    """An address in pppd's options is accepted and recorded."""
    server, ends = session('require-pap', '10.64.0.1:10.98.0.7')
    equal(ends, ('10.64.0.1', '10.98.0.7'), "the server's end")
    equal(world.lease_of('alice')['address'], '10.98.0.7', 'lease')
    server.stop()
    equal(world.leases(), [], 'leases after the end')


@scenario
def candidate_of_the_secret_is_kept(world):
    """An address in the secrets file is accepted and recorded."""
    world.user('carol')
    world.replace_secrets('carol * secret 10.98.0.8\n')
    ends = session('require-pap', '10.64.0.1:', user='carol')[1]
    equal(ends[1], '10.98.0.8', "the peer's address")
    equal(world.lease_of('carol')['address'], '10.98.0.8', 'lease')


@scenario
def candidate_is_replaced(world):
    """With candidate = "replace" the pool's choice goes over it."""
    world.configure(TWO_POOLS + 'candidate = "replace";\n')
    ends = session('require-pap', '10.64.0.1:10.98.0.7')[1]
    equal(ends[1], '10.64.0.2', "the peer's address")
    world.never_seen(r'10\.98\.')


@scenario
def anonymous_is_allowed(world):
    """noauth and anonymous = "allow": user "" gets an address."""
    world.configure(TWO_POOLS + 'anonymous = "allow";\n')
    ends = session('noauth', base=ANYBODY)[1]
    equal(ends[1], '10.64.0.2', "the peer's address")
    equal(world.lease_of('')['user'], '', 'user')
