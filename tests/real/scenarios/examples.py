# SPDX-License-Identifier: MIT
"""The examples in conf/ppp as they are; PPPoE and L2TP have their own."""

from scenario import scenario
from world import COMMON_OPTIONS, EXAMPLES, Line, check, equal, output_of


def session(world, example, *client_options):
    """One session with the example alone: the server's log."""
    line = Line()
    server = line.serve('file', str(EXAMPLES / example), base=['nodetach'])
    client = line.dial(*client_options)
    equal(client.wait_up(), ('10.64.0.2', '10.64.0.1'), "the client's end")
    equal(world.lease_of('alice')['port'], line.port, 'port')
    client.stop()
    server.wait_exit()
    equal(world.leases(), [], 'leases after the end')
    return server.log


@scenario
def serial_example(world):
    """options.serial: a dial-in line."""
    session(world, 'options.serial')


@scenario
def pptpd_example(world):
    """options.pptpd: encryption is up before any address is chosen."""
    output_of('modprobe', 'ppp_mppe')
    world.common_options(COMMON_OPTIONS.replace('noccp\n', ''))
    log = session(world, 'options.pptpd', 'require-mppe-128')
    encrypted = log.wait('MPPE 128-bit stateless compression enabled').start()
    chosen = log.wait('rasip: grant').start()
    check(encrypted < chosen, 'the address was chosen before encryption')
