# SPDX-License-Identifier: MIT
"""
Three madcapd on a PostgreSQL primary and its synchronous standby, and all that can go wrong with
them. The clock of the third madcapd is wrong from the beginning.

$TORTURE_SECONDS says for how long, $TORTURE_SEED which faults (`make torture-book`).
"""

import os
import random
import signal
import subprocess
import time

from rasip_test import config, madcapd, paths, postgres
from rasip_test.madcapd import ORG, wait_for

SECONDS = float(os.environ.get('TORTURE_SECONDS', '14'))
SEED = int(os.environ.get('TORTURE_SEED', time.time_ns() % 1000000))
SERVERS = 3
SKEW_SEC = -5000
SERVED_SEC = 30  # after the end of a fault, at the latest, also where the machine is slow


def why_not():
    """Why it cannot be had here, or should not; None if it can."""
    if postgres.missing():
        return postgres.missing()
    if paths.is_sanitized() and 'TORTURE_SECONDS' not in os.environ:
        return 'takes long; in a sanitized build only with TORTURE_SECONDS'
    return None


def skewed(seconds):
    """The environment of a process whose time of day is off by so much."""
    return {'LD_PRELOAD': str(paths.MODULES / 'skewed.so'), 'SKEW_SEC': str(seconds),
            'ASAN_OPTIONS': 'verify_asan_link_order=0'}


class World:
    """For a test case that has a directory; `settings` are madcapd's, the same for all three."""

    def __init__(self, case, scope, **settings):
        self.case = case
        self.dice = random.Random(SEED)
        self.scope, self.settings = scope, settings
        self.primary = self._make_cluster()
        self.primary.make().start()
        self.standby = self._make_cluster()
        self.standby.follow(self.primary).start()
        self.primary.sql('CREATE DATABASE book')
        self._gates = [[self._make_gate(cluster) for cluster in (self.primary, self.standby)]
                       for _ in range(SERVERS)]
        self.addresses = [(f'127.0.0.{i + 1}', 0) for i in range(SERVERS)]
        self.confs = [self._write_conf(i) for i in range(SERVERS)]
        subprocess.run([str(paths.MADCAPD), '-c', str(self.confs[0]), '--init-book'], check=True,
                       capture_output=True)
        self.primary.wait_for_standby()
        self.servers = [self._run_server(i) for i in range(SERVERS)]

    def _make_cluster(self):
        cluster = postgres.Cluster()
        self.case.addCleanup(cluster.dispose)
        return cluster

    def _make_gate(self, cluster):
        gate = postgres.Gate(cluster)
        self.case.addCleanup(gate.close)
        return gate

    def _write_conf(self, i):
        hosts = ','.join(str(gate.directory) for gate in self._gates[i])
        conf = self.case.directory / f'madcapd{i}.conf'
        conf.write_text(config.render_file({
            'listen': self.addresses[i][:1], 'port': self.addresses[i][1], 'server_name': f's{i}',
            'state_dir': self.case.directory / f'madcapd{i}', 'book': 'postgresql',
            'connection': f'host={hosts} user={postgres.ROLE} dbname=book',
            'database_timeout': '1s', 'scopes': [{**ORG, **self.scope}],
            'max_addresses_per_client': 0, **self.settings}))
        return conf

    def _run_server(self, i):
        """It keeps the port that it got at first."""
        self._write_conf(i)
        server = madcapd.Madcapd(self.confs[i], self.case.directory / f'madcapd{i}.log',
                                 environment=skewed(SKEW_SEC) if i == SERVERS - 1 else None)
        self.case.addCleanup(server.stop, madcapd.LAST_SIGNAL)
        self.addresses[i] = server.wait_ready().listens[0]
        return server

    # -- what goes wrong; each one yields while it does

    def kill_a_server(self):
        i = self.dice.randrange(SERVERS)
        self.servers[i].kill()
        yield
        self.servers[i] = self._run_server(i)

    def stop_a_server(self):
        server = self.dice.choice(self.servers)
        server.send_signal(signal.SIGSTOP)
        yield
        server.send_signal(signal.SIGCONT)

    def cut_off_a_server(self):
        gates = self.dice.choice(self._gates)
        for gate in gates:
            gate.shut()
        yield
        for gate in gates:
            gate.open()

    def crash_the_primary(self):
        self.primary.crash()
        yield
        self.primary.start()

    def hang_the_primary(self):
        self.primary.pause()
        yield
        self.primary.resume()

    def hang_the_standby(self):
        self.standby.pause()
        yield
        self.standby.resume()

    def replace_the_primary(self):
        """The standby takes over; what is left of the primary becomes its standby."""
        self.primary.crash()
        yield
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def _new_standby(self):
        self.standby.wipe()
        self.standby.follow(self.primary).start()
        self.primary.wait_for_standby()

    # -- the run

    def one_fault(self, fault, served_since, lasts=None):
        """Lets it happen, and waits until all are served again. Returns how long that took."""
        steps = fault()
        next(steps)
        if lasts is None:
            time.sleep(self.dice.uniform(0.3, 2.0))  # for so long it is broken
        else:
            lasts()
        for _ in steps:
            pass
        healed = time.monotonic()
        wait_for(lambda: served_since(healed), f'service after {fault.__name__} (seed {SEED})',
                 SERVED_SEC)
        took = time.monotonic() - healed
        if fault == self.replace_the_primary:
            self._new_standby()
        return took

    def run(self, served_since):
        """Each fault once, and then any of them until the time is up; `served_since` says whether all
        clients have been served by then. Returns how many, and the longest time without service."""
        faults = [self.kill_a_server, self.stop_a_server, self.cut_off_a_server,
                  self.crash_the_primary, self.hang_the_primary, self.hang_the_standby]
        self.dice.shuffle(faults)
        faults.insert(3, self.replace_the_primary)
        until, took = time.monotonic() + SECONDS, []
        wait_for(lambda: served_since(1), 'the first answers')
        while len(took) < len(faults) or time.monotonic() < until:
            fault = faults[len(took)] if len(took) < len(faults) else self.dice.choice(faults)
            took.append(self.one_fault(fault, served_since))
        return len(took), max(took)
