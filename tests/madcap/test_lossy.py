# SPDX-License-Identifier: MIT
"""madcapd and madcap where a fifth of the datagrams is lost, and others come twice or late."""

import concurrent.futures
import json
import subprocess
import unittest

from rasip_test import lossy, madcapd, paths
from rasip_test import madcap_wire as wire
from rasip_test.madcapd import ORG


class Lossy(madcapd.Case):
    def setUp(self):
        super().setUp()
        self.server = self.start(max_addresses_per_client=0)
        self.relay = lossy.Relay(('127.0.0.1', self.server.port))
        self.addCleanup(self.relay.close)

    def book(self):
        return {lease['request_id']: lease['addresses'] for lease in self.admin('leases')}

    def assert_no_address_twice(self, leases):
        every = [address for addresses in leases.values() for address in addresses]
        self.assertEqual(len(every), len(set(every)))

    def exchanges(self, number):
        """Requests, renewals and releases; gives the leases that are left."""
        held = {}
        with wire.Client('127.0.0.1', self.relay.port) as client:
            for turn in range(30):
                identifier = wire.fresh_id()
                answer = self.assert_ack(client.ask(
                    wire.request(ORG['first'], wire.n_addresses(1, 3), identifier=identifier),
                    30, again=0.1))
                renewed = self.assert_ack(client.ask(wire.renew(identifier), 30, again=0.1))
                self.assertEqual(renewed.addresses, answer.addresses, f'client {number}')
                held[identifier.hex()] = answer.addresses
                if turn % 3:
                    self.assert_ack(client.ask(wire.release(identifier), 30, again=0.1))
                    del held[identifier.hex()]
        return held

    def test_every_operation_ends_right(self):
        held = {}
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for each in pool.map(self.exchanges, range(4)):
                held.update(each)
        self.assert_no_address_twice(held)
        self.assertEqual(self.book(), held)
        self.assertGreater(self.relay.counts['lost'], 50)
        self.assertGreater(self.admin('metrics')['values']['retransmissions_total'], 10)

    def tool(self, *arguments):
        done = subprocess.run([str(paths.MADCAP), *map(str, arguments), '--timeout', '20s',
                               '--tries', '16', '--json'], capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''), arguments)
        return json.loads(done.stdout) if done.stdout else None

    def life(self, number):
        file = self.directory / f'lease{number}'
        lease = self.tool('request', '--scope', ORG['first'], '--count', 2, '--save', file,
                          '--server', f'127.0.0.1:{self.relay.port}')
        renewed = self.tool('renew', file, '--lease', '2h')
        self.assertEqual(renewed['addresses'], lease['addresses'])
        return file, lease

    @unittest.skipUnless(paths.MADCAP.exists(), 'there is no madcap tool')
    def test_the_tool(self):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            lives = list(pool.map(self.life, range(8)))
            leases = {lease['request_id']: lease['addresses'] for _, lease in lives}
            self.assert_no_address_twice(leases)
            self.assertEqual(self.book(), leases)
            list(pool.map(lambda life: self.release(life[0]), lives))
        self.assertEqual(self.book(), {})

    def release(self, file):
        done = subprocess.run([str(paths.MADCAP), 'release', str(file), '--timeout', '20s',
                               '--tries', '16'], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ''))


if __name__ == '__main__':
    unittest.main()
