# SPDX-License-Identifier: MIT
"""xl2tpd with `assign ip = no`: a LAC in a network namespace, an LNS here."""

import pathlib
import signal

from scenario import scenario
from world import (EXAMPLES, STAGE, Daemon, Log, equal, interfaces, output_of,
                   wait_for)

LAC = '''\
[global]
port = 1701
[lac ras]
lns = 192.0.2.1
pppoptfile = {stage}/options.lac
autodial = yes
'''


def namespaces():
    """192.0.2.1 here, 192.0.2.2 in the namespace `lac`."""
    output_of('ip', 'netns', 'add', 'lac')
    output_of('ip', 'link', 'add', 'va', 'type', 'veth',
              'peer', 'name', 'vb', 'netns', 'lac')
    for where, name, address in (([], 'va', '192.0.2.1/24'),
                                 (['-n', 'lac'], 'vb', '192.0.2.2/24')):
        output_of('ip', *where, 'addr', 'add', address, 'dev', name)
        output_of('ip', *where, 'link', 'set', name, 'up')


def write(name, text):
    (STAGE / name).write_text(text, encoding='utf-8')


def lns():
    """The server, with the examples' files where they belong."""
    options = (EXAMPLES / 'options.xl2tpd').read_text()
    pathlib.Path('/etc/ppp/options.xl2tpd').write_text(
        f'{options}\nlogfile {STAGE}/server.log\n', encoding='utf-8')
    return Daemon('lns', [
        'xl2tpd', '-D', '-c', str(EXAMPLES / 'xl2tpd.conf'),
        '-p', '/run/xl2tpd/lns.pid', '-C', '/run/xl2tpd/lns.control'])


def lac():
    """The client, which dials by itself."""
    write('lac.conf', LAC.format(stage=STAGE))
    write('options.lac', 'noauth\nnoipdefault\nuser alice\nipparam client\n'
                         f'logfile {STAGE}/client.log\n')
    return Daemon('lac', [
        'ip', 'netns', 'exec', 'lac', 'xl2tpd', '-D', '-c',
        f'{STAGE}/lac.conf', '-p', '/run/xl2tpd/lac.pid',
        '-C', '/run/xl2tpd/lac.control'])


@scenario
def l2tp_session(world):
    """L2TP: the address is the pool's, and released with the tunnel."""
    pathlib.Path('/run/xl2tpd').mkdir(exist_ok=True)
    namespaces()
    lns()
    client = lac()
    ends = wait_for("the client's address", lambda: interfaces('lac'))
    equal(list(ends.values()), [('10.64.0.2', '10.64.0.1')], "client's end")
    lease = world.lease_of('alice')
    equal(lease['address'], '10.64.0.2', 'lease')
    server_log = Log(STAGE / 'server.log')
    interface = server_log.wait(r'Using interface (\S+)').group(1)
    equal(lease['port'], interface, 'port')
    client.signal(signal.SIGTERM)
    client.wait_exit()
    world.wait_released()
    server_log.wait('rasip: release')
    equal(server_log.count('rasip: release'), 1, 'releases')
