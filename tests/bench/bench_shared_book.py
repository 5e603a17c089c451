#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""How many durable exchanges a second one and two madcapd do with a lease book in PostgreSQL.

The load is that of bench_madcapd: REQUEST, RENEW, RELEASE in turn, so many in flight, every answer
an ACK that is on disk (fsync and synchronous_commit are on). The controls, in turn with it: pgbench with
as many clients, each transaction of which inserts one row of a lease into a table with nothing but a primary
key ("bare"), and into one with the book's constraints ("same"). All of it with an empty book first, and then
once more with --leases N in it.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests/lib'))

from rasip_test import config, madcapd, paths, postgres  # pylint: disable=wrong-import-position

FLIGHTS = (1, 16, 64, 256)
INSERT = r'''\set n :n + 1
INSERT INTO TABLE (id, part, parts, state, flags, scope, starts_sec, ends_sec, touched_sec, wanted_min,
wanted, wanted_lease_sec, server, address, extra_sec, held_from_sec) VALUES (int8send((:client_id::bigint << 32) + :n), 0,
1, 1, 0, '232.0.0.0', 1800000000, 1800086400, 1800000000, 0, 0, 0, 'control',
inet '232.0.0.0' + (:client_id * 65536 + :n % 65536), 0, 1800000000);
'''


class Bench:
    def __init__(self, directory, seconds):
        self.directory = directory
        self.seconds = seconds
        self.cluster = postgres.Cluster(directory / 'pg')
        self.servers = []

    def start(self):
        self.cluster.make(fsync='on', max_connections=300, shared_buffers='256MB',
                          autovacuum_naptime='60s').start()
        self.cluster.sql('CREATE DATABASE book')
        for name in ('one', 'two'):
            self.configure(name)
        subprocess.run([str(paths.MADCAPD), '-c', str(self.directory / 'one.conf'),
                        '--init-book'], check=True, stdout=subprocess.DEVNULL)
        self.cluster.sql(
            'CREATE TABLE same (LIKE madcap.lease INCLUDING ALL);'
            'CREATE TABLE bare (LIKE madcap.lease); ALTER TABLE bare ADD PRIMARY KEY (id)', 'book')
        for table in ('same', 'bare'):
            (self.directory / f'{table}.sql').write_text(INSERT.replace('TABLE', table))

    def configure(self, name):
        conf = self.directory / f'{name}.conf'
        conf.write_text(config.render_file({
            'listen': ['127.0.0.1'], 'port': 0, 'state_dir': self.directory / name,
            'book': 'postgresql', 'connection': self.cluster.connection('book'),
            'server_name': name, 'extra_allocation_time': '0s', 'max_addresses_per_client': 0,
            'database_timeout': '10s',
            'scopes': [{'first': '232.0.0.0', 'last': '232.255.255.255'}]}))
        return conf

    def serve(self, name):
        server = madcapd.Madcapd(self.directory / f'{name}.conf', self.directory / f'{name}.log')
        self.servers.append(server)
        return server.wait_ready()

    def stop(self):
        for server in self.servers:
            server.stop()
        self.servers = []

    def close(self):
        self.stop()
        self.cluster.dispose()

    # -- measures, each in a second

    def load(self, flight):
        """With all servers that run: exchanges, and the worst of their median and 99th us."""
        each = max(1, flight // len(self.servers))
        running = [subprocess.Popen(
            [str(paths.BUILD / 'bench/bench_madcapd'), '--load', f'{server.port}:{each}',
             str(self.seconds)], stdout=subprocess.PIPE, text=True) for server in self.servers]
        printed = [load.communicate()[0] for load in running]
        if any(load.returncode != 0 for load in running):
            raise SystemExit('bench_shared_book: nothing is measured: see above')
        results = [list(map(float, text.split())) for text in printed]
        return (sum(result[0] for result in results), max(result[1] for result in results),
                max(result[2] for result in results))

    def control(self, table, clients):
        each = round((100 * self.seconds + 20 * self.seconds * clients) / clients)
        self.cluster.sql(f'TRUNCATE {table}', 'book')
        text = self.cluster.run(
            'pgbench', '-h', self.cluster.directory, '-U', postgres.ROLE, '-n', '-M', 'prepared',
            '-c', clients, '-j', min(2, clients), '-t', each,
            '-D', 'n=0', '-f', self.directory / f'{table}.sql', 'book')
        found = re.search(r'^tps = ([0-9.]+)', text, re.MULTILINE)
        if found is None:
            raise AssertionError(text)
        return float(found.group(1))

    def fill(self, n):
        began = time.monotonic()
        postgres.fill_book(self.cluster, 'book', n, '232.0.0.0', '232.0.0.0')
        print(f'the database took {n} leases in {time.monotonic() - began:.1f} s')
        self.cluster.sql('CHECKPOINT', timeout=600)  # else it comes into what is measured next

    def measure_start(self, n):
        began = time.monotonic()
        server = self.serve('one')
        took = time.monotonic() - began
        status = pathlib.Path(f'/proc/{server.process.pid}/status').read_text()
        memory = int(re.search(r'RssAnon:\s*(\d+)', status).group(1)) * 1024
        (size,), = self.cluster.sql(
            "SELECT pg_total_relation_size('madcap.lease')", 'book')
        print(f'ready with {n} leases after {took:.2f} s; {memory / n:.0f} bytes of memory in '
              f'madcapd and {int(size) / n:.0f} in the database a lease')
        self.stop()


def measure_all(bench, flights):
    """Returns the exchanges a second of one server and of two, of the last row."""
    print(f'{"flight":>6} {"one/s":>8} {"p50 us":>8} {"p99 us":>8} {"two/s":>8} {"p50 us":>8} '
          f'{"p99 us":>8} {"bare/s":>8} {"of it":>6} {"same/s":>8} {"of it":>6}')
    for flight in flights:
        bench.serve('one')
        one = bench.load(flight)
        bench.serve('two')
        two = bench.load(flight)
        bench.stop()
        bare, same = bench.control('bare', flight), bench.control('same', flight)
        print(f'{flight:6} {one[0]:8.0f} {one[1]:8.0f} {one[2]:8.0f} {two[0]:8.0f} {two[1]:8.0f} '
              f'{two[2]:8.0f} {bare:8.0f} {one[0] / bare:6.2f} {same:8.0f} {one[0] / same:6.2f}',
              flush=True)
    return one[0], two[0]


def measure_filled(bench, leases, flights, empty):
    bench.fill(leases)
    bench.measure_start(leases)
    one, two = measure_all(bench, flights)
    print(f'with {leases} leases {one / empty[0]:.2f} of what one server did with none, and '
          f'{two / empty[1]:.2f} of what two did')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--leases', type=int)
    options = parser.parse_args()
    quick = options.quick or 'BENCH_QUICK' in os.environ
    leases = options.leases if options.leases is not None else 50000 if quick else 500000
    if postgres.missing():
        print(f'bench_shared_book: {postgres.missing()}; nothing is measured')
        return
    directory = pathlib.Path(tempfile.mkdtemp(
        prefix='bench-book-', dir=os.environ.get('BENCH_DIR', '/var/tmp')))
    directory.chmod(0o755)
    (directory / 'pg').mkdir()
    bench = Bench(directory, 1 if quick else 5)
    try:
        bench.start()
        print('madcapd on PostgreSQL: REQUEST, RENEW, RELEASE in turn, each answered when it is '
              'on disk')
        empty = measure_all(bench, (1, 256) if quick else FLIGHTS)
        if leases > 0:
            measure_filled(bench, leases, (256,) if quick else (16, 256), empty)
    finally:
        bench.close()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == '__main__':
    main()
