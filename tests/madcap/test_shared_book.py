# SPDX-License-Identifier: MIT
"""Several madcapd with one lease book in a real PostgreSQL."""

import errno
import itertools
import os
import resource
import signal
import socket
import subprocess
import threading
import time
import unittest

from rasip_test import madcap_wire as wire
from rasip_test import madcapd, paths, postgres
from rasip_test.madcapd import ORG, PATIENCE_SEC, wait_for

SMALL = {**ORG, 'allocate': ['239.192.0.0-239.192.0.39']}
MOBILE = wire.features(supported=[wire.MOBILITY], requested=[wire.MOBILITY])


def setUpModule():
    if postgres.missing():
        raise unittest.SkipTest(postgres.missing())


class Shared(madcapd.Case):
    """One cluster for all tests of a class, and a database for each."""

    numbers = itertools.count(1)
    owns_cluster = False
    database_timeout = '20s'  # no answer that is only slow is to count as a failure

    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.dispose)
        cls.cluster.make().start()

    def setUp(self):
        super().setUp()
        self.database = f'd{next(self.numbers)}'
        self.cluster.sql(f'CREATE DATABASE {self.database}')
        self.connection = self.cluster.connection(self.database)
        self.names = itertools.count(1)

    def config_of(self, name, *scopes, **settings):
        """Writes the configuration of a server with this name."""
        self.conf = self.directory / f'{name}.conf'
        self.log = self.directory / f'{name}.log'
        self.write_config(*scopes, **{
            'book': 'postgresql', 'connection': self.connection, 'server_name': name,
            'state_dir': self.directory / name, 'extra_allocation_time': '0s',
            'max_addresses_per_client': 0, 'database_timeout': self.database_timeout, **settings})
        return self.conf

    def init_book(self, *scopes, **settings):
        self.config_of('init', *scopes, **settings)
        done = self.run_madcapd('-c', self.conf, '--init-book')
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return done.stdout

    def serve(self, *scopes, environment=None, **settings):
        """One more server, running."""
        name = f's{next(self.names)}'
        self.config_of(name, *scopes, **settings)
        server = self.launch(environment=environment).wait_ready()
        server.state_dir = self.directory / name
        return server

    def ask(self, server, message, **settings):
        return self.client(server).ask(message, **settings)

    def request(self, server, *extra, **settings):
        message = wire.request(ORG['first'], *extra, **settings)
        answer = self.assert_ack(self.ask(server, message), message)
        return message.get(wire.LEASE_ID), answer.addresses

    def admin_of(self, server, verb, argument=None):
        answer = self.admin_answer(verb, argument, server.state_dir)
        self.assertTrue(answer['ok'], answer)
        return answer['result']

    def sql(self, text, **settings):
        return self.cluster.sql(text, self.database, **settings)


class Refusals(Shared):
    """What is wrong is said at the start, with what to do about it."""

    def assert_refused(self, *words, **settings):
        self.config_of('refused', **settings)
        done = self.run_madcapd('-c', self.conf)
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn('ready', done.stderr)

    def test_settings(self):
        for settings, words in (
                ({'connection': None}, 'book: "postgresql" needs connection'),
                ({'book': 'file'}, 'connection: is for book = "postgresql" only'),
                ({'book': 'oracle'}, 'book:'),
                ({'database_timeout': '0s'}, 'database_timeout: must be'),
                ({'on_failure': 'crash'}, 'on_failure:'),
                ({'server_name': ''}, 'server_name:')):
            with self.subTest(settings):
                self.config_of('wrong', **settings)
                if settings.get('connection', '') is None:
                    text = self.conf.read_text().splitlines()
                    self.conf.write_text('\n'.join(
                        line for line in text if not line.startswith('connection')))
                done = self.run_madcapd('-c', self.conf, '--check')
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, rf'^{self.conf}:\d+: ')
                self.assertIn(words, done.stderr)

    def test_connection_strings(self):
        self.assert_refused('connection:', 'hots', connection='hots=here')
        self.assert_refused('no-such-db', connection=self.cluster.connection('no-such-db'))
        self.assert_refused('nobody-at-all', connection=self.cluster.connection(
            self.database, 'nobody-at-all'))

    def test_no_book(self):
        self.assert_refused('no lease book', self.database, '--init-book')

    def test_init_book_without_a_database(self):
        self.config_of('file')
        self.conf.write_text(self.conf.read_text().replace('"postgresql"', '"file"').replace(
            'connection', '#'))
        done = self.run_madcapd('-c', self.conf, '--init-book')
        self.assertEqual(done.returncode, 1)
        self.assertIn('a file needs no preparation', done.stderr)

    def test_a_schema_of_another_program(self):
        self.sql('CREATE SCHEMA madcap; CREATE TABLE madcap.book (title text)')
        self.assert_refused('not a lease book', 'a database of its own')
        done = self.run_madcapd('-c', self.conf, '--init-book')
        self.assertEqual(done.returncode, 1)
        self.assertIn('not a lease book', done.stderr)
        self.assertEqual(self.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'madcap'"),
                         [['1']])

    def test_another_version(self):
        self.init_book()
        self.sql('UPDATE madcap.book SET schema_version = 99')
        self.assert_refused('version 99', 'upgrade')
        done = self.run_madcapd('-c', self.conf, '--init-book')
        self.assertEqual(done.returncode, 1)
        self.assertIn('version 99', done.stderr)

    def test_an_older_version_is_brought_up(self):
        self.init_book()
        server = self.serve()
        lease, _ = self.request(server)
        server.stop()
        self.sql('DROP TABLE madcap.server; DROP VIEW madcap.leases;'
                 'UPDATE madcap.book SET schema_version = 1')
        self.assert_refused('version 1', '--init-book')
        self.assertIn('was brought to version', self.init_book())
        self.assertIn('is there already', self.init_book())
        self.assert_ack(self.ask(self.serve(), wire.renew(lease)))

    def test_a_running_server_stops_at_another_version(self):
        self.init_book()
        server = self.serve(on_failure='nak')
        self.sql('UPDATE madcap.book SET schema_version = 99')
        answer = self.ask(server, wire.request(ORG['first']))
        self.assert_nak(answer, wire.NOT_COMPLETED)
        server.wait_log('version 99')

    def test_a_second_one_with_the_same_directory(self):
        """Nor does it take the operator's socket away from the first."""
        self.init_book()
        server = self.serve()
        self.config_of('second', state_dir=server.state_dir)
        done = self.run_madcapd('-c', self.conf)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f'{server.state_dir}: another process', done.stderr)
        self.assertEqual(self.admin_of(server, 'leases'), [])

    def test_a_role_without_rights(self):
        self.init_book()
        self.cluster.sql("DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'weak')"
                         ' THEN CREATE ROLE weak LOGIN; END IF; END$$')
        weak = self.cluster.connection(self.database, 'weak')
        self.assert_refused('role "weak" may not use', 'GRANT USAGE', connection=weak)
        self.sql('GRANT USAGE ON SCHEMA madcap TO weak;'
                 'GRANT SELECT ON ALL TABLES IN SCHEMA madcap TO weak')
        self.assert_refused('role "weak" may not use', connection=weak)
        self.sql('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA madcap TO weak')
        self.request(self.serve(connection=weak))

    def test_a_role_that_may_not_make_tables(self):
        self.cluster.sql("DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'poor')"
                         ' THEN CREATE ROLE poor LOGIN; END IF; END$$')
        self.config_of('poor', connection=self.cluster.connection(self.database, 'poor'))
        done = self.run_madcapd('-c', self.conf, '--init-book')
        self.assertEqual(done.returncode, 1)
        self.assertIn('GRANT CREATE ON DATABASE', done.stderr)

    def test_a_constraint_is_gone(self):
        self.init_book()
        self.sql('ALTER TABLE madcap.lease DROP CONSTRAINT lease_apart')
        self.assert_refused('damaged', 'lease_apart', 'restore')

    def test_another_extra_allocation_time(self):
        self.init_book()
        self.assert_refused('extra_allocation_time is 60 s here and 0 s', '--init-book',
                            extra_allocation_time='60s')
        self.assertIn('another extra_allocation_time', self.init_book(
            extra_allocation_time='60s'))
        self.request(self.serve(extra_allocation_time='60s'))

    def test_another_extra_allocation_time_for_leases_of_one_address(self):
        """Longer, as long as they do not lie closer together; and shorter again."""
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        self.init_book()
        server = self.serve(tiny)
        now = int(time.time())
        for start in (now + 1000, now + 3000):
            self.request(server, wire.start_time(start), wire.current_time(now),
                         wire.lease_time(500))
        server.stop()
        for extra in ('25m', '0s', '10m'):
            with self.subTest(extra):
                self.assertIn('another extra_allocation_time', self.init_book(
                    extra_allocation_time=extra))
        server = self.serve(tiny, extra_allocation_time='10m')
        self.assertEqual(len(self.admin_of(server, 'leases')), 2)
        between = wire.request(ORG['first'], wire.start_time(now + 1600), wire.current_time(now),
                               wire.lease_time(100))
        answer = self.assert_ack(self.ask(server, between))
        self.assertGreaterEqual(answer.number(wire.START_TIME), now + 1000 + 500 + 600)
        server.stop()
        self.config_of('init', extra_allocation_time='1h')
        done = self.run_madcapd('-c', self.conf, '--init-book')
        self.assertEqual(done.returncode, 1)
        self.assertIn('cannot be made longer', done.stderr)

    def test_a_large_book_takes_longer_to_change_than_an_answer_may(self):
        self.init_book()
        with self.cluster.session(self.database) as other:
            other.write('BEGIN; LOCK TABLE madcap.lease;\n')
            wait_for(lambda: self.sql("SELECT 1 FROM pg_locks WHERE mode = 'AccessExclusiveLock' "
                                      "AND relation = 'madcap.lease'::regclass"), 'the lock')
            self.config_of('again', extra_allocation_time='60s', database_timeout='1s')
            init = self.launch(options=['--init-book']).process
            wait_for(lambda: self.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'relation' "
                                      "AND now() - query_start > interval '1.5 s'"), 'its patience')
            self.assertIsNone(init.poll())
            other.write('COMMIT;\n')
            self.assertEqual(init.wait(PATIENCE_SEC), 0, self.log.read_text())

    def test_a_damaged_lease(self):
        self.init_book()
        server = self.serve()
        self.request(server)
        server.stop()
        self.sql("UPDATE madcap.lease SET parts = 3")
        self.assert_refused('damaged', 'cannot be read')

    # What the tables let somebody write who may write to them, and no server has written.
    ODD_ROWS = (
        "UPDATE madcap.lease SET address = '198.51.100.1'",
        'UPDATE madcap.lease SET flags = 300',
        'UPDATE madcap.lease SET wanted = 70000',
        'UPDATE madcap.lease SET wanted_min = -1',
        'UPDATE madcap.lease SET wanted_lease_sec = 4294967296',
        'UPDATE madcap.lease SET touched_sec = -5',
        'UPDATE madcap.lease SET parts = 2')
    ODD_HEADS = ("UPDATE madcap.book SET program = 'another'", 'DELETE FROM madcap.book')
    NEXT_BATCH = ('UPDATE madcap.book SET version = version + 1, token = token + 1;'
                  'INSERT INTO madcap.batch SELECT version, token, at_sec, \'somebody\','
                  ' {changed}, {removed} FROM madcap.book')

    def kept(self):
        self.sql('CREATE TABLE IF NOT EXISTS kept_lease (LIKE madcap.lease);'
                 'CREATE TABLE IF NOT EXISTS kept_book (LIKE madcap.book);'
                 'INSERT INTO kept_lease SELECT * FROM madcap.lease;'
                 'INSERT INTO kept_book SELECT * FROM madcap.book')

    def restore(self):
        columns = ('id, part, parts, state, flags, scope, client, starts_sec, ends_sec, touched_sec,'
                   'wanted_min, wanted, wanted_lease_sec, server, address, extra_sec, held_from_sec,'
                   'held_until_sec')
        self.sql('DELETE FROM madcap.lease; DELETE FROM madcap.book;'
                 f'INSERT INTO madcap.lease ({columns}) SELECT {columns} FROM kept_lease;'
                 'INSERT INTO madcap.book SELECT * FROM kept_book;'
                 'DELETE FROM madcap.batch WHERE version > (SELECT version FROM kept_book)')

    def test_odd_rows(self):
        """Refused, and left as they are; what is put right is used again."""
        self.init_book()
        server = self.serve()
        lease, _ = self.request(server)
        server.stop()
        self.kept()
        for odd, *words in (*((row, 'damaged', 'cannot be read', 'madcap.leases')
                              for row in self.ODD_ROWS),
                            *((head, 'not a lease book of madcapd') for head in self.ODD_HEADS)):
            with self.subTest(odd):
                self.sql(odd)
                before = self.sql('SELECT * FROM madcap.lease')
                self.assert_refused(*words)
                self.assertEqual(self.sql('SELECT * FROM madcap.lease'), before)
                self.restore()
        with self.subTest('--init-book'):
            self.sql(self.ODD_HEADS[0])
            self.config_of('init')
            done = self.run_madcapd('-c', self.conf, '--init-book')
            self.assertEqual((done.returncode, done.stdout), (1, ''))
            self.assertIn('not a lease book of madcapd', done.stderr)
            self.restore()
        self.assert_ack(self.ask(self.serve(), wire.renew(lease)))

    def test_odd_rows_while_it_runs(self):
        """No answer that nobody can stand for; it goes on by itself when they are put right."""
        self.init_book()
        server = self.serve(on_failure='nak')
        lease, _ = self.request(server)
        client = self.client(server)
        changed = self.NEXT_BATCH.format(changed='ARRAY(SELECT id FROM madcap.lease)',
                                         removed="'{}'")
        for odd, word in (
                *((f'{row}; {changed}', 'damaged') for row in self.ODD_ROWS),
                *((head, 'not a lease book of madcapd') for head in self.ODD_HEADS),
                (f"UPDATE madcap.lease SET scope = '239.192.0.1'; {changed}",
                 'the scopes have to be the same on all servers'),
                (self.NEXT_BATCH.format(changed="'{}'", removed="ARRAY[''::bytea]"),
                 'its batches cannot be read')):
            with self.subTest(odd):
                self.sql('DROP TABLE IF EXISTS kept_lease, kept_book')
                self.kept()
                said = len(server.log())
                self.sql(odd)
                wait_for(lambda: client.ask(wire.request(ORG['first'])).kind == wire.NAK and
                         word in server.log()[said:], word)
                self.assertIsNone(server.process.poll())
                self.restore()
                wait_for(lambda: client.ask(wire.renew(lease)).kind == wire.ACK,
                         'it to go on')
        self.assertEqual(self.admin_of(server, 'leases')[0]['request_id'], lease.hex())

    def test_leases_that_overlap_are_refused_by_the_database(self):
        self.init_book()
        _, (address,) = self.request(self.serve())
        with self.assertRaisesRegex(AssertionError, 'lease_apart'):
            self.sql('INSERT INTO madcap.lease (id, part, parts, state, flags, scope, starts_sec,'
                     'ends_sec, touched_sec, wanted_min, wanted, wanted_lease_sec, server,'
                     f"address, extra_sec, held_from_sec) SELECT '\\x01', 0, 1, 1, 0, scope, ends_sec - 1,"
                     'ends_sec + 10, touched_sec, 0, 0, 0, server, address, extra_sec, ends_sec - 1 '
                     f"FROM madcap.lease WHERE address = '{address}'")


class Together(Shared):
    """Servers that share a book behave as one."""

    def setUp(self):
        super().setUp()
        self.init_book(SMALL)

    def test_a_lease_is_renewed_and_released_anywhere(self):
        one, two, three = (self.serve() for _ in range(3))
        lease, addresses = self.request(one, wire.n_addresses(5, 5))
        renewed = self.assert_ack(self.ask(two, wire.renew(lease, wire.lease_time(500))))
        self.assertEqual(renewed.addresses, addresses)
        self.assertEqual(renewed.number(wire.LEASE_TIME), 500)
        self.assert_ack(self.ask(three, wire.release(lease)))
        self.assert_nak(self.ask(one, wire.renew(lease)), wire.UNKNOWN_LEASE)

    def test_mobility_is_announced_with_this_book_only(self):
        shared = self.serve()
        answer = self.ask(shared, wire.request(ORG['first'], MOBILE))
        self.assertIn(wire.MOBILITY, answer.features[0])
        self.assertEqual(answer.features[2], [wire.MOBILITY])
        self.conf = self.directory / 'alone.conf'
        alone = self.start(ORG, state_dir=self.directory / 'alone')
        answer = self.ask(alone, wire.request(ORG['first'], MOBILE))
        self.assertNotIn(wire.MOBILITY, answer.features[0])
        must = wire.features(supported=[wire.MOBILITY], required=[wire.MOBILITY])
        self.assert_nak(self.ask(alone, wire.request(ORG['first'], must)), wire.FEATURE_MISSING)

    def test_a_retransmission_at_another_server_gets_the_same_lease(self):
        servers = [self.serve(SMALL) for _ in range(3)]
        message = wire.request(ORG['first'], wire.n_addresses(2, 2))
        answers = [self.ask(server, message) for server in servers]
        for answer in answers:
            self.assert_ack(answer, message)
            self.assertEqual(answer.addresses, answers[0].addresses)
        self.assertEqual(len(self.sql('SELECT 1 FROM madcap.lease')), 2)

    def test_full_is_proven_and_no_address_is_given_twice(self):
        servers = [self.serve(SMALL) for _ in range(3)]
        found, refused = [], []

        def want(server):
            client = self.client(server)
            for _ in range(25):
                answer = client.ask(wire.request(ORG['first']), timeout=PATIENCE_SEC)
                (found if answer.kind == wire.ACK else refused).append(answer)

        threads = [threading.Thread(target=want, args=(server,)) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        addresses = [address for answer in found for address in answer.addresses]
        self.assertEqual((len(addresses), len(set(addresses)), len(refused)), (40, 40, 35))
        # One that becomes free at one server is found at another.
        self.assert_ack(self.ask(servers[0], wire.release(found[7].get(wire.LEASE_ID))))
        _, (address,) = self.request(servers[1])
        self.assertEqual(address, found[7].addresses[0])
        self.assert_nak(self.ask(servers[2], wire.request(ORG['first'])), wire.NOT_COMPLETED)

    def test_an_offer_of_one_server_keeps_nobody_from_a_lease(self):
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        one, two = self.serve(tiny), self.serve(tiny)
        discover = wire.discover(ORG['first'])
        offer = self.ask(one, discover)
        self.assertEqual(offer.addresses, ['239.192.0.7'])
        self.request(two)
        taken = wire.request(ORG['first'], identifier=discover.get(wire.LEASE_ID))
        self.assert_nak(self.ask(one, taken), wire.NOT_COMPLETED)

    def test_an_offer_of_one_server_keeps_nobody_from_renewing(self):
        """A hold is one server's own; a lease is everybody's, and is not hung up for it."""
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        one, two = self.serve(tiny), self.serve(tiny)
        self.assertEqual(self.ask(one, wire.discover(ORG['first'])).addresses, ['239.192.0.7'])
        lease, addresses = self.request(two)
        renewed = self.assert_ack(self.ask(one, wire.renew(lease)))
        self.assertEqual(renewed.addresses, addresses)

    def test_an_offer_of_one_server_does_not_hide_a_lease(self):
        """Else the database has to refuse what it is told, and all leases are read again."""
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        one, two = self.serve(tiny), self.serve(tiny)
        now = int(time.time())
        times = wire.start_time(now + 1000), wire.current_time(now), wire.lease_time(10)
        self.assertEqual(self.ask(one, wire.discover(ORG['first'], *times)).addresses,
                         ['239.192.0.7'])
        self.request(two, wire.lease_time(3600))
        later = wire.start_time(now + 2000), wire.current_time(now), wire.lease_time(10)
        answer = self.assert_ack(self.ask(one, wire.request(ORG['first'], *later)))
        self.assertGreaterEqual(answer.number(wire.START_TIME), now + 3600)
        self.assertEqual(self.admin_of(one, 'metrics')['values']['book_reloads_total'], 1)

    def test_a_database_that_is_serializable_by_default(self):
        """What other databases of the cluster need is not for the book: it has a lock."""
        self.sql(f"ALTER DATABASE {self.database} SET default_transaction_isolation TO"
                 " 'serializable'")
        servers = [self.serve() for _ in range(3)]

        def want(server):
            client = self.client(server)
            for _ in range(40):
                client.ask(wire.request(ORG['first']), timeout=PATIENCE_SEC)

        threads = [threading.Thread(target=want, args=(server,)) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([self.admin_of(server, 'metrics')['values']['book_failures_total']
                          for server in servers], [0, 0, 0])

    def test_the_operator_sees_and_ends_leases_at_any_server(self):
        one, two = self.serve(SMALL), self.serve(SMALL)
        lease, (address,) = self.request(one)
        shown = self.admin_of(two, 'leases')
        self.assertEqual([each['request_id'] for each in shown], [lease.hex()])
        self.assertEqual(self.admin_of(two, 'scopes')[0]['leased'], 1)
        self.admin_of(two, 'release', address)
        self.assertEqual(self.admin_of(one, 'leases'), [])
        self.assert_nak(self.ask(one, wire.renew(lease)), wire.UNKNOWN_LEASE)

    def test_a_server_with_a_strange_name(self):
        """Prometheus would not take any of the metrics."""
        one = self.serve(server_name='the "first"\\one')
        self.request(one)
        self.admin_of(one, 'leases')
        text = wait_for(lambda: self.metrics_with(one, 'server_granted_total{'), 'its name')
        self.assertIn('server_granted_total{server="the \\"first\\"\\\\one"} ', text)

    def metrics_with(self, server, word):
        text = self.admin_of(server, 'metrics')['text']
        return text if word in text else None

    def test_the_operator_decides_at_any_server(self):
        one, two = (self.serve(SMALL, retry_after_above=2) for _ in range(2))
        later = wire.features(supported=[wire.RETRY_AFTER])
        message = wire.request(ORG['first'], wire.n_addresses(3, 3), later)
        self.assertEqual(self.assert_ack(self.ask(one, message)).addresses, [])
        self.admin_of(two, 'approve', message.get(wire.LEASE_ID).hex())
        again = wire.request(ORG['first'], wire.n_addresses(3, 3), later,
                             identifier=message.get(wire.LEASE_ID))
        self.assertEqual(len(self.assert_ack(self.ask(two, again)).addresses), 3)

    def test_scopes_that_are_cut_differently_are_noticed(self):
        one = self.serve(on_failure='nak')
        other = {'first': '239.192.0.0', 'last': '239.192.255.255'}
        two = self.serve(ORG, on_failure='nak')
        lease, _ = self.request(one)
        two.stop()
        self.config_of('cut', {**other, 'first': '239.192.0.0'}, {
            'first': '239.193.0.0', 'last': '239.195.255.255'})
        self.request(one, wire.ranges(('239.193.0.5', 1)))
        done = self.run_madcapd('-c', self.conf)
        self.assertEqual(done.returncode, 1)
        self.assertIn('split', done.stderr)
        self.assert_ack(self.ask(one, wire.renew(lease)))

    def test_what_was_changed_by_hand_gives_no_wrong_answer(self):
        tiny = {**ORG, 'allocate': ['239.192.0.7-239.192.0.8']}
        server = self.serve(tiny, on_failure='nak')
        lease, (address,) = self.request(server)
        other = '239.192.0.8' if address == '239.192.0.7' else '239.192.0.7'
        self.sql('INSERT INTO madcap.lease (id, part, parts, state, flags, scope, starts_sec,'
                 'ends_sec, touched_sec, wanted_min, wanted, wanted_lease_sec, server, address,'
                 "extra_sec, held_from_sec) SELECT '\\x01', 0, 1, 1, 0, scope, starts_sec, ends_sec,"
                 f" touched_sec, 0, 0, 0, server, '{other}', extra_sec, starts_sec"
                 ' FROM madcap.lease')
        # The database refuses what memory thinks is free; then all leases are read again.
        self.assert_nak(self.ask(server, wire.request(ORG['first'])), wire.NOT_COMPLETED)
        server.wait_log('can be used again')
        self.assert_nak(self.ask(server, wire.request(ORG['first'])), wire.NOT_COMPLETED)
        self.assert_ack(self.ask(server, wire.renew(lease)))
        self.assertEqual(len(self.admin_of(server, 'leases')), 2)

    def test_what_was_changed_by_hand_is_read_by_all(self):
        one, two = self.serve(), self.serve()
        lease, _ = self.request(one)
        self.assert_ack(self.ask(two, wire.renew(lease)))
        self.sql('DELETE FROM madcap.lease;'
                 'UPDATE madcap.book SET version = version + 1, token = token + 1')
        self.request(one)
        for server in (two, one):
            self.assert_nak(self.ask(server, wire.renew(lease)), wire.UNKNOWN_LEASE)
            self.assertEqual(len(self.admin_of(server, 'leases')), 1)

    def test_a_clock_that_is_off_does_no_harm(self):
        # Of a sanitized build, the sanitizer has to come second for once.
        skewed = {'LD_PRELOAD': str(paths.MODULES / 'skewed.so'), 'SKEW_SEC': '7200',
                  'ASAN_OPTIONS': 'verify_asan_link_order=0'}
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        right, wrong = self.serve(tiny), self.serve(tiny, environment=skewed)
        lease, _ = self.request(right, wire.lease_time(600))
        # By its own clock the lease would be over.
        self.assert_nak(self.ask(wrong, wire.request(ORG['first'])), wire.NOT_COMPLETED)
        before = int(time.time())
        answer = self.assert_ack(self.ask(wrong, wire.renew(lease, wire.lease_time(600))))
        self.assertLessEqual(answer.number(wire.LEASE_TIME), 600)
        (ends,), = self.sql('SELECT ends_sec FROM madcap.lease')
        self.assertIn(int(ends) - 600, range(before - 5, int(time.time()) + 6))
        self.assert_ack(self.ask(right, wire.renew(lease, wire.current_time())))

    def test_leases_are_there_after_a_restart_and_end_in_time(self):
        server = self.serve(SMALL)
        lease, addresses = self.request(server, wire.n_addresses(7, 7), wire.lease_time(3600))
        pending_free = self.admin_of(server, 'scopes')[0]['free']
        server.kill()
        server = self.serve(SMALL)
        self.assertEqual(self.admin_of(server, 'scopes')[0]['free'], pending_free)
        answer = self.assert_ack(self.ask(server, wire.renew(lease, wire.lease_time(1))))
        self.assertEqual(answer.addresses, addresses)
        wait_for(lambda: not self.admin_of(server, 'leases'), 'the end of the lease')

    def test_leases_of_one_address_at_different_times(self):
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        one, two = self.serve(tiny), self.serve(tiny)
        first, _ = self.request(one, wire.lease_time(100))
        later = wire.request(ORG['first'], wire.lease_time(100), wire.current_time(),
                             wire.start_time(time.time() + 1000))
        self.assertEqual(self.assert_ack(self.ask(two, later)).addresses, ['239.192.0.7'])
        held = self.sql('SELECT held_until_sec - ends_sec FROM madcap.lease')
        self.assertEqual(held, [['0'], ['0']])
        self.assert_ack(self.ask(one, wire.renew(first, wire.lease_time(600))))
        answer = self.assert_ack(self.ask(two, wire.renew(first, wire.lease_time(5000))))
        self.assertLess(answer.number(wire.LEASE_TIME), 1001)
        self.assert_nak(self.ask(one, wire.request(ORG['first'])), wire.NOT_COMPLETED)
        self.assert_ack(self.ask(one, wire.release(later.get(wire.LEASE_ID))))
        for server in (one, two):  # alone again, and from then on no index changes
            answer = self.assert_ack(self.ask(server, wire.renew(first, wire.lease_time(5000))))
            self.assertEqual(answer.number(wire.LEASE_TIME), 5000)
        self.assertEqual(self.sql('SELECT held_until_sec IS NULL FROM madcap.lease'), [['t']])

    def test_leases_of_very_many_addresses(self):
        server = self.serve(ORG, max_addresses_per_request=65535)
        message = wire.request(ORG['first'], wire.n_addresses(30000, 30000))
        self.assert_ack(self.ask(server, message, timeout=PATIENCE_SEC, again=PATIENCE_SEC))
        self.assertEqual(self.sql('SELECT count(*) FROM madcap.lease'), [['30000']])
        other = self.serve(ORG)
        self.assertEqual(len(self.admin_of(other, 'leases')[0]['addresses']), 30000)
        self.assert_ack(self.ask(other, wire.release(message.get(wire.LEASE_ID)),
                                 timeout=PATIENCE_SEC))

    def test_addresses_of_ip6(self):
        scope6 = {'first': 'ff15::', 'last': 'ff15::ffff:ffff'}
        one, two = self.serve(scope6, listen=['::1', '127.0.0.1']), self.serve(scope6)
        message = wire.request('ff15::', wire.n_addresses(3, 3))
        client = self.client(one, '::1')
        answer = self.assert_ack(client.ask(message))
        again = self.assert_ack(self.ask(two, wire.renew(message.get(wire.LEASE_ID), family=2)))
        self.assertEqual(again.addresses, answer.addresses)
        self.assertEqual(len(set(row[0] for row in self.sql(
            'SELECT low FROM madcap.lease'))), 3)

    def madcap(self, *arguments, status=0):
        done = subprocess.run([str(paths.MADCAP), *map(str, arguments)], check=False,
                              capture_output=True, text=True, timeout=PATIENCE_SEC)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_the_tool_goes_on_at_another_server(self):
        one, two = self.serve(SMALL), self.serve(SMALL)
        file = self.directory / 'lease'
        at = [f'--server=127.0.0.1:{server.port}' for server in (one, two)]
        quick, patient = ('--timeout', '2s'), ('--timeout', '10s')
        self.madcap('request', '--scope', ORG['first'], *at, '--save', file)
        self.assertIn('"mobile": true', file.read_text())
        one.stop()
        self.assertIn('no answer', self.madcap('renew', file, *quick, status=1))
        self.madcap('renew', file, *patient, *at)
        self.assertIn(f':{two.port}"', file.read_text())
        file2 = self.directory / 'lease2'
        self.madcap('request', '--scope', ORG['first'], *at, *patient, '--save', file2)
        self.assertEqual(len(self.admin_of(two, 'leases')), 2)
        self.conf = self.directory / 's1.conf'
        three = self.launch().wait_ready()
        two.stop()
        self.madcap('release', file, *patient, f'--server=127.0.0.1:{three.port}')
        three.state_dir = one.state_dir
        self.assertEqual(len(self.admin_of(three, 'leases')), 1)

    def test_a_release_that_a_dying_server_carried_out_is_done(self):
        server = self.serve(SMALL)
        mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(mute.close)
        mute.bind(('127.0.0.1', 0))
        file = self.directory / 'lease'
        at = f'--server=127.0.0.1:{server.port}'
        self.madcap('request', '--scope', ORG['first'], at, at, '--save', file)
        text = file.read_text().replace(f':{server.port}"', f':{mute.getsockname()[1]}"')
        file.write_text(text)
        self.sql('BEGIN; DELETE FROM madcap.lease; UPDATE madcap.book SET version = version + 1,'
                 ' token = token + 1; COMMIT')
        self.madcap('release', file, at, '--timeout', '8s')

    def test_the_same_tests_as_for_the_file(self):
        program = paths.BUILD / 'tests' / 'test_madcap_book'
        if not program.exists():
            self.skipTest(f'{program} has not been built')
        done = subprocess.run(
            [str(program)], check=False, capture_output=True, text=True, timeout=120,
            env={**os.environ, 'TEST_BOOK_CONNECTION': self.connection, 'CK_RUN_CASE': 'any',
                 'CK_DEFAULT_TIMEOUT': '100'})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r'100%: Checks: \d\d')


class Large(Shared):
    """What a batch costs must not grow with the book, whatever the database believes of its size."""

    LEASES = 5000
    EXCHANGES = 60

    @classmethod
    def setUpClass(cls):
        cls.cluster = postgres.Cluster()
        cls.addClassCleanup(cls.cluster.dispose)
        cls.cluster.make(autovacuum='off').start()

    def setUp(self):
        super().setUp()
        self.init_book()

    def exchange(self, servers):
        """Each of them writes, and then follows what the other one has written."""
        lease, server = None, itertools.cycle(servers)
        for i in range(self.EXCHANGES // 3):
            lease, _ = self.request(next(server))
            self.assert_ack(self.ask(next(server), wire.renew(lease, wire.lease_time(600 + i))))
            self.assert_ack(self.ask(next(server), wire.release(lease)))

    def rows_read(self, servers):
        """Of indexes, in all; what a connection has read is told when it ends."""
        for server in servers:
            server.stop()
        wait_for(lambda: self.sql('SELECT count(*) FROM pg_stat_activity WHERE application_name'
                                  " LIKE 'madcapd%'") == [['0']], 'their connections')
        (rows,), = self.sql('SELECT sum(idx_tup_read) FROM pg_stat_user_indexes'
                            " WHERE relname = 'lease'")
        return int(rows)

    def fill(self):
        postgres.fill_book(self.cluster, self.database, self.LEASES, ORG['first'], '239.193.0.0')

    def test_a_book_that_was_changed_by_hand_is_read_once(self):
        def metric(name):
            return self.admin_of(server, 'metrics')['values'][name]

        server = self.serve()
        self.fill()
        wait_for(lambda: len(self.admin_of(server, 'leases')) == self.LEASES, 'the leases')
        loads, refreshes = metric('book_reloads_total'), metric('book_exchanges_total')
        wait_for(lambda: metric('book_exchanges_total') >= refreshes + 3, 'three more looks')
        self.assertEqual(metric('book_reloads_total'), loads)
        self.request(server)

    def assert_few(self, rows, what):
        """Besides the one that the constraint has looked at for each that was filled in."""
        self.assertLess(rows - self.LEASES, 20 * self.EXCHANGES, what)

    def test_a_book_that_grew_under_its_servers(self):
        servers = [self.serve(), self.serve()]
        self.exchange(servers)
        self.fill()
        self.exchange(servers)
        self.assert_few(self.rows_read(servers), 'plans of an empty book')

    def test_a_book_that_was_small_when_it_was_looked_at(self):
        self.sql('ANALYZE')
        self.fill()
        servers = [self.serve(), self.serve()]
        self.exchange(servers)
        self.assert_few(self.rows_read(servers), 'statistics of an empty book')

    def test_a_book_that_was_never_looked_at(self):
        self.fill()
        servers = [self.serve(), self.serve()]
        self.exchange(servers)
        self.assert_few(self.rows_read(servers), 'no statistics')


class Outages(Shared):
    """The database goes, and comes back."""

    database_timeout = '1s'

    def setUp(self):
        if self.cluster.process is None:
            self.cluster.start()
        self.cluster.resume()
        super().setUp()
        self.init_book(SMALL)

    def assert_served_soon(self, server, message):
        self.assert_ack(self.ask(server, message, again=0.3))

    def test_gone_and_back(self):
        server = self.serve(SMALL)
        lease, addresses = self.request(server)
        self.cluster.crash()
        server.wait_log('the lease book cannot be used')
        self.assertIsNone(self.ask(server, wire.renew(lease), timeout=0.7))
        # What needs no book is answered; so is the operator.
        self.assert_ack(self.ask(server, wire.getinfo()))
        self.assertFalse(self.admin_answer('leases', state_dir=server.state_dir)['ok'])
        self.assertEqual(self.admin_of(server, 'metrics')['values']['book_up'], 0)
        self.cluster.start()
        self.assert_served_soon(server, wire.renew(lease))
        server.wait_log('can be used again')
        self.assertEqual(self.admin_of(server, 'leases')[0]['addresses'], addresses)
        self.assertEqual(self.admin_of(server, 'metrics')['values']['book_up'], 1)

    def test_no_descriptor_for_a_connection(self):
        """It says so, waits, and connects when it may; and no answer is made up meanwhile."""
        server = self.serve(SMALL)
        lease, _ = self.request(server)
        pid = server.process.pid
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, hard))
        self.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity'
                 " WHERE datname = current_database() AND pid <> pg_backend_pid()")
        server.wait_log(os.strerror(errno.EMFILE))
        self.assertIsNone(self.ask(server, wire.renew(lease), timeout=0.7))
        before, lines = server.cpu_ticks(), server.log().count('\n')
        time.sleep(1.5)
        self.assertLess(server.cpu_ticks() - before, os.sysconf('SC_CLK_TCK') / 2)
        self.assertLess(server.log().count('\n') - lines, 5, server.log())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (64, hard))
        self.assert_served_soon(server, wire.renew(lease))

    def test_nak_if_that_is_configured(self):
        server = self.serve(SMALL, on_failure='nak')
        lease, _ = self.request(server)
        self.cluster.crash()
        for message in (wire.renew(lease), wire.request(ORG['first']), wire.release(lease)):
            self.assert_nak(self.ask(server, message), wire.NOT_COMPLETED)
        self.assertIsNone(self.ask(server, wire.discover(ORG['first']), timeout=0.5))

    def test_not_there_at_the_start(self):
        self.cluster.crash()
        server = self.serve(SMALL)
        self.assertIn('the lease book cannot be used', server.log())
        self.assert_ack(self.ask(server, wire.getinfo()))
        self.cluster.start()
        self.assert_served_soon(server, wire.request(ORG['first']))

    def test_how_long_it_may_take_does_not_change(self):
        server = self.serve(SMALL)
        self.config_of(server.state_dir.name, SMALL, database_timeout='5s')
        server.send_signal(signal.SIGHUP)
        server.wait_log('not reloaded')
        self.assertIn('database_timeout', server.log())
        self.request(server)

    def test_a_database_that_hangs_holds_up_nothing_for_long(self):
        server = self.serve(SMALL)
        lease, _ = self.request(server)
        self.cluster.pause()
        self.addCleanup(self.cluster.resume)
        client = self.client(server)
        client.send(wire.renew(lease))
        began = time.monotonic()
        self.assert_ack(self.ask(server, wire.getinfo(), again=PATIENCE_SEC))
        self.assertEqual(self.admin_of(server, 'metrics')['values']['book_up'], 0)
        server.send_signal(signal.SIGHUP)
        server.wait_log('reloaded')
        self.assertLess(time.monotonic() - began, 20)  # it would hang until it is resumed
        self.cluster.resume()
        self.assert_served_soon(server, wire.renew(lease))
        self.cluster.pause()
        self.assertEqual(server.stop(), 0)

    def test_cut_off_means_silent(self):
        gate = postgres.Gate(self.cluster)
        self.addCleanup(gate.close)
        tiny = {**ORG, 'allocate': ['239.192.0.7']}
        far = self.serve(tiny, connection=f'host={gate.directory} user={postgres.ROLE} '
                                          f'dbname={self.database}')
        near = self.serve(tiny)
        message = wire.request(ORG['first'])
        self.assert_ack(self.ask(far, message))
        gate.shut()
        self.assert_ack(self.ask(near, wire.release(message.get(wire.LEASE_ID))))
        other, _ = self.request(near)
        # It had answered this very message, knows the lease, and says nothing of the kind.
        self.assertIsNone(self.ask(far, message, timeout=1.5))
        again = wire.request(ORG['first'], identifier=message.get(wire.LEASE_ID))
        self.assertIsNone(self.ask(far, again, timeout=1))
        gate.open()
        self.assert_nak(self.ask(far, wire.renew(message.get(wire.LEASE_ID))),
                        wire.UNKNOWN_LEASE)
        self.assert_ack(self.ask(far, wire.renew(other)))

    def test_a_server_that_is_stopped_with_the_lock_does_not_stop_the_others(self):
        one, two = self.serve(SMALL), self.serve(SMALL)
        # Somebody who holds the book's row, as a server that was stopped in a batch would.
        with self.cluster.session(self.database) as holder:
            holder.write("SET idle_in_transaction_session_timeout = '6s'; BEGIN; "
                         "SELECT FROM madcap.book FOR UPDATE;\n")
            wait_for(lambda: self.sql("SELECT 1 FROM pg_stat_activity WHERE state = 'idle in "
                                      "transaction' AND query LIKE '%FOR UPDATE%'"), 'the lock')
            self.assert_served_soon(one, wire.request(ORG['first']))
            self.assert_served_soon(two, wire.request(ORG['first']))


class Failover(Shared):
    """A primary and its synchronous standby."""

    database_timeout = '1s'

    @classmethod
    def setUpClass(cls):
        pass

    def setUp(self):
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.dispose)
        self.cluster.make().start()
        self.standby = postgres.Cluster()
        self.addCleanup(self.standby.dispose)
        self.standby.follow(self.cluster).start()
        super().setUp()
        self.connection = (f'host={self.cluster.directory},{self.standby.directory} '
                           f'user={postgres.ROLE} dbname={self.database}')
        self.init_book(SMALL)
        self.cluster.wait_for_standby()

    def test_no_acknowledged_lease_is_lost(self):
        one, two = self.serve(SMALL), self.serve(SMALL)
        leases = [self.request(server) for server in (one, two, one, two)]
        self.cluster.crash()
        self.standby.promote()
        for lease, addresses in leases:
            answer = self.ask(one, wire.renew(lease), again=0.3)
            self.assertEqual(self.assert_ack(answer).addresses, addresses)
        more = [self.request(server)[1][0] for server in (one, two)]
        self.assertEqual(len({*more, *(a for _, (a,) in leases)}), 6)

    def test_a_primary_without_its_standby_confirms_nothing(self):
        server = self.serve(SMALL)
        message = wire.request(ORG['first'])
        self.assert_ack(self.ask(server, message))
        self.standby.pause()
        self.addCleanup(self.standby.resume)
        again = wire.request(ORG['first'], identifier=message.get(wire.LEASE_ID))
        self.assertIsNone(self.ask(server, again, timeout=2))
        self.assertIsNone(self.ask(server, wire.request(ORG['first']), timeout=1))
        self.assert_ack(self.ask(server, wire.getinfo()))
        self.standby.resume()
        self.assert_ack(self.ask(server, again, again=0.3))

    def test_a_commit_that_is_waved_through_is_not_answered(self):
        server = self.serve(SMALL, database_timeout='20s')
        self.standby.pause()
        self.addCleanup(self.standby.resume)
        client = self.client(server)
        client.send(wire.request(ORG['first']))
        wait_for(lambda: self.cluster.sql(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
            'a commit that waits')
        self.assertIsNone(client.receive(1.0))
        server.wait_log('not confirmed by the standby')

    def test_leases_that_a_failover_lost_are_not_known_any_more(self):
        self.cluster.need_no_standby()
        server = self.serve(SMALL)
        kept, _ = self.request(server)
        self.cluster.wait_for_replay()
        self.standby.crash()
        lost, _ = self.request(server)
        self.cluster.crash()
        self.standby.start()
        self.standby.promote()
        self.assert_nak(self.ask(server, wire.renew(lost), again=0.3),
                        wire.UNKNOWN_LEASE)
        self.assert_ack(self.ask(server, wire.renew(kept)))
