# SPDX-License-Identifier: MIT
"""Sessions whose pool is leased from servers that share a lease book: no machine of them is missed."""

import json
import signal
import subprocess
import unittest

from rasip_test import config, paths, postgres
from rasip_test.case import Case
from rasip_test.madcapd import ORG, Madcapd, wait_for


def setUpModule():
    if postgres.missing():
        raise unittest.SkipTest(postgres.missing())


class Shared(Case):
    """A primary database and its synchronous standby, two madcapd, and a pool."""

    def setUp(self):
        super().setUp()
        self.primary, self.standby = postgres.Cluster(), postgres.Cluster()
        for cluster in (self.primary, self.standby):
            self.addCleanup(cluster.dispose)
        self.primary.make().start()
        self.standby.follow(self.primary).start()
        self.primary.sql('CREATE DATABASE book')
        self.primary.wait_for_standby()
        self.confs = []
        self.servers = [self.serve(name) for name in ('one', 'two')]
        self.names = [f'127.0.0.1:{server.port}' for server in self.servers]

    def serve(self, name):
        conf = self.directory / f'{name}.conf'
        conf.write_text(config.render_file({
            'listen': ['127.0.0.1'], 'port': 0, 'state_dir': self.directory / name,
            'scopes': [ORG], 'book': 'postgresql', 'server_name': name, 'database_timeout': '1s',
            'connection': f'host={self.primary.directory},{self.standby.directory} '
                          f'user={postgres.ROLE} dbname=book'}))
        if not self.confs:
            subprocess.run([str(paths.MADCAPD), '-c', str(conf), '--init-book'], check=True,
                           capture_output=True)
        self.confs.append(conf)
        server = Madcapd(conf, self.directory / f'{name}.log')
        self.addCleanup(server.stop, signal.SIGKILL)
        return server.wait_ready()

    def pool(self, lease):
        return config.pool('campus', '10.80.0.0/28', backend='madcap', madcap={
            'scope': ORG['first'], 'servers': self.names, 'lease': lease, 'timeout': '20s'})

    def book(self, index):
        """{group: end} as one of the servers tells it."""
        done = subprocess.run([str(paths.MADCAP), 'admin', '-c', str(self.confs[index]), 'leases',
                               '--json'], capture_output=True, text=True, check=True)
        return {lease['addresses'][0]: lease['end'] for lease in json.loads(done.stdout)}

    def leases(self):
        done = subprocess.run([str(paths.RASIP), '-c', str(self.conf), 'leases', '--json'],
                              capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def wait_delivered(self):
        """Whoever hangs up waits for that for half a second only."""
        wait_for(lambda: subprocess.run([str(paths.RASIP), '-c', str(self.conf), 'reclaim'],
                                        capture_output=True, check=True) and self.book(1) == {},
                 'the releases')

    def test_a_session_outlives_its_server_and_the_database(self):
        h = self.start(self.pool('30s'))
        answer = h.connect('a', user='alice')
        self.assert_up(answer)
        group = answer['env']['RASIP_GROUP']
        self.assertEqual(answer['env']['RASIP_SERVER'], self.names[0])
        self.servers[0].kill()
        before = self.book(1)[group]
        wait_for(lambda: h.wait(0.5) and self.book(1)[group] > before, 'a renewal elsewhere')
        # The answer may be on its way still.
        wait_for(lambda: h.wait(0.5) and self.leases()[0]['server'] == self.names[1],
                 'the lease to be the other server\'s')
        self.primary.crash()
        self.standby.promote()
        before = self.leases()[0]['expires']
        wait_for(lambda: h.wait(0.5) and self.leases()[0]['expires'] > before,
                 'a renewal on the new primary')
        self.assertEqual(h.events('close', 'a'), [])
        h.disconnect('a')
        self.wait_delivered()

    def test_a_release_is_heard_by_any_server(self):
        h = self.start(self.pool('1h'))
        for user in 'abc':
            self.assert_up(h.connect(user, user=user))
        self.assertEqual(len(self.book(1)), 3)
        self.servers[0].kill()
        for user in 'abc':
            h.disconnect(user)
        self.wait_delivered()


if __name__ == '__main__':
    unittest.main()
