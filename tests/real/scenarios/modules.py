# SPDX-License-Identifier: MIT
"""Admin modules in a real pppd: who is called, in which order, how often."""

import signal

from scenario import scenario
from world import STAGE, Line, Log, check, equal

CALLS = STAGE / 'calls.log'
MODULES = f'''\
modules = (
  {{ name = "Watcher"; path = "/usr/lib/rasip/watcher.so";
     argument = "log={CALLS} name=watcher"; }},
  {{ name = "Chooser"; path = "/usr/lib/rasip/scripted.so";
     argument = "log={CALLS} name=chooser address=10.97.0.5"; }}
);
pools = ( {{ name = "p"; ranges = ( "10.64.0.2-10.64.0.99" ); }} );
'''


def session(name='', user='alice'):
    """A session that is up: (line, server)."""
    line = Line(name)
    server = line.serve('require-pap', '10.64.0.1:')
    line.dial(user=user, keep=True)
    equal(server.wait_up()[1], '10.97.0.5', "the peer's address")
    return line, server


def calls(line, user='alice'):
    """What the modules wrote, with the session's names left out."""
    text = Log(CALLS).text().replace(f'{user} {line.port} ', '')
    return [call.replace('- - ', '').replace(' 0.0.0.0', '')
            for call in text.splitlines()]


@scenario
def modules_in_order(world):
    """Every callback once and in order; the module's address is used."""
    world.configure(MODULES)
    line, server = session()
    equal(world.lease_of('alice')['address'], '10.97.0.5', 'lease')
    server.stop()
    equal(calls(line), [
        'watcher initialize', 'chooser initialize',
        'watcher accept', 'chooser accept', 'chooser get',
        'chooser release 10.97.0.5', 'watcher hangup', 'chooser hangup',
        'chooser terminate', 'watcher terminate'], 'calls')


@scenario
def release_for_a_killed_session(world):
    """The next process calls release for the one that was killed."""
    world.configure(MODULES)
    line, server = session('-killed')
    server.signal(signal.SIGKILL)
    server.wait_exit()
    before = calls(line)
    equal(before[-1], 'chooser get', 'last call of the killed session')
    session('-next', user='bob')
    after = calls(line)[len(before):]
    release = 'chooser release 10.97.0.5'
    equal(after.count(release), 1, 'releases for the dead')
    gets = [n for n, call in enumerate(after) if 'chooser get bob' in call]
    check(gets and after.index(release) < gets[0], f'order of {after}')
