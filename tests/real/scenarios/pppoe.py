# SPDX-License-Identifier: MIT
"""pppoe-server that leaves the address to pppd."""

from scenario import scenario
from world import (EXAMPLES, STAGE, Daemon, Log, Pppd, check, equal, output_of,
                   wait_for)

CLIENTS = 40


def ethernet():
    """Two interfaces with a cable between them."""
    output_of('ip', 'link', 'add', 'va', 'type', 'veth', 'peer', 'name', 'vb')
    for name in ('va', 'vb'):
        output_of('ip', 'link', 'set', name, 'up')


def serve():
    """pppoe-server with the example's options."""
    addresses = STAGE / 'pppoe-addresses'
    addresses.write_text('0.0.0.0\n' * (CLIENTS + 2))
    options = STAGE / 'pppoe-options'
    example = (EXAMPLES / 'pppoe-server-options').read_text()
    options.write_text(f'{example}\nlcp-restart 3\nlcp-max-configure 10\n'
                       f'logfile {STAGE}/servers.log\n')
    return Daemon('pppoe-server', [
        'pppoe-server', '-F', '-I', 'va', '-L', '10.64.0.1', '-N', '64',
        '-p', str(addresses), '-O', str(options)])


def dial(number):
    """A client that dials again, as real ones do: with so many at once on a
    slow machine LCP may run out of time."""
    return Pppd(f'client{number}', [
        'plugin', 'pppoe.so', 'vb', 'nodetach', 'noauth', 'noipdefault',
        'ipparam', 'client', 'user', f'user{number}', 'lcp-restart', '3',
        'lcp-max-configure', '10', 'persist', 'maxfail', '0', 'holdoff', '1'])


@scenario(limit=400)
def pppoe_clients_at_once(world):
    """40 PPPoE clients at once: 40 addresses, all released after."""
    for number in range(CLIENTS):
        world.user(f'user{number}')
    ethernet()
    serve()
    clients = [dial(number) for number in range(CLIENTS)]
    ends = [client.wait_up(120) for client in clients]
    equal(len({address for address, _ in ends}), CLIENTS, 'addresses')
    equal({local for _, local in ends}, {'10.64.0.1'}, 'local addresses')
    leases = world.leases()
    equal({(lease['user'], lease['address']) for lease in leases},
          {(f'user{number}', address)
           for number, (address, _) in enumerate(ends)}, 'leases')
    for client in clients:
        client.process.terminate()
    for client in clients:
        client.wait_exit()
    wait_for('all leases to be released', lambda: not world.leases())
    log = Log(STAGE / 'servers.log')
    grants = log.count('rasip: grant ')
    check(grants >= CLIENTS, f'{grants} grants in the log')
    log.wait('rasip: release ', grants)
    equal(log.count('rasip: release '), grants, 'releases in the log')
    equal(log.count('rasip: (refuse|alarm) '), 0, 'refusals in the log')
