# SPDX-License-Identifier: MIT
"""
Many sessions on a small pool do everything at random; some are killed at any moment (SIGKILL and
SIGSEGV), and some are stopped for a while, in the middle of a transaction, too.

RASIP_TORTURE_SECONDS (15) is how long, RASIP_TORTURE_SEED picks another run. The seed is told.
No address may be held twice, and none may be lost: in the end the pool fills up again.
"""

import os
import pathlib
import random
import signal
import threading
import time
import unittest

from rasip_test.case import Case
from rasip_test.config import pool

SECONDS = float(os.environ.get('RASIP_TORTURE_SECONDS', '15'))
UP_MIN = SECONDS * 5
DEADLY = (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV)
if os.environ.get('RASIP_UNDER'):
    # A checker takes its time, and takes a fault that was sent to it for its own.
    UP_MIN, DEADLY = 1, (signal.SIGKILL,)
SEED = int(os.environ.get('RASIP_TORTURE_SEED', str(time.time_ns() % 1000000)))
HARNESSES = 4
SESSIONS = 6  # of each harness
SIZE = 12  # of the pool: fewer than there may be sessions
USERS = 30


class Book:
    """
    Who holds what. A session is entered when its answer has come, and struck out before it is told
    to end: while two sessions stand here with one address, both have it.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.holders = {}
        self.killed = set()
        self.wrong = []
        self.counts = {}

    def enter(self, session, answer):
        with self.lock:
            if answer['pid'] in self.killed:
                return
            address = answer['address']
            if address in self.holders:
                self.wrong.append(f'{address}: {self.holders[address].name} and {session.name}')
            self.holders[address] = session
            session.address, session.pid = address, answer['pid']

    def strike(self, session):
        """Under the lock."""
        if session.address and self.holders.get(session.address) is session:
            del self.holders[session.address]
        session.address = None

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1


class Session:
    def __init__(self, name):
        self.name = name
        self.exists = False
        self.address = None
        self.pid = None


class Worker(threading.Thread):
    """One harness and its sessions."""

    def __init__(self, number, harness, book, seed, end):
        super().__init__()
        self.harness, self.book, self.end = harness, book, end
        self.random = random.Random(seed)
        self.sessions = [Session(f'h{number}s{i}') for i in range(SESSIONS)]
        self.connecting = False
        self.error = None

    def run(self):
        try:
            while time.monotonic() < self.end and not self.book.wrong:
                self.step(self.random.choice(self.sessions))
        except Exception as error:  # told by the test
            self.error = error

    def step(self, session):
        if not session.exists:
            self.connect(session)
            return
        verb = self.random.choices(
            ('renegotiate', 'detach', 'reconnect', 'relogin', 'drop', 'disconnect', 'kill',
             'signal'), (30, 10, 10, 10, 5, 25, 8, 4))[0]
        getattr(self, verb)(session)
        self.book.count(verb)

    def user(self):
        return f'user{self.random.randrange(USERS)}'

    def take(self, session, answer):
        """What became of a session that was to come up."""
        self.book.count(f'  {answer["result"]}')
        if answer['result'] == 'up':
            self.book.enter(session, answer)
            session.exists = True
        elif answer['result'] not in ('refused', 'gone', 'dead'):
            raise AssertionError(answer)
        elif answer['result'] == 'gone':
            session.exists = False

    def connect(self, session):
        keys = {'user': self.user()}
        if self.random.random() < 0.1:
            keys['ipcp'] = 'fail'
        if self.random.random() < 0.3:
            keys['asks'] = f'10.64.0.{self.random.randrange(SIZE)}'
        self.connecting = True
        answer = self.harness.connect(session.name, **keys)
        self.connecting = False
        self.take(session, answer)
        self.book.count('connect')

    def strike(self, session):
        with self.book.lock:
            self.book.strike(session)

    def renegotiate(self, session):
        with self.book.lock:
            before = session.address
        answer = self.harness.renegotiate(session.name)
        if answer['result'] == 'up' and before not in (None, answer['address']):
            self.book.wrong.append(f'{session.name}: {before} became {answer["address"]}')
        if answer['result'] not in ('up', 'gone', 'dead'):
            raise AssertionError(answer)
        self.note_end(session, answer)

    def note_end(self, session, answer):
        if answer['result'] == 'gone':
            self.strike(session)
            session.exists = False

    def detach(self, session):
        answer = self.harness.detach(session.name)
        self.note_end(session, answer)
        if answer['result'] == 'ok':
            with self.book.lock:
                session.pid = answer['pid']

    def reconnect(self, session):
        self.strike(session)
        answer = self.harness.reconnect(session.name, user=self.user())
        self.take(session, answer)

    def relogin(self, session):
        self.strike(session)
        answer = self.harness.relogin(session.name, user=self.user())
        self.take(session, answer)
        if answer['result'] == 'refused':  # the process ended, unless it was `persist` already
            self.harness.disconnect(session.name)
            session.exists = False

    def drop(self, session):
        self.strike(session)
        answer = self.harness.drop(session.name)
        self.note_end(session, answer)
        if answer['result'] == 'dead':
            self.take(session, self.harness.reconnect(session.name))

    def disconnect(self, session):
        self.strike(session)
        self.harness.disconnect(session.name,
                                how=self.random.choice(('terminate', 'hangup', 'exit')))
        session.exists = False

    def kill(self, session):
        self.strike(session)
        self.harness.kill(session.name)
        session.exists = False

    def signal(self, session):
        self.strike(session)
        self.harness.signal(session.name, self.random.choice(('SEGV', 'TERM', 'ABRT')))
        self.harness.gone(session.name)
        session.exists = False


class Killer(threading.Thread):
    """Kills and stops sessions at any moment: those that are up, and those on their way."""

    def __init__(self, workers, book, seed, end):
        super().__init__()
        self.workers, self.book, self.end = workers, book, end
        self.random = random.Random(seed)
        self.stopped = []

    def run(self):
        while time.monotonic() < self.end:
            time.sleep(self.random.random() * 0.02)
            with self.book.lock:
                self.kill(self.random.choice(self.workers))
            if self.random.random() < 0.3:
                self.stop(self.random.choice(self.workers))
        self.resume(0)

    def stop(self, worker):
        """One that is stopped goes on having its lease, and may make all others wait."""
        victims = children(worker.harness.pid)
        if victims and len(self.stopped) < 3:
            self.signal(self.random.choice(victims), signal.SIGSTOP, 'stopped')
        self.resume(self.random.randrange(3))

    def resume(self, left):
        while len(self.stopped) > left:
            self.signal(self.stopped.pop(0), signal.SIGCONT, 'resumed')

    def signal(self, pid, number, what):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        self.book.count(what)
        if number == signal.SIGSTOP:
            self.stopped.append(pid)

    def kill(self, worker):
        up = [session for session in worker.sessions if session.address]
        if worker.connecting:
            known = {session.pid for session in worker.sessions}
            victims = [pid for pid in children(worker.harness.pid) if pid not in known]
        else:
            victims = []
        if victims:
            self.end_process(victims[0])
        elif up and self.random.random() < 0.2:
            session = self.random.choice(up)
            self.book.strike(session)
            self.end_process(session.pid)

    def end_process(self, pid):
        self.book.killed.add(pid)
        number = self.random.choice(DEADLY)
        try:
            os.kill(pid, number)
            what = 'killed' if number == signal.SIGKILL else 'faulted'
            self.book.counts[what] = self.book.counts.get(what, 0) + 1
        except ProcessLookupError:
            pass


def children(pid):
    try:
        return [int(word) for word in
                pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
    except OSError:
        return []


class Torture(Case):
    def test_t15_t16_nothing_is_held_twice_or_lost(self):
        print(f'RASIP_TORTURE_SEED={SEED}')
        chance = random.Random(SEED)
        self.write_config(pool('p', f'10.64.0.0-10.64.0.{SIZE - 1}',
                               order=chance.choice(('least-recent', 'sequential', 'random')),
                               sticky=chance.random() < 0.7,
                               max_per_user=chance.choice((0, 1, 2))))
        harnesses = [self.start() for _ in range(HARNESSES)]
        for h in harnesses:
            h.wait(0)  # its first session has loaded: killed before, it would be a failed start
        book, end = Book(), time.monotonic() + SECONDS
        workers = [Worker(i, h, book, chance.random(), end) for i, h in enumerate(harnesses)]
        threads = [*workers, Killer(workers, book, chance.random(), end)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = f'seed {SEED}, {book.counts}'
        for worker in workers:
            if worker.error:
                raise AssertionError(told) from worker.error
            worker.harness.close()
        print(told)
        self.assertEqual(book.wrong, [], told)
        self.assertGreaterEqual(book.counts.get('  up', 0), UP_MIN, told)
        self.fill_up(told)

    def fill_up(self, told):
        h = self.start()
        found = {self.assert_up(h.connect(f's{i}', user=f'last{i}')) for i in range(SIZE)}
        self.assertEqual(len(found), SIZE, told)
        self.assert_refused(h.connect('more', user='more'), 'full')


if __name__ == '__main__':
    unittest.main()
