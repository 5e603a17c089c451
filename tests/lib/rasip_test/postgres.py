# SPDX-License-Identifier: MIT
"""PostgreSQL servers for tests, in directories of their own: a primary, a standby, and gates before
them that can be closed."""

import atexit
import contextlib
import functools
import glob
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from rasip_test.madcapd import PATIENCE_SEC, wait_for

ROLE = 'keeper'  # the superuser of every cluster
PORT = 5432      # only in the names of sockets
SLOW_SEC = 180   # for what takes seconds where nobody is in the way


def binaries():
    """The directory of the newest server's programs, or None."""
    found = glob.glob('/usr/lib/postgresql/*/bin/initdb')
    found.sort(key=lambda path: int(path.split('/')[4]))
    if found:
        return pathlib.Path(found[-1]).parent
    path = shutil.which('initdb')
    return pathlib.Path(path).resolve().parent if path else None


def owner():
    """PostgreSQL does not run as root; somebody harmless does for it. None: we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ('postgres', 'nobody'):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def children_of(pid):
    found = []
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text(errors='replace').rsplit(')', 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@functools.cache
def template():
    """The files of a new server, for as many as will be copies of it: making them takes long."""
    directory = tempfile.mkdtemp(prefix='pgt-')
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    cluster = Cluster(directory)
    cluster.run('initdb', '-D', cluster.data, '-U', ROLE, '-A', 'trust', '--no-sync', '-E', 'UTF8',
                '--no-locale')
    return cluster.data


class Cluster:
    """One PostgreSQL server. Its socket is in `directory`, and nothing else listens."""

    def __init__(self, directory=None):
        self.bin = binaries()
        self._owner = owner()
        self._dir = pathlib.Path(directory or tempfile.mkdtemp(prefix='pg-'))
        self.directory = self._dir / 's'
        self.data = self._dir / 'data'
        self.process = None
        self.directory.mkdir()
        for path in (self._dir, self.directory):
            self._dir_for_owner(path)

    def _dir_for_owner(self, path):
        os.chmod(path, 0o755)
        if self._owner:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        return pathlib.Path(path)

    def _as_owner(self):
        if not self._owner:
            return {}
        return {'user': self._owner.pw_uid, 'group': self._owner.pw_gid, 'extra_groups': []}

    def run(self, program, *arguments):
        done = subprocess.run([str(self.bin / program), *map(str, arguments)], check=False,
                              capture_output=True, text=True, cwd='/', stdin=subprocess.DEVNULL,
                              timeout=SLOW_SEC, **self._as_owner())
        if done.returncode != 0:
            raise AssertionError(f'{program}: {done.stdout}{done.stderr}')
        return done.stdout

    def make(self, files=None, **settings):
        """A new one, as a copy of those files, or of the template."""
        subprocess.run(['cp', '-a', str(files or template()), str(self.data)], check=True)
        self._configure({'fsync': 'off', **settings})
        return self

    def follow(self, primary, **settings):
        """Makes this one a standby of that one."""
        self.run('pg_basebackup', '-h', primary.directory, '-U', ROLE, '-D', self.data,
                 '-R', '-X', 'stream', '-c', 'fast', '--no-sync')
        self._configure(settings)
        return self

    def wipe(self):
        """Removes all that it had, so that it can be made anew."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.data)

    def _configure(self, settings):
        whole = {'listen_addresses': '', 'unix_socket_directories': str(self.directory),
                 'port': PORT, 'max_connections': 60, 'shared_buffers': '32MB',
                 'autovacuum_naptime': '5s', 'log_min_messages': 'warning', **settings}
        with open(self.data / 'postgresql.conf', 'a', encoding='utf-8') as conf:
            for key, value in whole.items():
                conf.write(f"{key} = '{value}'\n")

    def start(self):
        with open(self._dir / 'log', 'ab') as log:
            self.process = subprocess.Popen(
                [str(self.bin / 'postgres'), '-D', str(self.data)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, cwd='/', **self._as_owner())

        def answers():
            if self.process.poll() is not None:
                raise AssertionError('postgres ended:\n' + self.log())
            return self.ready()

        wait_for(answers, 'PostgreSQL', SLOW_SEC)
        return self

    def log(self):
        return (self._dir / 'log').read_text(errors='replace')

    def ready(self):
        return subprocess.run([str(self.bin / 'pg_isready'), '-q', '-h', str(self.directory)],
                              check=False).returncode == 0

    def _each(self, number):
        for pid in [self.process.pid, *children_of(self.process.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        """Stops all of its processes, as a machine that hangs."""
        self._each(signal.SIGSTOP)
        self._each(signal.SIGSTOP)  # also those that were just being made

    def resume(self):
        self._each(signal.SIGCONT)

    def stop(self, number=signal.SIGINT):
        """SIGINT: fast shutdown. SIGQUIT: as if it had crashed."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.resume()
            self.process.send_signal(number)
        try:
            self.process.wait(PATIENCE_SEC)
        except subprocess.TimeoutExpired:
            self._each(signal.SIGKILL)
            self.process.wait()
        self.process = None

    def crash(self):
        self.stop(signal.SIGQUIT)

    def _set_synchronous(self, names):
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.sql('SELECT pg_reload_conf()')

    def wait_for_standby(self):
        """From now on nothing is committed before a standby has it, which has all from before."""
        self._set_synchronous('*')
        wait_for(lambda: self.sql(
            "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"), 'the standby', SLOW_SEC)

    def wait_for_replay(self):
        """Returns when the standby knows what this one knows now. It need not be synchronous."""
        (position,), = self.sql('SELECT pg_current_wal_lsn()')
        wait_for(lambda: self.sql('SELECT 1 FROM pg_stat_replication '
                                  f"WHERE replay_lsn >= '{position}'"), 'replay', SLOW_SEC)

    def need_no_standby(self):
        self._set_synchronous('')

    def promote(self):
        """Makes a primary of a standby. It has no standby of its own, and waits for none."""
        self.run('pg_ctl', 'promote', '-D', self.data, '-w', '-t', '120')
        self.need_no_standby()

    def dispose(self):
        if self.process is not None:
            self._each(signal.SIGKILL)
            self.process.wait()
            self.process = None
        shutil.rmtree(self._dir, ignore_errors=True)

    # -- what is in it

    @property
    def _psql(self):
        return [str(self.bin / 'psql'), '-XqAt', '-v', 'ON_ERROR_STOP=1', '-h',
                str(self.directory), '-U', ROLE]

    def sql(self, text, database='postgres', role=ROLE, timeout=PATIENCE_SEC):
        """Runs it, and gives the rows as lists of text."""
        done = subprocess.run(
            [*self._psql, '-U', role, '-d', database, '-c', text], check=False,
            capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise AssertionError(f'{text}: {done.stderr}')
        return [line.split('|') for line in done.stdout.splitlines()]

    @contextlib.contextmanager
    def session(self, database):
        """What is written to it is done in one connection."""
        process = subprocess.Popen([*self._psql, '-d', database], stdin=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, text=True, bufsize=1)
        try:
            yield process.stdin
        finally:
            process.stdin.close()
            process.wait(PATIENCE_SEC)

    def connection(self, database, role=ROLE):
        return f'host={self.directory} user={role} dbname={database}'


def fill_book(cluster, database, n, scope, first):
    """Leases of n addresses from `first` on, as madcapd makes them. Servers that run read them all."""
    cluster.sql(
        'INSERT INTO madcap.lease (id, part, parts, state, flags, scope, client, starts_sec,'
        ' ends_sec, touched_sec, wanted_min, wanted, wanted_lease_sec, server, address,'
        " extra_sec, held_from_sec) SELECT decode('00' || md5(i::text), 'hex'), 0, 1, 1, 0,"
        f" '{scope}', inet '10.0.0.0' + i % 1000, t, t + 30 * 86400, t, 0, 0, 0, 'filled',"
        f" inet '{first}' + i, b.extra_sec, t FROM generate_series(0, {n} - 1) AS i, madcap.book b,"
        ' (SELECT extract(epoch FROM now())::bigint AS t) AS now;'
        'UPDATE madcap.book SET version = version + 1, token = token + 1', database, timeout=3600)


class Gate:
    """A socket that passes on to a cluster's, until it is shut: then what goes on stands still."""

    def __init__(self, cluster):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='pgg-'))
        self._target = str(cluster.directory / f'.s.PGSQL.{PORT}')
        self._shut = threading.Event()
        self._over = False
        self._pairs = {}
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / f'.s.PGSQL.{PORT}'))
        self._listener.listen(64)
        self.directory.chmod(0o755)
        (self.directory / f'.s.PGSQL.{PORT}').chmod(0o777)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def shut(self):
        """Nothing comes through any more; connections stay, and wait."""
        self._shut.set()

    def open(self):
        """Lets new connections through; the ones from before are lost."""
        self._drop_all()
        self._shut.clear()

    def _drop_all(self):
        for end in list(self._pairs):
            end.close()
        self._pairs.clear()

    def close(self):
        self._over = True
        self._thread.join()
        self._drop_all()
        self._listener.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _accept(self):
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._target)
        except OSError:
            client.close()
            server.close()
            return
        self._pairs[client], self._pairs[server] = server, client

    def _pass_on(self, end):
        other = self._pairs.get(end)
        try:
            data = end.recv(1 << 16)
            if data:
                other.sendall(data)
                return
        except (OSError, AttributeError):
            pass
        for each in (end, other):
            if each is not None:
                self._pairs.pop(each, None)
                each.close()

    def _run(self):
        while not self._over:
            if self._shut.is_set():
                time.sleep(0.01)
                continue
            try:
                ends = [self._listener, *self._pairs]
                for end in select.select(ends, [], [], 0.02)[0]:
                    if self._shut.is_set():
                        break
                    if end is self._listener:
                        self._accept()
                    elif end in self._pairs:
                        self._pass_on(end)
            except (OSError, ValueError):  # closed by open()
                continue


def missing():
    """Why there can be no PostgreSQL server here; None if there can."""
    if binaries() is None:
        return 'there is no PostgreSQL server'
    if os.geteuid() == 0 and owner() is None:
        return 'there is no user to run PostgreSQL as'
    return None
