# SPDX-License-Identifier: MIT
"""
Access servers, each with a pool over the same groups, while the madcapd that lease them and their
database are killed, stopped, cut off and replaced at random (rasip_test/book_world.py). Their sessions
come, stay and go; some are killed, also while they are coming.

What must hold: no group is had by two sessions at a time, wherever they are; a session that is up has
a lease in the book, which has not ended; soon after a fault each access server gets addresses again;
and when all sessions are gone, so are all leases.
"""

import collections
import json
import os
import random
import signal
import subprocess
import threading
import time
import unittest

from rasip_test import book_world, config, harness, paths
from rasip_test.book_world import SEED
from rasip_test.case import Case
from rasip_test.madcapd import ORG, wait_for
from rasip_test.postgres import children_of

LEASES_SEC = 9, 3600, 9, 3600  # of the access servers: some leases end in an outage, some never here
SKEW_SEC = 86400  # of the last one's clock
SESSIONS = 4  # of each
USERS = 10
ADDRESSES = 48
EXTRA_SEC = 2  # between two leases of an address
ROUNDING_SEC = 1  # RASIP_LEASE_END is in whole seconds
# What a process that died while it asked was working at is nobody else's for a minute.
BUSY_SEC = 75
IS_LONG = 'TORTURE_SECONDS' in os.environ
TOOL_SEC = 60

# A session that was seen to be up from `start` to `end`; its lease was to end at `until`, Unix time.
Held = collections.namedtuple('Held', 'group start end where until')
Look = collections.namedtuple('Look', 'start end now leases')  # at the book


def setUpModule():
    if book_world.why_not():
        raise unittest.SkipTest(book_world.why_not())


class Session:
    def __init__(self, answer, at):
        self.group = answer['env']['RASIP_GROUP']
        self.address = answer['address']
        self.pid = answer['pid']
        self.since = self.seen = at
        self.until = 0


class AccessServer(threading.Thread):
    """One harness with its own registry and its own memory of leases, and its sessions."""

    def __init__(self, case, number, servers):
        super().__init__(daemon=True)
        self.name = f'ras{number}'
        self.dice = random.Random(f'{SEED}-{number}')
        self.problems, self.lease_sec = case.problems, LEASES_SEC[number]
        self.skew = SKEW_SEC if number == len(LEASES_SEC) - 1 else 0
        self.environment = {**os.environ, **(book_world.skewed(self.skew) if self.skew else {})}
        self.conf = case.directory / f'{self.name}.conf'
        self.conf.write_text(config.render_file({
            'runtime_dir': case.directory / self.name / 'run',
            'state_dir': case.directory / self.name / 'state',
            'pools': [config.pool('campus', f'10.80.0.0-10.80.0.{ADDRESSES - 1}', backend='madcap',
                                  madcap={'scope': ORG['first'], 'timeout': '3s',
                                          'lease': f'{self.lease_sec}s', 'servers': servers})]}))
        self.harness = harness.Harness(self.conf, environment=self.environment)
        case.addCleanup(self.harness.dispose)
        self.sessions = {}
        self.history = []  # Held
        self.late = []     # sessions that were up after their leases, by how much, and when
        self.served = 0.0  # when a session was asked for last that has got an address
        self.counts = collections.Counter()
        self.only_watch = threading.Event()
        self.over = threading.Event()

    def forget(self, name, seen=None):
        session = self.sessions.pop(name)
        self.history.append(Held(session.group, session.since, seen or session.seen,
                                 f'{self.name} {name}', session.until))

    def note_up(self, name, answer, sent, sent_sec):
        """Some time after `sent` it was up, so its lease went on then, by its own clock."""
        session, end = self.sessions[name], int(answer['env']['RASIP_LEASE_END']) - self.skew
        session.seen, session.until = max(session.seen, sent), end
        if end + ROUNDING_SEC < sent_sec:
            self.late.append((name, sent_sec - end - ROUNDING_SEC, time.monotonic()))
        if answer['address'] != session.address or answer['env']['RASIP_GROUP'] != session.group:
            self.problems.append(f'{self.name} {name}: {session.address} became {answer}')

    # -- what sessions do

    def kill_newest_soon(self):
        """A process that is asking for an address just now."""
        known = {session.pid for session in self.sessions.values()}

        def kill():
            for pid in children_of(self.harness.pid):
                if pid not in known:
                    os.kill(pid, signal.SIGKILL)

        timer = threading.Timer(self.dice.uniform(0, 0.05), kill)
        timer.start()
        return timer

    def connect(self):
        name = next(f's{i}' for i in range(SESSIONS) if f's{i}' not in self.sessions)
        may_kill = IS_LONG or self.lease_sec < BUSY_SEC  # the lease ends before that minute
        killer = self.kill_newest_soon() if may_kill and self.dice.random() < 0.15 else None
        began = time.monotonic()
        answer = self.harness.connect(name, user=f'user{self.dice.randrange(USERS)}')
        at = time.monotonic()
        self.counts[answer['result']] += 1
        if killer:
            killer.join()
            if answer['result'] == 'up':  # and dead by now, perhaps
                self.sessions[name] = Session(answer, at)
                self.forget(name)
                self.harness.kill(name)
        elif answer['result'] == 'up':
            self.served = began
            self.sessions[name] = Session(answer, at)
        elif answer['result'] != 'refused' or 'full' in answer['reason']:
            self.problems.append(f'{self.name}: {answer}')

    def ask(self, name, verb):
        sent, sent_sec = time.monotonic(), time.time()
        answer = self.harness.play(verb, name)
        if answer['result'] == 'up':
            self.note_up(name, answer, sent, sent_sec)
            return
        self.counts['hung up'] += 1
        self.forget(name)
        if answer['result'] == 'dead':
            self.harness.disconnect(name)

    def step(self):
        if self.sessions and (self.only_watch.is_set() or self.dice.random() < 0.8):
            for name in list(self.sessions):
                self.ask(name, 'show')
            return
        if self.only_watch.is_set():
            return
        if len(self.sessions) < SESSIONS:
            self.connect()
            return
        name = self.dice.choice(sorted(self.sessions))
        verb = self.dice.choices(('renegotiate', 'disconnect', 'kill'), (2, 6, 2))[0]
        self.counts[verb] += 1
        if verb == 'renegotiate':
            self.ask(name, verb)
        else:
            self.forget(name, time.monotonic())
            self.harness.play(verb, name)

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
                time.sleep(0.02)
        except Exception as error:  # it has to be seen
            self.problems.append(f'{self.name} ended: {error!r}')

    def end(self):
        for name in list(self.sessions):
            self.forget(name, time.monotonic())
            self.harness.disconnect(name)

    def reclaim(self):
        done = subprocess.run([str(paths.RASIP), '-c', str(self.conf), 'reclaim', '--json'],
                              capture_output=True, text=True, check=True, timeout=TOOL_SEC,
                              env=self.environment)
        return json.loads(done.stdout)


class Onlooker(threading.Thread):
    """Looks at the book every now and then, where the database lets itself be asked."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.looks = []
        self.over = threading.Event()

    def look(self):
        start = time.monotonic()
        rows = self.world.primary.sql(
            'SELECT host(address), ends_sec, extract(epoch FROM clock_timestamp())'
            ' FROM madcap.lease UNION ALL SELECT NULL, 0, extract(epoch FROM clock_timestamp())',
            'book', timeout=5)
        leases = {}  # and when they end; one that has ended may be there still
        for group, end, _ in rows:
            if group:
                leases[group] = max(int(end), leases.get(group, 0))
        return Look(start, time.monotonic(), min(float(now) for _, _, now in rows), leases)

    def run(self):
        while not self.over.wait(0.3):
            try:
                self.looks.append(self.look())
            except (AssertionError, subprocess.TimeoutExpired):
                pass  # it is down, or hangs


class Machine(threading.Thread):
    """How long the machine itself stands still, for its disk or for other work."""

    def __init__(self, directory):
        super().__init__(daemon=True)
        self.file = directory / 'disk'
        self.stalls = []  # from, to
        self.over = threading.Event()

    def run(self):
        with open(self.file, 'wb', buffering=0) as file:
            while not self.over.is_set():
                began = time.monotonic()
                time.sleep(0.02)
                file.write(b'x')
                os.fsync(file.fileno())
                if time.monotonic() - began > 0.1:
                    self.stalls.append((began, time.monotonic()))

    def stood_still(self, until):
        """The seconds of it in the last few before then."""
        return sum(end - began for began, end in self.stalls if until - 5 < end and began < until)


class Torture(Case):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.problems = []
        self.world = book_world.World(self, {}, extra_allocation_time=f'{EXTRA_SEC}s')
        names = [f'{address}:{port}' for address, port in self.world.addresses]
        dice = random.Random(SEED)
        self.servers = [AccessServer(self, i, dice.sample(names, len(names)))
                        for i in range(len(LEASES_SEC))]
        self.onlooker = Onlooker(self.world)
        self.machine = Machine(self.directory)

    def all_served_since(self, since):
        return all(server.served >= since for server in self.servers)

    # -- what must hold

    def check_apart(self, history):
        for before, after in zip(history, history[1:]):
            if before.group == after.group and after.start < before.end:
                self.problems.append(f'{before} and {after} have a group at the same time')

    def check_booked(self, history):
        """What was up all the time that a look took has a lease in what was seen. A machine that stood
        still hangs up late by as much, and extra_allocation_time is what is there for it. Returns how
        many there were."""
        n = 0
        for look in self.onlooker.looks:
            for held in history:
                if held.start > look.start or held.end < look.end:
                    continue
                n += 1
                end = look.leases.get(held.group)
                if end is None and held.until <= look.now:
                    end = held.until  # it has been swept out since
                if end is None or look.now - end >= self.machine.stood_still(look.end):
                    self.problems.append(f'{held} is up; looked at the book from {look.start} to '
                                         f'{look.end}, at {look.now}: '
                                         f'{look.leases.get(held.group)}')
        return n

    def check_late(self):
        for server in self.servers:
            for name, seconds, at in server.late:
                if seconds >= self.machine.stood_still(at):
                    self.problems.append(f'{server.name} {name} is up {seconds:.1f} s after its '
                                         f'lease, at {at}')

    def check_logs(self):
        """The book has lost nothing that a server had confirmed."""
        for server in self.servers:
            for line in server.harness.events('close'):
                if 'could not be renewed' not in line:
                    self.problems.append(f'{server.name}: {line}')

    def outlast_short_leases(self):
        """An outage that is longer than the leases of half of the access servers."""
        short = [server for server in self.servers if server.lease_sec < 60]

        def lasts():
            wait_for(lambda: not any(server.sessions for server in short),
                     'the end of sessions whose leases end')
            for server in self.servers:
                server.only_watch.clear()

        wait_for(lambda: all(server.sessions for server in short), 'sessions')
        for server in self.servers:
            server.only_watch.set()
        return self.world.one_fault(self.world.hang_the_primary, self.all_served_since, lasts)

    def end_all(self):
        """Every lease is given back: by its session, or by who finds what the dead have left."""
        for server in self.servers:
            server.over.set()
        for server in self.servers:
            server.join()
            server.end()

        def is_empty():
            for server in self.servers:
                server.reclaim()
            return not self.onlooker.look().leases

        wait_for(is_empty, f'the last lease to be given back (seed {SEED})', BUSY_SEC)

    def test_no_fault_makes_two_sessions_of_one_address(self):
        for thread in (*self.servers, self.onlooker, self.machine):
            thread.start()
        try:
            faults, longest = self.world.run(self.all_served_since)
            longest = max(longest, self.outlast_short_leases())
            self.end_all()
        finally:
            for thread in (*self.servers, self.onlooker, self.machine):
                thread.over.set()
            for thread in (*self.servers, self.onlooker, self.machine):
                thread.join()
        history = [held for server in self.servers for held in server.history]
        history.sort(key=lambda held: (held.group, held.start))
        self.check_apart(history)
        looks = self.check_booked(history)
        self.check_late()
        self.check_logs()
        counts = sum((server.counts for server in self.servers), collections.Counter())
        print(f'seed {SEED}: {faults + 1} faults, {dict(counts)}; {looks} times a session was found in '
              f'the book; served again after {longest:.1f} s at most')
        self.assertEqual(self.problems, [], f'seed {SEED}')
        self.assertGreater(counts['up'], 5 * SESSIONS)
        self.assertGreater(looks, 5 * SESSIONS)


if __name__ == '__main__':
    unittest.main()
