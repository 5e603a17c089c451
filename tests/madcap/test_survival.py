# SPDX-License-Identifier: MIT
"""
madcapd is killed at every one of its system calls while it serves, and each of its calls of the
system fails in turn; after each restart every lease that it has acknowledged is there, none that it
has ended, and no address is leased twice.

What it was asked and did not answer may have happened or not; asked again, it answers the same.
TORTURE_SECONDS makes calls fail in more ways.
"""

import os
import pathlib
import re
import signal
import time
import unittest

from rasip_test import madcap_wire as wire
from rasip_test import faults, madcapd, stepping
from rasip_test.madcapd import ORG

FIRST = ORG['first']


class Server(madcapd.Madcapd):
    """One that is killed at its n-th call, counted from when the first datagram has come."""

    def __init__(self, case, n, after='recvmmsg'):
        self.step = stepping.Step(n, case.directory, after=after)
        super().__init__(case.conf, case.log, self.step.wrap())
        case.addCleanup(self.stop, signal.SIGKILL)

    def stop(self, number=signal.SIGTERM):
        """The server itself: whoever watches it ends then, and not before the book is free."""
        pid = self.process.pid
        try:
            served = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
            for child in served:
                os.kill(int(child), number)
        except (FileNotFoundError, ProcessLookupError):
            served = []
        return self.process.wait(madcapd.PATIENCE_SEC) if served else super().stop(number)

    def is_gone(self):
        return self.process.poll() is not None


class FaultyServer(madcapd.Madcapd):
    """One whose n-th call of the system fails."""

    def __init__(self, case, n, variant=0, lasting=False):
        self.step = faults.Fault(n, case.directory, variant=variant, lasting=lasting)
        super().__init__(case.conf, case.log, environment=self.step.environment())
        case.addCleanup(self.stop, signal.SIGKILL)

    def is_gone(self):
        return self.process.poll() is not None


class Survival(madcapd.Case):
    """`book` is what is known of each identifier: its addresses, None once it has been ended, and
    for what was asked without an answer both."""

    def setUp(self):
        super().setUp()
        self.write_config(max_addresses_per_client=0, extra_allocation_time='0s',
                          response_cache='60s')
        self.book = {}

    def note(self, message, answer):
        identifier = message.get(wire.LEASE_ID)
        if answer is None:
            if message.kind == wire.REQUEST:
                self.book[identifier] = ('asked', None)
            elif message.kind == wire.RELEASE:
                self.book[identifier] = ('ending', self.book[identifier][1])
            return
        self.assert_ack(answer, message)
        if message.kind == wire.RELEASE:
            self.book[identifier] = ('ended', None)
        else:
            before = self.book.get(identifier, (None, None))[1]
            self.assertIn(before, (None, answer.addresses))
            self.book[identifier] = ('held', answer.addresses)

    def wait_answers(self, client, server, messages):
        """The answers in order; None for what has not come when the server was gone."""
        answers = {}
        until = time.monotonic() + madcapd.PATIENCE_SEC
        while len(answers) < len(messages) and time.monotonic() < until:
            gone = server.is_gone()
            try:
                found = client.receive(0 if gone else 0.005)
            except ConnectionRefusedError:
                continue
            if found is not None:
                answers[found.xid] = found
            elif gone:
                break
        return [answers.get(message.xid) for message in messages]

    def send(self, server, client, *messages):
        """All at once; returns whether the server lived through it."""
        for message in messages:
            if message.kind == wire.RELEASE:
                self.note(message, None)
        for message in messages:
            client.send(message)
        for message, answer in zip(messages, self.wait_answers(client, server, messages)):
            self.note(message, answer)
        return not server.is_gone()

    # -- what holds afterwards

    def check_book(self):
        leases = {bytes.fromhex(lease['request_id']): lease['addresses']
                  for lease in self.admin('leases')}
        every = [address for addresses in leases.values() for address in addresses]
        self.assertEqual(len(every), len(set(every)), 'an address was given twice')
        self.assertLessEqual(leases.keys(), self.book.keys())
        for identifier, (state, addresses) in self.book.items():
            found = leases.get(identifier)
            if state == 'held':
                self.assertEqual(found, addresses, 'an acknowledged lease is lost')
            elif state == 'ended':
                self.assertIsNone(found, 'an ended lease is back')
            elif state == 'ending':
                self.assertIn(found, (None, addresses))
        return leases

    def ask_again(self, client, message, leases):
        """A retransmission of what was not answered: what is on disk is what it gets."""
        identifier = message.get(wire.LEASE_ID)
        answer = client.ask(message)
        if message.kind == wire.RELEASE and identifier not in leases:
            self.assertEqual(answer.kind, wire.NAK)
            self.book[identifier] = ('ended', None)
            return
        if message.kind == wire.REQUEST and identifier in leases:
            self.assertEqual(answer.addresses, leases[identifier])
        self.note(message, answer)

    def after(self, messages):
        """Another server, on what the killed one has left."""
        server = self.start()
        with self.client(server) as client:
            leases = self.check_book()
            for message in messages:
                state = self.book.get(message.get(wire.LEASE_ID), (None,))[0]
                if (state, message.kind) in (('asked', wire.REQUEST), ('ending', wire.RELEASE)):
                    self.ask_again(client, message, leases)
            self.check_book()
            for identifier, (state, _) in list(self.book.items()):
                if state == 'held' and identifier not in self.kept:
                    message = wire.release(identifier)
                    self.note(message, client.ask(message))
        server.kill()
        for identifier in [key for key, value in self.book.items() if value[0] == 'ended']:
            del self.book[identifier]

    # -- before

    def keep_three(self):
        server = self.start()
        with self.client(server) as client:
            for message in (wire.request(FIRST, wire.n_addresses(2, 2)) for _ in range(3)):
                self.note(message, client.ask(message))
        self.kept = set(self.book)
        server.kill()

    def play(self, server, client):
        """A lease's life; returns the messages that have been sent."""
        message = wire.request(FIRST)
        identifier = message.get(wire.LEASE_ID)
        messages = [message, wire.renew(identifier, wire.lease_time(7000)),
                    wire.release(identifier)]
        for i, each in enumerate(messages):
            lives = self.send(server, client, each)
            if not lives or self.book.get(identifier, ('refused',))[0] in ('refused', 'asked'):
                return messages[:i + 1]
        return messages

    def connected(self, server):
        client = self.client(server)
        client.socket.connect(('127.0.0.1', server.port))

        def send(message):
            try:
                client.socket.send(message.encode())
            except ConnectionRefusedError:
                pass  # the server is gone, and the next one will not have seen it

        client.send = send
        return client


@unittest.skipIf(stepping.why_not(), stepping.why_not())
class Stepping(Survival):
    def each(self, play):
        """`play` is told the client and the server, and gives the messages that it has sent."""
        self.keep_three()
        for n in range(1, stepping.CALLS_MAX):
            server = Server(self, n).wait_ready()
            try:
                with self.connected(server) as client:
                    messages = play(server, client)
                done = not server.is_gone()
                server.kill()
                self.after(messages)
            except Exception as error:
                raise AssertionError(f'{server.step!r}: {error}') from error
            if done:
                self.assertGreater(n, 10)
                print(f'{self.id()}: {n - 1} kills')
                return

    def test_one_by_one(self):
        self.each(self.play)

    def test_batch(self):
        def play(server, client):
            first = wire.request(FIRST)
            self.send(server, client, first)
            if server.is_gone():
                return [first]
            messages = [wire.request(FIRST, wire.n_addresses(1, 3)), wire.request(FIRST),
                        wire.release(first.get(wire.LEASE_ID)),
                        *(wire.renew(identifier) for identifier in sorted(self.kept))]
            self.send(server, client, *messages)
            return [first, *messages]

        self.each(play)

    def test_start(self):
        """From its first call until it says that it is ready."""
        self.keep_three()
        for n in range(1, stepping.CALLS_MAX):
            server = Server(self, n, after=None)
            madcapd.wait_for(lambda: server.is_gone() or 'ready on' in server.log(), 'an outcome')
            done = not server.is_gone()
            server.kill()
            if done or n % 8 == 0:
                self.after([])
            if done:
                self.assertGreater(n, 50)
                print(f'{self.id()}: {n - 1} kills')
                return


@unittest.skipIf(faults.why_not(), faults.why_not())
class Faults(Survival):
    PATIENCE_SEC = 0.3  # for an answer that may not come

    def wait_answers(self, client, server, messages):
        """What fails may be the answer; a client asks again."""
        answers = []
        for message in messages:
            answer = None
            for _ in range(3):
                if answer is None and not server.is_gone():
                    client.send(message)
                    answer = self.answer_to(client, message)
            answers.append(answer)
        return answers

    def answer_to(self, client, message):
        try:
            return client.answer_to(message, self.PATIENCE_SEC)
        except ConnectionRefusedError:
            return None

    def note(self, message, answer):
        """A server that cannot write says so: nothing has happened."""
        if answer is None or answer.kind == wire.ACK:
            super().note(message, answer)

    def run_one(self, n, **how):
        server = FaultyServer(self, n, **how)
        messages = []
        # A line for the log may be what cannot be written, and so with all that follow.
        mute = how.get('lasting', False)
        madcapd.wait_for(lambda: server.is_gone() or madcapd.READY.search(server.log().encode())
                         or server.step.struck() == 'write' or (mute and server.step.struck()),
                         'an outcome')
        if not server.is_gone() and madcapd.READY.search(server.log().encode()):
            server.wait_ready()
            with self.connected(server) as client:
                messages = self.play(server, client)
        gone = server.is_gone()
        # Where no read succeeds, signals do not either.
        status = server.stop(signal.SIGKILL if mute else signal.SIGTERM)
        self.assertTrue(status >= 0 or (mute and not gone), f'{status}:\n{server.log()}')
        if gone:
            self.assertEqual(status, 1, server.log())
            self.assertTrue(mute or re.search(r'\S: \S', server.log()), server.log())
        self.after(messages)
        return server.step.struck()

    def each(self, **how):
        self.keep_three()
        for n in range(1, stepping.CALLS_MAX):
            try:
                if self.run_one(n, **how) is None:
                    break
            except Exception as error:
                raise AssertionError(f'FAULT_AT={n} {how}: {error}') from error
        self.assertGreater(n, 50)
        print(f'{self.id()}: {n - 1} faults')

    def test_one_call_fails(self):
        self.each()

    @stepping.only_in_torture
    def test_in_other_ways(self):
        for variant in range(1, 4):
            self.each(variant=variant)

    @stepping.only_in_torture
    def test_all_calls_fail_from_one_on(self):
        self.each(lasting=True)


if __name__ == '__main__':
    unittest.main()
