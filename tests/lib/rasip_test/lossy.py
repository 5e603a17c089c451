# SPDX-License-Identifier: MIT
"""A UDP relay that loses, doubles and reorders datagrams, for where there is no netem."""

import heapq
import random
import select
import socket
import threading
import time


class Relay:
    """Stands before the server at `target`; every client has a socket of its own behind it."""

    def __init__(self, target, loss=0.2, double=0.1, late=0.25, late_sec=0.05, seed=1):
        self._target = target
        self._loss, self._double, self._late, self._late_sec = loss, double, late, late_sec
        self._random = random.Random(seed)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(('127.0.0.1', 0))
        self.port = self._front.getsockname()[1]
        self.counts = {'passed': 0, 'lost': 0, 'doubled': 0, 'late': 0}
        self._backs = {}  # client -> socket
        self._clients = {}  # socket -> client
        self._queue = []  # (time, number, socket, data, address or None)
        self._number = 0
        self._stop, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._wake.send(b'x')
        self._thread.join()
        for each in (self._front, self._stop, self._wake, *self._clients):
            each.close()

    def _back(self, client):
        if client not in self._backs:
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(self._target)
            self._backs[client] = back
            self._clients[back] = client
        return self._backs[client]

    def _pass_on(self, sender, data, address):
        if self._random.random() < self._loss:
            self.counts['lost'] += 1
            return
        copies = 1
        if self._random.random() < self._double:
            self.counts['doubled'] += 1
            copies = 2
        for _ in range(copies):
            when = time.monotonic()
            if self._random.random() < self._late:
                self.counts['late'] += 1
                when += self._random.uniform(0, self._late_sec)
            self._number += 1
            self.counts['passed'] += 1
            heapq.heappush(self._queue, (when, self._number, sender, data, address))

    def _send_due(self):
        while self._queue and self._queue[0][0] <= time.monotonic():
            _, _, sender, data, address = heapq.heappop(self._queue)
            try:
                if address is None:
                    sender.send(data)
                else:
                    sender.sendto(data, address)
            except OSError:
                pass  # one side is gone: lost as well

    def _take(self, ready):
        try:
            if ready is self._front:
                data, client = ready.recvfrom(65536)
                self._pass_on(self._back(client), data, None)
            else:
                self._pass_on(self._front, ready.recv(65536), self._clients[ready])
        except OSError:
            pass

    def _run(self):
        while True:
            wait = max(0, self._queue[0][0] - time.monotonic()) if self._queue else None
            ready = select.select([self._stop, self._front, *self._clients], [], [], wait)[0]
            if self._stop in ready:
                return
            for each in ready:
                self._take(each)
            self._send_due()
