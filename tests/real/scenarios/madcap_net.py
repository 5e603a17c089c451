# SPDX-License-Identifier: MIT
"""madcapd and madcap on a network: several hosts, multicast, and netem."""

from madcap_world import ORG, Network, Server
from scenario import scenario
from world import equal, output_of


@scenario
def madcap_over_the_network(_):
    """A lease from a madcapd in another namespace, and its release."""
    network = Network('server')
    network.join_here('192.0.2.100/24')
    server = Server(network.wrap('server'))
    equal(server.book(), {}, 'leases')
    output_of('madcap', 'request', '--scope', ORG['first'], '--server', '192.0.2.1')
    equal([lease['client'] for lease in server.book().values()], ['192.0.2.100'], 'clients')
    server.kill()
    server.start()
    equal(len(server.book()), 1, 'leases after a restart')
