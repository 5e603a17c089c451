# SPDX-License-Identifier: MIT
"""What the plugin costs each session."""

import pathlib
import re

from scenario import scenario
from world import SERVER_OPTIONS, Line, check

LIMIT_KIB = 512
WITHOUT = tuple(option for option in SERVER_OPTIONS
                if option not in ('plugin', 'rasip.so'))


def private_kib(pid):
    """Memory that no other process shares."""
    text = pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text()
    return sum(int(size) for size
               in re.findall(r'^Private_\w+:\s+(\d+) kB', text, re.MULTILINE))


def two_sessions(name, base, *options):
    """The private memory of the second of two sessions that are up."""
    servers = []
    for number, user in enumerate(('alice', 'bob')):
        line = Line(f'-{name}{number}')
        ends = [f'10.64.0.1:10.64.9.{number + 1}'] * bool(options)
        servers.append(line.serve('require-pap', *options, *ends, base=base))
        line.dial(user=user).wait_up()
        servers[-1].wait_up()
    size = private_kib(servers[-1].pid)
    for server in servers:
        server.stop()
    return size


@scenario
def private_memory(world):
    """The plugin adds less than 512 KiB of private memory to a session."""
    with_plugin = two_sessions('with', SERVER_OPTIONS)
    world.replace_secrets('alice * secret *\nbob * secret *\n')
    without = two_sessions('without', WITHOUT, 'noipdefault')
    added = with_plugin - without
    world.note(f'private memory: {without} KiB without the plugin, '
               f'{with_plugin} KiB with it: {added} KiB added')
    check(added < LIMIT_KIB, f'{added} KiB added')
