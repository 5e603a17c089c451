# SPDX-License-Identifier: MIT
"""Three madcapd on a PostgreSQL primary and its synchronous standby, all of which are killed,
stopped, cut off and replaced at random, while clients lease, renew and release.

$TORTURE_SECONDS says for how long, $TORTURE_SEED which faults (`make torture-book`).
"""

import collections
import os
import random
import signal
import threading
import time
import unittest

from rasip_test import madcap_wire as wire
from rasip_test import madcapd, paths, postgres
from rasip_test.madcapd import ORG, wait_for

SECONDS = float(os.environ.get('TORTURE_SECONDS', '14'))
SEED = int(os.environ.get('TORTURE_SEED', time.time_ns() % 1000000))
SERVERS = 3
CLIENTS = 6
LEASES = 6         # of each client
ADDRESSES = 60
EXTRA_SEC = 2      # between two leases of an address
ROUNDING_SEC = 1   # servers count whole seconds, so a lease may end that much early
PATIENCE_SEC = 12  # of a client, with all servers
SERVED_SEC = 10    # after the end of a fault, at the latest

Held = collections.namedtuple('Held', 'address lease start end')


def setUpModule():
    if postgres.missing():
        raise unittest.SkipTest(postgres.missing())
    if paths.is_sanitized() and 'TORTURE_SECONDS' not in os.environ:
        raise unittest.SkipTest('takes long; in a sanitized build only with TORTURE_SECONDS')


class Client(threading.Thread):
    """Has some leases, always; goes to the next server when one is silent."""

    def __init__(self, servers, seed, problems):
        super().__init__(daemon=True)
        self.dice = random.Random(seed)
        self.servers = servers  # one wire.Client each
        self.problems = problems
        self.leases = {}   # identifier: [address, held since, end by our own reckoning]
        self.history = []  # Held, of leases that are over
        self.served = 0.0  # when a question was asked last that has been answered
        self.answers = collections.Counter()
        self.over = threading.Event()

    def ask(self, message):
        """The answer of any server, and when the message was sent first."""
        began = time.monotonic()
        order = self.dice.sample(self.servers, len(self.servers))
        while not self.over.is_set() and time.monotonic() - began < PATIENCE_SEC:
            for server in order:
                answer = server.ask_once(message, 0.3)
                if answer is not None:
                    self.served = max(self.served, began)
                    self.answers[wire.TYPES[message.kind], wire.TYPES[answer.kind]] += 1
                    return answer, began
        return None, began

    def forget(self, lease, at):
        address, since, end = self.leases.pop(lease)
        self.history.append(Held(address, lease, since, min(at, end)))

    def request(self):
        message = wire.request(ORG['first'], wire.lease_time(self.dice.randint(4, 9)))
        answer, sent = self.ask(message)
        if answer is None or answer.kind != wire.ACK:
            return
        now, end = time.monotonic(), sent + answer.number(wire.LEASE_TIME)
        if end > now:
            self.leases[message.get(wire.LEASE_ID)] = [answer.addresses[0], now, end]

    def renew(self, lease):
        address, _, end = self.leases[lease]
        answer, sent = self.ask(wire.renew(lease, wire.lease_time(self.dice.randint(4, 9))))
        if answer is None:
            return
        if answer.kind == wire.ACK and answer.addresses == [address]:
            self.leases[lease][2] = sent + answer.number(wire.LEASE_TIME)
        elif time.monotonic() < end - ROUNDING_SEC:
            self.problems.append(f'a live lease of {address} is gone: {answer}')

    def release(self, lease):
        self.forget(lease, time.monotonic())
        self.ask(wire.release(lease))

    def step(self):
        for lease in [lease for lease, (_, _, end) in self.leases.items()
                      if time.monotonic() > end]:
            self.forget(lease, float('inf'))
        if len(self.leases) < LEASES:
            self.request()
            return
        # Those that end first are renewed; now and then one is released, or just forgotten.
        lease = min(self.leases, key=lambda each: self.leases[each][2])
        what = self.dice.random()
        if what < 0.7:
            self.renew(lease)
        elif what < 0.95:
            self.release(lease)
        else:
            self.forget(lease, time.monotonic())

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
                time.sleep(0.02)
        except Exception as error:  # it has to be seen
            self.problems.append(f'a client ended: {error!r}')
        for lease in list(self.leases):
            self.forget(lease, time.monotonic())


class Torture(madcapd.Case):
    def setUp(self):
        super().setUp()
        self.problems = []
        self.dice = random.Random(SEED)
        self.primary = self.make_cluster()
        self.primary.make().start()
        self.standby = self.make_cluster()
        self.standby.follow(self.primary).start()
        self.primary.sql('CREATE DATABASE book')
        self.gates = [[self.make_gate(cluster) for cluster in (self.primary, self.standby)]
                      for _ in range(SERVERS)]
        self.confs = [self.write_conf(i) for i in range(SERVERS)]
        done = self.run_madcapd('-c', self.confs[0], '--init-book')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.primary.wait_for_standby()
        self.servers = [self.run_server(i) for i in range(SERVERS)]
        self.clients = [self.make_client(i) for i in range(CLIENTS)]

    # -- the world

    def make_cluster(self):
        cluster = postgres.Cluster()
        self.addCleanup(cluster.dispose)
        return cluster

    def make_gate(self, cluster):
        gate = postgres.Gate(cluster)
        self.addCleanup(gate.close)
        return gate

    def write_conf(self, i):
        hosts = ','.join(str(gate.directory) for gate in self.gates[i])
        self.conf = self.directory / f'{i}.conf'
        scope = {**ORG, 'allocate': [f'239.192.1.0-239.192.1.{ADDRESSES - 1}']}
        self.write_config(
            scope, book='postgresql', server_name=f's{i}', database_timeout='1s',
            connection=f'host={hosts} user={postgres.ROLE} dbname=book',
            state_dir=self.directory / f'state{i}', extra_allocation_time=f'{EXTRA_SEC}s',
            listen=[f'127.0.0.{i + 1}'], port=getattr(self, 'port', 0), max_addresses_per_client=0)
        return self.conf

    def run_server(self, i):
        """The last one has a clock of its own."""
        self.conf, self.log = self.confs[i], self.directory / f'{i}.log'
        skewed = {'LD_PRELOAD': str(paths.MODULES / 'skewed.so'), 'SKEW_SEC': '-5000',
                  'ASAN_OPTIONS': 'verify_asan_link_order=0'}
        server = self.launch(environment=skewed if i == SERVERS - 1 else None).wait_ready()
        if 'port = 0' in self.conf.read_text():  # it keeps the one that it has got
            self.conf.write_text(self.conf.read_text().replace('port = 0', f'port = {server.port}'))
        return server

    def make_client(self, i):
        servers = [wire.Client(f'127.0.0.{j + 1}', server.port)
                   for j, server in enumerate(self.servers)]
        for server in servers:
            self.addCleanup(server.close)
        return Client(servers, f'{SEED}-{i}', self.problems)

    # -- what goes wrong; each one yields while it does

    def kill_a_server(self):
        i = self.dice.randrange(SERVERS)
        self.servers[i].kill()
        yield
        self.servers[i] = self.run_server(i)

    def stop_a_server(self):
        server = self.dice.choice(self.servers)
        server.send_signal(signal.SIGSTOP)
        yield
        server.send_signal(signal.SIGCONT)

    def cut_off_a_server(self):
        gates = self.dice.choice(self.gates)
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

    def new_standby(self):
        self.standby.wipe()
        self.standby.follow(self.primary).start()
        self.primary.wait_for_standby()

    # -- the run

    def all_served_since(self, since):
        return all(client.served >= since for client in self.clients)

    def one_fault(self, fault):
        steps = fault()
        next(steps)
        time.sleep(self.dice.uniform(0.3, 2.0))  # for so long it is broken
        for _ in steps:
            pass
        healed = time.monotonic()
        wait_for(lambda: self.all_served_since(healed),
                 f'service after {fault.__name__} (seed {SEED})', SERVED_SEC)
        return fault.__name__, time.monotonic() - healed

    def check(self):
        history = [held for client in self.clients for held in client.history]
        history.sort(key=lambda held: (held.address, held.start))
        for before, after in zip(history, history[1:]):
            if before.address == after.address and before.lease != after.lease and \
                    after.start < before.end:
                self.problems.append(f'{before} and {after} have an address at the same time')
        return len(history)

    def test_no_fault_makes_a_wrong_answer(self):
        faults = [self.kill_a_server, self.stop_a_server, self.cut_off_a_server,
                  self.crash_the_primary, self.hang_the_primary, self.hang_the_standby]
        self.dice.shuffle(faults)
        faults.insert(3, self.replace_the_primary)
        for client in self.clients:
            client.start()
        until, took, n = time.monotonic() + SECONDS, [], 0
        try:
            wait_for(lambda: self.all_served_since(1), 'the first answers')
            while n < len(faults) or time.monotonic() < until:
                fault = faults[n] if n < len(faults) else self.dice.choice(faults)
                took.append(self.one_fault(fault))
                if fault == self.replace_the_primary:
                    self.new_standby()
                n += 1
        finally:
            for client in self.clients:
                client.over.set()
            for client in self.clients:
                client.join()
        leases = self.check()
        answers = sum((client.answers for client in self.clients), collections.Counter())
        print(f'seed {SEED}: {n} faults, {leases} leases, {sum(answers.values())} answers; '
              f'served again after {max(seconds for _, seconds in took):.1f} s at most')
        self.assertEqual(self.problems, [], f'seed {SEED}')
        self.assertGreater(answers['REQUEST', 'ACK'], CLIENTS * LEASES)
        self.assertGreater(answers['RENEW', 'ACK'], CLIENTS * LEASES)
