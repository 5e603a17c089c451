# SPDX-License-Identifier: MIT
"""A madcapd in a network namespace of its own, for scenarios.

    network = Network('server', 'client')   # 192.0.2.1 and 192.0.2.2
    network.join_here('192.0.2.100/24')     # and this one, on va
    server = Server(network.wrap('server'), [ORG], interfaces=['eth0'])

All of it ends with the scenario: its world kills every process and deletes
every namespace.
"""

import json
import signal

from rasip_test import config
from rasip_test.madcapd import Network
from world import STAGE, Daemon, Failed, check, output_of

__all__ = ['ORG', 'Network', 'Server', 'impair', 'mend']

ORG = {'first': '239.192.0.0', 'last': '239.195.255.255'}


class Server:
    """A madcapd; `wrap` goes before its command line. It keeps its book,
    its configuration and its log in files of this name."""

    def __init__(self, wrap, scopes=(ORG,), name='madcapd', **settings):
        self.name = name
        self.conf = STAGE / f'{name}.conf'
        self.state_dir = STAGE / f'{name}-state'
        self._wrap = wrap
        self._scopes = list(scopes)
        self._daemon = None
        self.configure(**settings)
        self.start()

    def configure(self, **settings):
        """Its file; start() or reload() read it."""
        whole = {'listen': ['0.0.0.0'], 'state_dir': self.state_dir,
                 'scopes': self._scopes, **settings}
        self.conf.write_text(config.render_file(whole), encoding='utf-8')

    @property
    def log(self):
        return self._daemon.errors

    def _waits(self, pattern, before):
        self.log.wait(pattern, before + 1)

    def start(self):
        """Starts it, again after stop() or kill(), and waits for it."""
        ready = 0 if self._daemon is None else self.log.count('madcapd: ready')
        self._daemon = Daemon(self.name, [*self._wrap, 'madcapd', '-c',
                                          str(self.conf)])
        try:
            self._waits('madcapd: ready', ready)
        except Failed:
            check(self._daemon.running(), f'madcapd: {self.log.text()}')
            raise

    def reload(self, **settings):
        before = self.log.count('madcapd: reloaded')
        self.configure(**settings)
        self._daemon.signal(signal.SIGHUP)
        self._waits('madcapd: reloaded', before)

    def stop(self):
        """Ends it cleanly."""
        self._daemon.stop()

    def kill(self):
        """Ends it as a power cut would."""
        self._daemon.signal(signal.SIGKILL)
        self._daemon.wait_exit()

    def admin(self, *words):
        """What `madcap admin` says, as JSON: ('leases',), ('release', A)."""
        return json.loads(output_of('madcap', 'admin', '-c', str(self.conf),
                                    *words, '--json'))

    def book(self):
        """Request id -> the lease, as madcapd has it."""
        return {lease['request_id']: lease for lease in self.admin('leases')}


def impair(network, name, number, *netem):
    """What netem does to all that goes to and comes from a member of the
    network; `number` is its place there."""
    for space, interface in ((network.space(name), 'eth0'),
                             (network.space('hub'), f'p{number}')):
        output_of('tc', '-n', space, 'qdisc', 'replace', 'dev', interface,
                  'root', 'netem', *netem)


def mend(network, name, number):
    """Takes it away again."""
    for space, interface in ((network.space(name), 'eth0'),
                             (network.space('hub'), f'p{number}')):
        output_of('tc', '-n', space, 'qdisc', 'del', 'dev', interface, 'root')
