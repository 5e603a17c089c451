# SPDX-License-Identifier: MIT
"""madcapd as a mirror: what it sends to an address that others may have forged."""

import select
import unittest

from rasip_test import madcap_wire as wire
from rasip_test import madcapd

BURST = 65536  # madcapd_budget.h
SCOPES = [{'first': f'239.{i}.0.0', 'last': f'239.{i}.255.255', 'ttl': 16,
           'names': [{'lang': 'en', 'name': f'{i:0>120}', 'default': True}]}
          for i in range(1, 61)]


class Mirror(madcapd.Case):
    def octets_for(self, client, n):
        """Asks n times for all scopes; how much was sent and how much came back."""
        sent = came = 0
        for _ in range(n):
            data = wire.getinfo().encode()
            sent += len(data)
            client.send(data)
            while select.select([client.socket], [], [], 0)[0]:
                came += len(client.socket.recv(65536))
        while select.select([client.socket], [], [], 0.5)[0]:
            came += len(client.socket.recv(65536))
        return sent, came

    def test_a_flood_of_questions_is_not_a_larger_one_of_answers(self):
        server = self.start(*SCOPES)
        victim = self.client(server, source='127.0.0.66')
        answer = victim.ask(wire.getinfo())
        self.assertIsNotNone(answer)
        sent, came = self.octets_for(victim, 1000)
        self.assertLess(came, 3 * sent + BURST + 60 * 4096)
        self.assertLess(came, 10 * sent)
        dropped = next(line for line in self.admin('metrics')['text'].splitlines()
                       if 'reason="amplifies"' in line)
        self.assertGreater(int(dropped.split()[-1]), 100)
        # Others ask as before, and the victim himself can still get leases.
        self.assertIsNotNone(self.client(server, source='127.0.0.67').ask(wire.getinfo()))
        self.assert_ack(victim.ask(wire.request('239.1.0.0')))


if __name__ == '__main__':
    unittest.main()
