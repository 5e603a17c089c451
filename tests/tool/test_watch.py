# SPDX-License-Identifier: MIT
"""rasip watch, on a terminal."""

import os
import re
import signal
import termios
import unittest

from toolbox import Case, RASIP, Terminal, wait_for

ENTER, LEAVE = b'\033[?1049h', b'\033[?1049l'


class Screen:
    """What a terminal shows after the sequences that watch uses; any other one is an error."""

    SEQUENCE = re.compile(rb'\033\[(\??)([\d;]*)([A-Za-z])')

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.clear()
        self.alternate, self.cursor = False, True

    def clear(self):
        self.lines = [''] * self.rows
        self.row = self.column = 0

    def feed(self, data):
        at = 0
        while at < len(data):
            if data[at] == 0x1b:
                found = self.SEQUENCE.match(data, at)
                assert found, data[at:at + 20]
                self.sequence(found[1].decode(), found[2].decode(), found[3].decode())
                at = found.end()
                continue
            assert 0x20 <= data[at] < 0x7f, data[at:at + 20]
            line = self.lines[self.row].ljust(self.column)
            assert self.column < self.columns, 'a line is longer than the screen is wide'
            self.lines[self.row] = line[:self.column] + chr(data[at]) + line[self.column + 1:]
            self.column += 1
            at += 1

    def sequence(self, private, numbers, final):
        if private:
            assert numbers in ('1049', '25', '7') and final in 'hl'
            if numbers == '1049':
                self.alternate = final == 'h'
            if numbers == '25':
                self.cursor = final == 'h'
        elif final == 'H':
            row, column = (int(n) - 1 for n in numbers.split(';'))
            assert 0 <= row < self.rows and column == 0
            self.row, self.column = row, column
        elif final == 'K':
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif final == 'J':
            assert numbers == '2'
            self.clear()
        else:
            assert final == 'm'


class Watch(Case):
    def watch(self, rows=24, columns=80, words=(), **environment):
        terminal = Terminal([RASIP, '-c', self.config, 'watch', *words], rows, columns,
                            **environment)
        self.addCleanup(terminal.close)
        return terminal

    def show(self, terminal, screen, condition, what):
        """Waits until the screen shows what is wanted."""
        def shown():
            terminal.read()
            screen.feed(terminal.output)
            terminal.output = b''
            return condition('\n'.join(screen.lines))

        wait_for(shown, what)

    def ends(self, terminal):
        self.assertEqual(terminal.wait(), 0)
        self.assertTrue(terminal.output.endswith(b'\033[?25h' + LEAVE), terminal.output)
        self.assertEqual(terminal.mode(), terminal.before)

    def test_pools_and_newest_events(self):
        terminal, screen = self.watch(columns=200), Screen(24, 200)
        self.show(terminal, screen, lambda text: 'none yet' in text, 'the first screen')
        self.assertTrue(screen.alternate and not screen.cursor)
        self.assertRegex(screen.lines[0], rf'^rasip  \S+Z  q: quit  {self.config}$')
        self.assertEqual(screen.lines[1].strip(), '')  # all is well
        self.assertRegex(screen.lines[3], r'^residential  open +0/255 ')
        address = self.sessions.connect('a', 'bob')
        self.show(terminal, screen, lambda text: f'grant     {address}' in text, 'the grant')
        self.assertRegex(screen.lines[3], r'^residential  open +1/255 ')
        self.sessions.command('disconnect a')
        self.show(terminal, screen, lambda text: f'release   {address}' in text, 'the release')
        title = screen.lines.index('NEWEST EVENTS')
        self.assertRegex(screen.lines[title + 1],
                         rf'^\S+Z  release   {address} +residential  bob  \S+  after \d+')
        self.assertRegex(screen.lines[title + 2],
                         rf"^\S+Z  grant     {address} +residential  bob  \S+  the next one ")
        terminal.type(b'q')
        self.ends(terminal)

    def test_more_events_than_rows_the_newest_are_shown(self):
        for i in range(12):
            self.sessions.connect(f's{i}', f'user{i:02}')
        terminal, screen = self.watch(12, 100), Screen(12, 100)
        self.show(terminal, screen, lambda text: 'user11' in text, 'the newest')
        shown = [line.split()[4] for line in screen.lines if ' grant ' in line]
        self.assertEqual(shown, ['user11', 'user10', 'user09', 'user08', 'user07'])
        terminal.type(b'q')
        self.ends(terminal)

    def test_a_refusal_is_news(self):
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); mode = "drain"; } );')
        self.sessions.command('connect a user=eve')
        terminal, screen = self.watch(columns=200), Screen(24, 200)
        self.show(terminal, screen, lambda text: 'refuse    -' in text, 'the refusal')
        self.assertRegex('\n'.join(screen.lines), r'refuse    - +p  eve  \S+  .*p.* drain')
        terminal.type(b'q')
        self.ends(terminal)

    def test_only_what_changed_is_drawn(self):
        terminal = self.watch()
        terminal.expect(rb'none yet')
        terminal.read(0.05)
        terminal.output = b''
        terminal.expect(rb'rasip  \S+Z')
        terminal.expect(rb'rasip  \S+Z')
        terminal.type(b'q')
        terminal.wait()
        self.assertNotIn(b'residential', terminal.output)

    def test_ways_to_end_it(self):
        for end in (b'q', b'Q', b'\003', signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(end):
                terminal = self.watch()
                terminal.expect(rb'none yet')
                if isinstance(end, bytes):
                    terminal.type(end)
                else:
                    terminal.process.send_signal(end)
                self.ends(terminal)

    def test_keys_are_not_echoed_and_look_at_once(self):
        terminal = self.watch(words=('--interval', '1h'))
        terminal.expect(rb'none yet')
        self.assertFalse(terminal.mode()[3] & (termios.ECHO | termios.ICANON))
        address = self.sessions.connect('a', 'bob')
        terminal.type(b'x')
        terminal.expect(address.encode())
        terminal.type(b'q')
        self.ends(terminal)

    def test_resize(self):
        terminal, screen = self.watch(words=('--interval', '1h')), Screen(24, 80)
        self.show(terminal, screen, lambda text: 'none yet' in text, 'the first screen')
        for rows, columns in ((10, 60), (1, 1), (2, 200), (3, 7), (50, 120)):
            terminal.read()
            terminal.output = b''
            screen = Screen(rows, columns)
            terminal.resize(rows, columns)
            terminal.expect(rb'\033\[2J')
            self.show(terminal, screen, lambda text: text.startswith('r'), 'the new size')
        self.show(terminal, screen, lambda text: 'none yet' in text, 'all of it')
        terminal.type(b'q')
        self.ends(terminal)

    def test_tiny_terminals(self):
        for rows, columns in ((1, 1), (2, 10), (4, 20), (5, 300)):
            with self.subTest((rows, columns)):
                terminal, screen = self.watch(rows, columns), Screen(rows, columns)
                self.show(terminal, screen, lambda text: text.startswith('r'), 'something')
                terminal.type(b'q')
                self.ends(terminal)

    def test_a_terminal_that_does_not_know_its_size(self):
        terminal = self.watch(0, 0)
        terminal.expect(rb'none yet')
        terminal.type(b'q')
        self.ends(terminal)

    def test_more_pools_than_rows(self):
        self.configure('pools = (%s);' % ', '.join(
            f'{{ name = "p{i}"; ranges = ( "10.0.{i}.0/24" ); }}' for i in range(20)))
        terminal, screen = self.watch(10), Screen(10, 80)
        self.show(terminal, screen, lambda text: 'and 14 more pools' in text, 'what is left out')
        terminal.type(b'q')
        self.ends(terminal)

    def test_stopped_and_continued(self):
        terminal = self.watch()
        terminal.expect(rb'none yet')
        terminal.type(b'\032')
        terminal.expect(re.escape(LEAVE))
        wait_for(lambda: self.process_state(terminal.process.pid) == 'T', 'it is stopped')
        self.assertEqual(terminal.mode(), terminal.before)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.expect(re.escape(ENTER))
        terminal.expect(rb'none yet')
        terminal.type(b'q')
        self.ends(terminal)

    @staticmethod
    def process_state(pid):
        with open(f'/proc/{pid}/stat', encoding='ascii') as stat:
            return stat.read().rsplit(')', 1)[1].split()[0]

    def test_trouble_is_shown_and_passes(self):
        terminal, screen = self.watch(), Screen(24, 80)
        self.show(terminal, screen, lambda text: 'none yet' in text, 'the first screen')
        good = self.config.read_text()
        self.config.write_text('pools = ();')
        self.show(terminal, screen, lambda text: str(self.dir) in screen.lines[1], 'trouble')
        self.assertIn('residential', screen.lines[3])
        self.config.write_text(good.replace('residential', 'renamed'))
        self.show(terminal, screen, lambda text: 'renamed' in text and not screen.lines[1],
                  'the new configuration')
        terminal.type(b'q')
        self.ends(terminal)

    def test_names_cannot_reach_the_terminal(self):
        self.sessions.connect('a', '\x1b[2J\n\x9b')
        terminal, screen = self.watch(columns=120), Screen(24, 120)
        self.show(terminal, screen, lambda text: r'\x1b[2J\x0a' in text, 'the name')
        terminal.type(b'q')
        self.ends(terminal)

    def test_the_terminal_goes_away(self):
        terminal = self.watch()
        terminal.expect(rb'none yet')
        os.killpg(terminal.process.pid, signal.SIGHUP)
        self.assertEqual(terminal.wait(), 0)

    def test_a_store_that_is_damaged_inside_leaves_the_terminal_as_it_was(self):
        """What LMDB meets in a map is a signal."""
        terminal = self.watch()
        terminal.expect(rb'none yet')
        terminal.process.send_signal(signal.SIGBUS)
        self.assertEqual(terminal.wait(), 1)
        self.assertIn(b'\033[?25h' + LEAVE + b'rasip: a store is damaged', terminal.output)
        self.assertEqual(terminal.mode(), terminal.before)

    def test_without_a_terminal(self):
        self.assertEqual(self.fails(1, 'watch'),
                         "rasip: watch needs a terminal to draw on; 'rasip pools' prints once\n")

    def test_on_a_terminal_that_can_do_nothing(self):
        for term in ('dumb', None):
            terminal = self.watch(TERM=term)
            self.assertEqual(terminal.wait(), 1)
            self.assertIn(b"watch needs a terminal that can move its cursor", terminal.output)
            self.assertNotIn(b'\033', terminal.output)

    def test_trouble_from_the_beginning_is_a_line(self):
        self.config.write_text('pools = ();')
        terminal = self.watch()
        self.assertEqual(terminal.wait(), 1)
        self.assertNotIn(b'\033', terminal.output)


if __name__ == '__main__':
    unittest.main()
