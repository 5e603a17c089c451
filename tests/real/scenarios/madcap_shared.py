# SPDX-License-Identifier: MIT
"""A real pppd, two madcapd with one lease book, a database and its standby: any of them may go."""

from madcap_world import ORG, Network, Server
from rasip_test import config, postgres
from scenario import scenario
from world import STAGE, Line, check, equal, output_of, wait_for

POOL = '''\
pools = (
  { name = "campus"; backend = "madcap"; ranges = ( "10.80.0.0/24" ); exclude = ( "10.80.0.0" );
    local = "10.80.0.1";
    madcap = { scope = "239.192.0.0"; servers = ( "192.0.2.1", "192.0.2.2" ); lease = "30s";
      timeout = "6s"; };
  }
);
'''


def databases():
    """A primary and its synchronous standby."""
    primary, standby = postgres.Cluster(), postgres.Cluster()
    primary.make().start()
    standby.follow(primary).start()
    primary.sql('CREATE DATABASE book')
    primary.wait_for_standby()
    return primary, standby


@scenario(limit=240)
def madcap_shared_book_survives_losses(world):
    """pppd's session outlives the madcapd that it leased from, and then the primary database."""
    check(postgres.missing() is None, str(postgres.missing()))
    primary, standby = databases()
    book = {'book': 'postgresql', 'database_timeout': '2s',
            'connection': f'host={primary.directory},{standby.directory} '
                          f'user={postgres.ROLE} dbname=book'}
    first = STAGE / 'init.conf'
    first.write_text(config.render_file({'listen': ['127.0.0.1'], 'state_dir': STAGE / 'init',
                                         'scopes': [ORG], **book}), encoding='utf-8')
    output_of('madcapd', '-c', str(first), '--init-book')
    network = Network('one', 'two')
    network.join_here('192.0.2.100/24')
    one, two = (Server(network.wrap(name), name=name, server_name=name, **book)
                for name in ('one', 'two'))
    world.configure(POOL)
    world.user('alice')
    line = Line()
    pppd = line.serve('require-pap')
    client = line.dial()
    client.wait_up()

    def lease():
        found, = world.leases()
        return found

    equal(lease()['server'], '192.0.2.1:2535', 'server')
    one.kill()
    wait_for('a renewal at the other one', lambda: lease()['server'] == '192.0.2.2:2535')
    primary.crash()
    standby.promote()
    before = lease()['expires']
    wait_for('a renewal on the new primary', lambda: lease()['expires'] > before)
    check(pppd.running() and client.running(), 'the session has ended')
    client.stop()
    pppd.wait_exit()
    equal(two.book(), {}, 'leases')
    standby.stop()
