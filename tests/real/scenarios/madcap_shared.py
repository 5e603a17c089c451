# SPDX-License-Identifier: MIT
"""A real pppd, two madcapd with one lease book, a database and its standby: any of them may go."""

from madcap_world import ORG, Network, Server
from rasip_test import config, postgres
from scenario import OUTPUT, scenario
from world import STAGE, Line, check, equal, output_of, wait_for

POOL = '''\
pools = (
  { name = "campus"; backend = "madcap"; ranges = ( "10.80.0.0/24" ); exclude = ( "10.80.0.0" );
    local = "10.80.0.1";
    madcap = { scope = "239.192.0.0"; servers = ( "192.0.2.1", "192.0.2.2" ); lease = "1m";
      timeout = "30s"; };
  }
);
'''


def databases():
    """A primary and its synchronous standby."""
    primary, standby = postgres.Cluster(), postgres.Cluster()
    # Where it was made there is a /dev/shm.
    primary.make(OUTPUT / 'database', dynamic_shared_memory_type='mmap').start()
    standby.follow(primary).start()
    primary.sql('CREATE DATABASE book')
    primary.wait_for_standby()
    return primary, standby


@scenario(limit=900, needs_database=True)
def madcap_shared_book_survives_losses(world):
    """pppd's session outlives the madcapd that it leased from, and then the primary database."""
    check(postgres.missing() is None, str(postgres.missing()))
    primary, standby = databases()
    book = {'book': 'postgresql', 'database_timeout': '15s',
            'connection': f'host={primary.directory},{standby.directory} '
                          f'user={postgres.ROLE} dbname=book'}
    init = STAGE / 'init.conf'
    init.write_text(config.render_file({'listen': ['127.0.0.1'], 'state_dir': STAGE / 'init',
                                        'scopes': [ORG], **book}), encoding='utf-8')
    output_of('madcapd', '-c', str(init), '--init-book')
    network = Network('one', 'two')
    network.join_here('192.0.2.100/24')
    servers = {f'192.0.2.{i + 1}:2535': Server(network.wrap(name), name=name, server_name=name,
                                               **book)
               for i, name in enumerate(('one', 'two'))}
    world.configure(POOL)
    world.user('alice')
    line = Line()
    pppd = line.serve('require-pap')
    client = line.dial()
    client.wait_up()

    def lease():
        found, = world.leases()
        return found

    servers.pop(lease()['server']).kill()
    (name, other), = servers.items()
    wait_for('a renewal at the other one', lambda: lease()['server'] == name)
    primary.crash()
    standby.promote()
    before = lease()['expires']
    wait_for('a renewal on the new primary', lambda: lease()['expires'] > before)
    check(pppd.running() and client.running(), 'the session has ended')
    client.stop()
    pppd.wait_exit()
    wait_for('the release', lambda: output_of('rasip', 'reclaim')
             and other.book() == {})
    standby.stop()
