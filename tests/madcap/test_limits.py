# SPDX-License-Identifier: MIT
"""
madcapd with too few descriptors, too little memory, files that may not grow, and a state_dir that is
read-only, somebody else's, gone or damaged while it runs: it says what failed, acknowledges nothing
that it cannot keep, neither crashes nor spins, and goes on where it can.

A disk that is full is in test_madcapd.py, calls that fail one by one are in test_survival.py.
"""

import errno
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
import unittest

from rasip_test import madcap_wire as wire
from rasip_test import madcapd, paths
from rasip_test.madcapd import ORG, wait_for

BOOK = 'madcap-book.mdb'
SANITIZED = b'libasan' in paths.MADCAPD.read_bytes()
MIB = 1 << 20
TROUBLE = re.compile('nothing is granted|[Nn]o memory|out of memory|Cannot allocate memory')


class Limited(madcapd.Case):
    def setUp(self):
        super().setUp()
        self.write_config(max_addresses_per_client=0, extra_allocation_time='0s')

    def settle(self, server):
        """'ready', or the exit status of a server that did not get so far."""
        wait_for(lambda: server.process.poll() is not None
                 or madcapd.READY.search(server.log().encode()), 'an outcome')
        if server.process.poll() is not None:
            return server.process.returncode
        server.wait_ready()
        return 'ready'

    def book(self):
        return {bytes.fromhex(lease['request_id']): lease['addresses']
                for lease in self.admin('leases')}

    def launch(self, *scopes, **settings):
        self.latest = super().launch(*scopes, **settings)
        return self.latest

    def answer_to(self, client, message, patience):
        """An answer that may not come is waited for as long as nothing in the log says why."""
        client.send(message)
        found = []

        def outcome():
            found.append(client.answer_to(message, 0.02))
            return found[-1] or TROUBLE.search(self.latest.log())

        wait_for(outcome, 'an answer, or why there is none')
        return found[-1] or client.answer_to(message, patience)

    def request(self, client, held, n=1, patience=0.3):
        """Asks for a lease n times; what was acknowledged goes into `held`. Returns the last
        answer."""
        answer = None
        for _ in range(n):
            message = wire.request(ORG['first'])
            answer = self.answer_to(client, message, patience)
            if answer is not None and answer.kind == wire.ACK:
                held[message.get(wire.LEASE_ID)] = answer.addresses
        return answer

    def assert_keeps(self, held):
        """Another server, without limits, has what was acknowledged, and no address twice."""
        server = self.start()
        found = self.book()
        for identifier, addresses in held.items():
            self.assertEqual(found.get(identifier), addresses, 'an acknowledged lease is lost')
        every = [address for addresses in found.values() for address in addresses]
        self.assertEqual(len(every), len(set(every)))
        self.request(self.client(server), held, patience=madcapd.PATIENCE_SEC)
        self.assertEqual(self.book().keys() & held.keys(), held.keys())
        server.stop()

    def assert_rests(self, server, seconds=1.5):
        """It waits for something to happen, and does not ask for it all the time."""
        before, lines = server.cpu_ticks(), server.log().count('\n')
        time.sleep(seconds)
        self.assertIsNone(server.process.poll(), server.log())
        self.assertLess(server.cpu_ticks() - before, os.sysconf('SC_CLK_TCK') * seconds / 4)
        self.assertLess(server.log().count('\n') - lines, 5, server.log())

    def assert_says(self, server, *words):
        """One line has all of the words."""
        for line in server.log().splitlines():
            if all(word in line for word in words):
                return
        self.fail(f'no line with {words}:\n{server.log()}')


def prlimit(server, which, soft):
    hard = resource.prlimit(server.process.pid, which)[1]
    resource.prlimit(server.process.pid, which, (soft, hard))


def highest_fd(server):
    return max(int(fd.name) for fd in pathlib.Path(f'/proc/{server.process.pid}/fd').iterdir())


class AtTheStart(Limited):
    """Each limit from hopeless to enough."""

    def each(self, option, values, reason):
        outcomes = []
        for value in values:
            held = {}
            shutil.rmtree(self.state_dir, ignore_errors=True)
            with self.subTest(f'{option}={value}'):
                server = self.launch(wrap=['prlimit', f'--{option}={value}'])
                outcome = self.settle(server)
                if outcome == 'ready':
                    self.request(self.client(server), held, 3)
                    outcome = len(held)
                    self.assertEqual(server.stop(), 0, server.log())
                elif outcome == 127:
                    outcome = 'not loaded'  # the dynamic linker's refusal
                else:
                    self.assertEqual(outcome, 1, server.log())
                    self.assertRegex(server.log(), reason)
                outcomes.append(outcome)
                self.assert_keeps(held)
        self.assertIn(1, outcomes)
        self.assertEqual(outcomes[-1], 3)
        return outcomes

    def test_descriptors(self):
        self.each('nofile', range(4, 14), r'(?m)^madcapd: .*\S: Too many open files$')

    @unittest.skipIf(SANITIZED, 'a sanitizer needs the room')
    def test_address_space(self):
        self.each('as', [size * MIB for size in (20, 24, 32, 100, 1000, 20000)],
                  r'(?m)^madcapd: .*([Nn]o|out of|Cannot allocate) memory')

    @unittest.skipIf(SANITIZED, 'a sanitizer needs the room')
    def test_data(self):
        self.each('data', [size * MIB for size in (2, 4, 6, 8, 12, 16, 64)],
                  r'(?m)^madcapd: .*([Nn]o|out of|Cannot allocate) memory')

    def test_file_size(self):
        """A book that may not grow is as a full disk."""
        outcomes = self.each(
            'fsize', [512, 4096, 8192, 10000, 12288, 16384, 20000, 24576, 65536],
            rf'(?m)^madcapd: .*/{BOOK}\S*: .*(File too large|[Nn]o space left on device)')
        self.assertIn(0, outcomes)


class WhileItRuns(Limited):
    def setUp(self):
        super().setUp()
        self.server = self.start()
        self.calling = self.client(self.server)
        self.held = {}
        self.request(self.calling, self.held, 3, patience=madcapd.PATIENCE_SEC)
        self.assertEqual(len(self.held), 3)

    def test_no_descriptor_for_the_operator(self):
        prlimit(self.server, resource.RLIMIT_NOFILE, highest_fd(self.server) + 1)
        with socket.socket(socket.AF_UNIX) as waiting:
            waiting.settimeout(madcapd.PATIENCE_SEC)
            waiting.connect(str(self.state_dir / 'admin.sock'))
            waiting.sendall(b'{"verb":"leases"}\n')
            wait_for(lambda: 'admin.sock' in self.server.log(), 'the reason')
            self.assert_says(self.server, 'admin.sock', os.strerror(errno.EMFILE))
            self.assert_rests(self.server)
            with self.subTest('datagrams are answered'):
                self.request(self.calling, self.held, 3, patience=madcapd.PATIENCE_SEC)
                self.assertEqual(len(self.held), 6)
            prlimit(self.server, resource.RLIMIT_NOFILE, 64)
            self.assertIn(b'"ok":true', waiting.recv(64))
        self.assertEqual(self.server.log().count('admin.sock'), 1)
        self.assertEqual(self.book(), self.held)
        self.assertEqual(self.server.stop(), 0)
        self.assert_keeps(self.held)

    def test_no_descriptor_for_a_reload(self):
        prlimit(self.server, resource.RLIMIT_NOFILE, highest_fd(self.server) + 1)
        self.server.send_signal(signal.SIGHUP)
        self.server.wait_log('not reloaded')
        self.assert_says(self.server, 'madcapd.conf', os.strerror(errno.EMFILE))
        self.request(self.calling, self.held, patience=madcapd.PATIENCE_SEC)
        self.assertEqual(len(self.held), 4)
        prlimit(self.server, resource.RLIMIT_NOFILE, 64)
        self.server.send_signal(signal.SIGHUP)
        self.server.wait_log('\nmadcapd: reloaded')

    def test_fewer_descriptors_than_it_has(self):
        """poll(2) refuses that many then."""
        prlimit(self.server, resource.RLIMIT_NOFILE, 1)
        self.server.wait_log('poll: ')
        self.assert_rests(self.server)
        prlimit(self.server, resource.RLIMIT_NOFILE, 64)
        self.request(self.calling, self.held, patience=madcapd.PATIENCE_SEC)
        self.assertEqual(len(self.held), 4)
        if not SANITIZED:  # its search for leaks opens files
            prlimit(self.server, resource.RLIMIT_NOFILE, 1)
        self.assertEqual(self.server.stop(), 0)
        self.assert_keeps(self.held)

    def test_a_book_that_may_not_grow(self):
        prlimit(self.server, resource.RLIMIT_FSIZE, (self.state_dir / BOOK).stat().st_size)
        for _ in range(200):
            if self.request(self.calling, self.held) is None:
                break
        self.assertIsNone(self.server.process.poll(), self.server.log())
        self.assert_says(self.server, 'cannot be written', BOOK)
        self.assert_ack(self.calling.ask(wire.getinfo()))
        self.assertEqual(self.book(), self.held)
        self.assert_rests(self.server)
        prlimit(self.server, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        before = len(self.held)
        self.request(self.calling, self.held, patience=madcapd.PATIENCE_SEC)
        self.assertEqual(len(self.held), before + 1)
        self.server.wait_log('can be written again')
        self.server.kill()
        self.assert_keeps(self.held)

    @unittest.skipIf(SANITIZED, 'a sanitizer needs the room')
    def test_no_memory_for_more_leases(self):
        """What has no room is not granted; when there is room again, it is."""
        used = int(re.search(r'VmData:\s*(\d+)', pathlib.Path(
            f'/proc/{self.server.process.pid}/status').read_text('ascii')).group(1)) << 10
        prlimit(self.server, resource.RLIMIT_DATA, used)
        refused = 0
        for _ in range(5000):
            before = len(self.held)
            self.request(self.calling, self.held, patience=10)
            refused += len(self.held) == before
            if refused == 3:
                break
        self.assertEqual(refused, 3, 'there was always room')
        self.assertIsNone(self.server.process.poll(), self.server.log())
        self.assertRegex(self.server.log(), r'[Nn]o memory|out of memory|Cannot allocate memory')
        self.assert_rests(self.server)
        prlimit(self.server, resource.RLIMIT_DATA, resource.RLIM_INFINITY)
        before = len(self.held)
        self.request(self.calling, self.held, patience=madcapd.PATIENCE_SEC)
        self.assertEqual(len(self.held), before + 1)
        self.assertEqual(self.book(), self.held)
        self.server.kill()
        self.assert_keeps(self.held)

    # -- the book and its directory

    def assert_grants_nothing(self, *words):
        """It lives, says why, and nobody is told that something was done."""
        before = dict(self.held)
        self.request(self.calling, self.held, 2)
        self.assertEqual(self.held, before, 'granted what cannot be kept')
        identifier = next(iter(self.held))
        for message in (wire.renew(identifier), wire.release(identifier)):
            answer = self.calling.ask_once(message, 0.3)
            self.assertTrue(answer is None or answer.kind == wire.NAK, answer)
        self.assertIsNone(self.server.process.poll(), self.server.log())
        self.assert_says(self.server, 'nothing is granted', *words)
        self.assert_ack(self.calling.ask(wire.getinfo()))
        self.assert_rests(self.server)

    def assert_goes_on(self):
        before = len(self.held)
        self.request(self.calling, self.held, patience=madcapd.PATIENCE_SEC)
        self.assertEqual(len(self.held), before + 1, self.server.log())
        self.server.wait_log('can be written again')
        self.server.kill()
        self.assert_keeps(self.held)

    def test_directory_that_is_removed(self):
        """Leases in a file that has no name would be gone with the process."""
        shutil.rmtree(self.state_dir)
        self.assert_grants_nothing(str(self.state_dir / BOOK), os.strerror(errno.ENOENT))
        self.assertEqual(self.server.stop(), 0)
        self.assertNotIn('cannot', self.server.log().rpartition('nothing is granted')[2]
                         .partition('\n')[2])

    def test_directory_that_is_away_for_a_time(self):
        away = self.directory / 'away'
        self.state_dir.rename(away)
        self.assert_grants_nothing(str(self.state_dir / BOOK), os.strerror(errno.ENOENT))
        away.rename(self.state_dir)
        self.assert_goes_on()

    def test_book_that_is_replaced(self):
        """By one from a backup, say, which has not what was granted since."""
        book, own = self.state_dir / BOOK, self.directory / 'own'
        book.rename(own)
        shutil.copy(own, book)
        self.assert_grants_nothing(str(book), 'another file')
        own.rename(book)
        self.assert_goes_on()

    def test_operator_is_told_why(self):
        """Also where it is his release that finds out."""
        (self.state_dir / BOOK).rename(self.directory / 'own')
        answer = self.admin_answer('release', next(iter(self.held)).hex())
        self.assertFalse(answer['ok'])
        self.assertIn(os.strerror(errno.ENOENT), answer['error'])
        self.assert_says(self.server, 'nothing is granted', str(self.state_dir / BOOK),
                         os.strerror(errno.ENOENT))
        (self.directory / 'own').rename(self.state_dir / BOOK)
        self.assert_goes_on()

    def test_book_that_is_cut_short(self):
        """Reading behind the end of a file that is mapped would end the process."""
        book = self.state_dir / BOOK
        whole = book.read_bytes()
        for size in (len(whole) - 4096, 8192, 5000, 0):
            with self.subTest(size=size):
                os.truncate(book, size)
                self.assert_grants_nothing(str(book), 'damaged')
        self.assertEqual(self.server.stop(), 0)
        again = self.launch()
        self.assertEqual(self.settle(again), 1)
        self.assert_says(again, str(book), 'damaged')

    def test_book_that_is_cut_short_and_restored(self):
        book = self.state_dir / BOOK
        whole = book.read_bytes()
        os.truncate(book, 8192)
        self.assert_grants_nothing(str(book), 'damaged')
        with open(book, 'r+b') as file:
            file.write(whole)
        self.assert_goes_on()


@unittest.skipUnless(os.geteuid() == 0, 'needs root')
class Directories(Limited):
    def mount(self, *options):
        self.state_dir.mkdir(mode=0o750, exist_ok=True)
        done = subprocess.run(['mount', *options, str(self.state_dir)], check=False,
                              capture_output=True)
        if done.returncode:
            self.skipTest(f'no mount here: {done.stderr.decode().strip()}')

    def test_read_only(self):
        """Without a book, and with one; when it can be written again, all is there."""
        self.mount('-t', 'tmpfs', '-o', 'size=1m,mode=0750', 'tmpfs')
        self.addCleanup(subprocess.run, ['umount', '-l', str(self.state_dir)], check=False)
        held = {}
        for _ in range(2):
            self.mount('-o', 'remount,ro')
            server = self.launch()
            self.assertEqual(self.settle(server), 1)
            self.assert_says(server, str(self.state_dir / BOOK), os.strerror(errno.EROFS))
            self.mount('-o', 'remount,rw')
            server = self.start()
            self.assertEqual(self.book(), held)
            self.request(self.client(server), held, 3, patience=madcapd.PATIENCE_SEC)
            self.assertEqual(server.stop(), 0)

    def test_somebody_elses(self):
        for user in (1, 65534):
            self.state_dir.mkdir(mode=0o750, exist_ok=True)
            os.chown(self.state_dir, user, user)
            server = self.launch()
            self.assertEqual(self.settle(server), 1)
            self.assert_says(server, str(self.state_dir), f'belongs to user {user}, not to user 0')
            self.assertEqual(list(self.state_dir.iterdir()), [])

    def test_roots_when_it_is_not_root(self):
        """As the user of its setting it does not take what root has made."""
        os.chmod(self.directory, 0o755)
        self.state_dir.mkdir(mode=0o755)
        server = self.launch(user='nobody')
        self.assertEqual(self.settle(server), 1)
        self.assert_says(server, str(self.state_dir), 'belongs to user 0, not to user 65534')

    def test_no_more_processes(self):
        """The child that reads the book first cannot be made."""
        os.chmod(self.directory, 0o755)
        server = self.start(user='nobody')
        server.stop()
        server = self.launch(wrap=['prlimit', '--nproc=0'])
        self.assertEqual(self.settle(server), 1)
        self.assert_says(server, BOOK, os.strerror(errno.EAGAIN))


if __name__ == '__main__':
    unittest.main()
