# SPDX-License-Identifier: MIT
"""No address means no link, and the log says why."""

from scenario import scenario
from scenarios.choice import ANYBODY
from world import SERVER_OPTIONS, Line, Pppd, check, equal, interfaces

ONE_ADDRESS = '''\
pools = ( { name = "tiny"; ranges = ( "10.64.0.2" ); local = "10.64.0.1"; } );
'''
NEGOTIATION_FAILED = 10
OPTION_ERROR = 2


def refused(world, server, client, reason):
    """Both ends go without ever having had an address."""
    equal(server.wait_exit(), NEGOTIATION_FAILED, "the server's exit status")
    client.wait_exit()
    server.log.wait(rf'rasip: refuse user="\w*" port=pts/\d+ '
                    rf'reason="{reason}')
    for end in (server, client):
        check(not end.log.has('local  IP address'), f'{end.name} came up')
    check(server.interface() not in interfaces(), 'the server has an address')
    world.never_seen(r'10\.99\.')


@scenario
def exhausted_pool(world):
    """A full pool: whatever the client asks for, he gets no link."""
    world.configure(ONE_ADDRESS)
    first = Line('1')
    holder = first.serve('require-pap')
    first.dial(user='alice')
    holder.wait_up()
    for number, wish in enumerate(([], ['10.99.0.5:'],
                                   ['10.99.0.5:', 'ipcp-accept-local',
                                    'ipcp-accept-remote'])):
        line = Line(f'2-{number}')
        server = line.serve('require-pap')
        refused(world, server, line.dial(*wish, user='bob'),
                'pool tiny is full')
    equal([lease['user'] for lease in world.leases()], ['alice'], 'users')
    check(holder.running(), 'the first session ended')


@scenario
def anonymous_is_refused(world):
    """noauth, and the configuration says nothing of it: refused."""
    line = Line()
    server = line.serve('noauth', base=ANYBODY)
    refused(world, server, line.dial('10.99.0.5:'), 'anonymous')
    equal(world.leases('--all'), [], 'leases')


@scenario
def anonymous_asking_nothing_special(world):
    """noauth with pppd's most generous options: refused all the same."""
    line = Line()
    server = line.serve('noauth', 'ipcp-accept-remote', 'ipcp-accept-local',
                        base=ANYBODY)
    refused(world, server, line.dial('10.99.0.5:'), 'anonymous')


@scenario
def refused_with_ipv6(world):
    """IPv6 would still be there for the peer: the whole link is closed."""
    line = Line()
    server = line.serve('noauth', '+ipv6', base=ANYBODY)
    refused(world, server, line.dial('+ipv6'), 'anonymous')


@scenario
def refused_and_served_later(world):
    """With persist a refused line waits, and is served when there is room."""
    world.configure(ONE_ADDRESS)
    first, second = Line('1'), Line('2')
    holder = first.serve('require-pap')
    client = first.dial(user='alice')
    holder.wait_up()
    server = second.serve('require-pap', 'persist', 'holdoff', '1')
    loser = second.dial(user='bob', keep=True, label='-refused')
    server.log.wait('rasip: refuse user="bob"')
    loser.wait_exit()
    client.stop()
    holder.wait_exit()
    server.log.wait('Connect:', 2)
    winner = second.dial(user='bob', label='-served')
    equal(winner.wait_up(), ('10.64.0.2', '10.64.0.1'), "the client's end")
    equal(world.lease_of('bob')['pid'], server.pid, 'process')


@scenario
def no_rule_for_the_user(world):
    """assign has no rule that matches: refused."""
    world.configure(ONE_ADDRESS
                    + 'assign = ( { user = "bob"; pool = "tiny"; } );\n')
    line = Line()
    server = line.serve('require-chap')
    refused(world, server, line.dial(user='alice'), 'no rule')


@scenario
def candidate_in_use(world):
    """An address in the options that another session has: refused."""
    first, second = Line('1'), Line('2')
    holder = first.serve('require-pap', '10.64.0.1:10.98.0.7')
    first.dial(user='alice')
    holder.wait_up()
    server = second.serve('require-pap', '10.64.0.1:10.98.0.7')
    refused(world, server, second.dial(user='bob'), '.*10.98.0.7')
    check(holder.running(), 'the first session ended')


def start_with(configuration, world):
    """A server that should not start: (its pppd, its exit status)."""
    world.configure(configuration)
    background = [option for option in SERVER_OPTIONS if option != 'nodetach']
    line = Line()
    server = Pppd('server', [line.device, *background, 'require-pap'])
    return server, server.wait_exit()


@scenario
def broken_configuration(world):
    """pppd does not start, and names file and line before it detaches."""
    server, status = start_with(ONE_ADDRESS + 'runtime_dir = 7;\n', world)
    equal(status, OPTION_ERROR, 'exit status')
    server.errors.wait(r'/etc/rasip/rasip\.conf:2: \S')
    check(not server.log.has('Using interface'), 'it made an interface')


@scenario
def broken_syntax(world):
    """The same for a file that is no configuration at all."""
    server, status = start_with('pools = (\n  { name = ;\n', world)
    equal(status, OPTION_ERROR, 'exit status')
    server.errors.wait(r'/etc/rasip/rasip\.conf:2: \S')


@scenario
def demand_option(world):
    """`demand` gives the interface an address before anybody asks."""
    line = Line()
    server = Pppd('server', [line.device, *SERVER_OPTIONS, 'require-pap',
                             'demand', '10.64.0.1:10.64.0.9'])
    equal(server.wait_exit(), OPTION_ERROR, 'exit status')
    server.errors.wait('demand')
    world.never_seen(r'10\.64\.0\.')


@scenario
def missing_configuration(world):
    """No configuration: its path and the system's reason."""
    world.remove_configuration()
    line = Line()
    server = Pppd('server', [line.device, *SERVER_OPTIONS, 'require-pap'])
    equal(server.wait_exit(), OPTION_ERROR, 'exit status')
    server.errors.wait(r'/etc/rasip/rasip\.conf: No such file or directory')
