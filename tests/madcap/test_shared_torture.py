# SPDX-License-Identifier: MIT
"""Three madcapd on a PostgreSQL primary and its synchronous standby, all of which are killed,
stopped, cut off and replaced at random (rasip_test/book_world.py), while clients lease, renew and
release.
"""

import collections
import random
import threading
import time
import unittest

from rasip_test import book_world, madcapd
from rasip_test import madcap_wire as wire
from rasip_test.book_world import SEED
from rasip_test.madcapd import ORG

CLIENTS = 6
LEASES = 6         # of each client
ADDRESSES = 60
EXTRA_SEC = 2      # between two leases of an address
ROUNDING_SEC = 1   # servers count whole seconds, so a lease may end that much early
PATIENCE_SEC = 12  # of a client, with all servers

Held = collections.namedtuple('Held', 'address lease start end')


def setUpModule():
    if book_world.why_not():
        raise unittest.SkipTest(book_world.why_not())


class Client(threading.Thread):
    """Has some leases, always; goes to the next server when one is silent."""

    def __init__(self, servers, seed, problems):
        super().__init__(daemon=True)
        self.dice = random.Random(seed)
        # Always as long: a renewal that is carried out late, or whose answer is lost, must not make
        # a lease end earlier than its client knows.
        self.lease_time = wire.lease_time(self.dice.randint(4, 9))
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
        message = wire.request(ORG['first'], self.lease_time)
        answer, sent = self.ask(message)
        if answer is None or answer.kind != wire.ACK:
            return
        now, end = time.monotonic(), sent + answer.number(wire.LEASE_TIME)
        if end > now:
            self.leases[message.get(wire.LEASE_ID)] = [answer.addresses[0], now, end]

    def renew(self, lease):
        address, _, end = self.leases[lease]
        answer, sent = self.ask(wire.renew(lease, self.lease_time))
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
        self.world = book_world.World(
            self, {'allocate': [f'239.192.1.0-239.192.1.{ADDRESSES - 1}']},
            extra_allocation_time=f'{EXTRA_SEC}s')
        self.clients = [self.make_client(i) for i in range(CLIENTS)]

    def make_client(self, i):
        servers = [wire.Client(*address) for address in self.world.addresses]
        for server in servers:
            self.addCleanup(server.close)
        return Client(servers, f'{SEED}-{i}', self.problems)

    def acknowledged(self, kind):
        return sum(client.answers[kind, 'ACK'] for client in self.clients)

    def all_served_since(self, since):
        return all(client.served >= since for client in self.clients)

    def check(self):
        history = [held for client in self.clients for held in client.history]
        history.sort(key=lambda held: (held.address, held.start))
        for before, after in zip(history, history[1:]):
            if before.address == after.address and before.lease != after.lease and \
                    after.start < before.end:
                self.problems.append(f'{before} and {after} have an address at the same time')
        return len(history)

    def test_no_fault_makes_a_wrong_answer(self):
        for client in self.clients:
            client.start()
        try:
            faults, longest = self.world.run(self.all_served_since)
            madcapd.wait_for(lambda: min(self.acknowledged('REQUEST'), self.acknowledged('RENEW'))
                             > CLIENTS * LEASES, 'answers that say something')
        finally:
            for client in self.clients:
                client.over.set()
            for client in self.clients:
                client.join()
        leases = self.check()
        answers = sum((client.answers for client in self.clients), collections.Counter())
        print(f'seed {SEED}: {faults} faults, {leases} leases, {sum(answers.values())} answers; '
              f'served again after {longest:.1f} s at most')
        self.assertEqual(self.problems, [], f'seed {SEED}')
        self.assertGreater(answers['REQUEST', 'ACK'], CLIENTS * LEASES)
        self.assertGreater(answers['RENEW', 'ACK'], CLIENTS * LEASES)


if __name__ == '__main__':
    unittest.main()
