# SPDX-License-Identifier: MIT
"""MADCAP servers that do as a test says, and a network between client and server that is bad."""

import heapq
import itertools
import random
import select
import socket
import sys
import threading
import time

from rasip_test import madcap_wire as wire


IP_RECVTTL = 12  # of Linux


class Worker:
    """A thread that lives until close()."""

    def __init__(self):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            self.step()

    def close(self):
        self._stop.set()
        self._thread.join()


class FakeServer(Worker):
    """Answers each message with what `answer(message)` gives: a Message, octets, several, None."""

    def __init__(self, answer=lambda message: None, address='127.0.0.1', port=0, group=None,
                 interface=None):
        family = socket.AF_INET6 if ':' in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        if group:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                   socket.inet_aton(group) + socket.inet_aton(interface))
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        self.answer = answer
        self.seen = []
        self.ttls = []  # with which each came in
        super().__init__()

    @property
    def name(self):
        address, port = self.socket.getsockname()[:2]
        return f'[{address}]:{port}' if ':' in address else f'{address}:{port}'

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def kinds(self):
        return [wire.TYPES[message.kind] for message in self.seen]

    def steps(self):
        """As kinds(), without what was only sent again because we have been slow."""
        return [wire.TYPES[message.kind] for i, message in enumerate(self.seen)
                if message.encode() not in (before.encode() for before in self.seen[:i])]

    def step(self):
        if not select.select([self.socket], [], [], 0.02)[0]:
            return
        data, control, _, source = self.socket.recvmsg(65536, 100)
        message = wire.decode(data)
        self.ttls += [int.from_bytes(value, sys.byteorder) for _, kind, value in control
                      if kind == socket.IP_TTL]
        self.seen.append(message)
        answers = self.answer(message)
        if not isinstance(answers, list):
            answers = [answers]
        for each in answers:
            if each is not None:
                self.socket.sendto(each if isinstance(each, bytes) else each.encode(), source)

    def close(self):
        super().close()
        self.socket.close()


def reply(message, kind, *options, server='127.0.0.1'):
    return wire.Message(kind, [wire.lease_id(message.get(wire.LEASE_ID)), wire.server_id(server),
                               *options], xid=message.xid, family=message.family)


def ack(message, *options, **settings):
    return reply(message, wire.ACK, *options, **settings)


def nak(message, code, extra=b'\xff\xff', **settings):
    return reply(message, wire.NAK, (wire.ERROR, wire.u16(code) + extra), **settings)


def grant(message, *ranges, seconds=3600, scope='239.192.0.0', extra=(), **settings):
    """The ACK to a REQUEST or RENEW."""
    return ack(message, wire.lease_time(seconds), wire.scope(scope),
               wire.ranges(*(ranges or (('239.192.0.7', 1),))), *extra, **settings)


def scope_list(*scopes):
    """(first, last, ttl, [(flags, language, name)])…"""
    value = bytes([len(scopes)])
    for first, last, ttl, names in scopes:
        value += wire.packed(first) + wire.packed(last) + bytes([ttl, len(names)])
        for flags, language, name in names:
            name = name if isinstance(name, bytes) else name.encode()
            value += bytes([flags, len(language)]) + language.encode() + bytes([len(name)]) + name
    return wire.SCOPE_LIST, value


class BadNetwork(Worker):
    """A relay for UDP that loses, doubles and delays, each way; seeded, so that it can be played
    again."""

    def __init__(self, server, address='127.0.0.1', loss=0.2, double=0.1, delay=0.05, seed=1):
        self._server = server
        self._loss, self._double, self._delay = loss, double, delay
        self._random = random.Random(seed)
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in.bind((address, 0))
        self._out = {}  # by the client's address: a socket towards the server
        self._queue = []
        self._number = itertools.count()
        self.lost = self.doubled = self.passed = 0
        super().__init__()

    @property
    def name(self):
        return '%s:%d' % self._in.getsockname()

    def _put(self, sender, data, to):
        draw = self._random.random()
        copies = 0 if draw < self._loss else 2 if draw < self._loss + self._double else 1
        self.lost += copies == 0
        self.doubled += copies == 2
        for _ in range(copies):
            at = time.monotonic() + self._random.random() * self._delay
            heapq.heappush(self._queue, (at, next(self._number), sender, data, to))

    def _towards(self, client):
        if client not in self._out:
            self._out[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        return self._out[client]

    def step(self):
        sockets = {self._in: None, **{each: client for client, each in self._out.items()}}
        for ready in select.select(list(sockets), [], [], 0.005)[0]:
            data, source = ready.recvfrom(65536)
            if ready is self._in:
                self._put(self._towards(source), data, self._server)
            else:
                self._put(self._in, data, sockets[ready])
        while self._queue and self._queue[0][0] <= time.monotonic():
            _, _, sender, data, to = heapq.heappop(self._queue)
            self.passed += 1
            sender.sendto(data, to)

    def close(self):
        super().close()
        for each in [self._in, *self._out.values()]:
            each.close()
