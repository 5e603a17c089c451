# SPDX-License-Identifier: MIT
"""Words, options, help and exit statuses of rasip(8)."""

import os
import re
import shutil
import subprocess
import unittest

from toolbox import Case, RASIP, TOP, VERBS


class Usage(Case):
    def test_wrong_words(self):
        cases = (
            ((), 'a verb is missing'),
            (('lases',), "unknown verb 'lases'; did you mean 'leases'?"),
            (('xyzzy',), "unknown verb 'xyzzy'\n"),
            (('help', 'chekc'), "did you mean 'check'?"),
            (('leases', '--usr', 'x'), "unknown option '--usr'; did you mean '--user'?"),
            (('leases', '--user'), '--user needs a value'),
            (('leases', '--all=yes'), '--all takes no value'),
            (('leases', '--json=yes'), '--json takes no value'),
            (('leases', '--pool', 'a', '--pool', 'b'), '--pool is given twice'),
            (('leases', '--address', '10.0.0'), "'10.0.0' is not an IPv4 address"),
            (('leases', '--address', '10.0.0.1/32'), 'is not an IPv4 address'),
            (('leases', '10.0.0.1'), "'10.0.0.1' is one word too many"),
            (('leases', '-x'), "unknown option '-x'"),
            (('pools', '--all'), "unknown option '--all'"),
            (('--pool', 'x', 'leases'), "'--pool' belongs behind its verb"),
            (('explain',), '--user is missing'),
            (('explain', '--user', 'a', '--candidate', 'b'), "'b' is not an IPv4 address"),
            (('release',), 'ADDRESS is missing'),
            (('release', 'alice'), "'alice' is not an IPv4 address"),
            (('release', '0.0.0.0'), "'0.0.0.0' is not an IPv4 address"),
            (('release', '10.0.0.1', '10.0.0.2'), 'one word too many'),
            (('release', '10.0.0.1', '--timeout', 'soon'), "'soon' is not a time"),
            (('metrics', '--json'), 'there is no --json here'),
            (('--json', 'watch'), 'there is no --json here'),
            (('watch', '--interval', '0s'), "'0s' is not a time from 1s to 1h"),
            (('pools', '-c'), '-c needs a value'),
        )
        for words, complaint in cases:
            with self.subTest(words):
                self.assertIn(complaint, self.fails(2, *words))

    def test_complaints_are_one_line_whatever_is_in_them(self):
        complaint = self.fails(2, 'a\nb\033[2J\x7f')
        self.assertIn(r"unknown verb 'a\x0ab\x1b[2J\x7f'", complaint)

    def test_a_name_shows_as_it_is_or_byte_by_byte(self):
        """What would move the cursor, turn the direction of writing, or is no UTF-8 is escaped."""
        kept = (b'caf\xc3\xa9', b'\xe0\xa4\xb9', b'\xe2\x82\xac', b'\xed\x9f\xbf', b'\xf0\x9f\x98\x80',
                b'\xf4\x8f\xbf\xbf', b'\xe2\x81\xa5', b'\xe2\x80\xa7')
        for name in kept:
            self.assertIn(b"'" + name + b"'", self.run_tool('leases', '--pool', name).stderr)
        escaped = (b'\xc2\x85', b'\x7f', b'\x1b', b'\xe2\x80\xae', b'\xe2\x80\x8f', b'\xe2\x81\xa6',
                   b'\xe2\x80\xa8', b'\xc0\xaf', b'\xc3', b'\xe0\x80\x80', b'\xed\xa0\x80',
                   b'\xf0\x80\x80\x80', b'\xf4\x90\x80\x80', b'\xf5\x80\x80\x80', b'\x80')
        for name in escaped:
            text = ''.join(f'\\x{byte:02x}' for byte in name).encode()
            self.assertIn(b"'" + text + b"'", self.run_tool('leases', '--pool', name).stderr)

    def test_configuration_before_or_after_the_verb(self):
        path = os.fspath(self.config)
        for words in (('-c', path, 'check'), ('check', '-c', path), (f'-c{path}', 'check'),
                      ('check', f'-c{path}'), ('--json', '-c', path, 'check'),
                      ('check', '--json', '-c', path)):
            with self.subTest(words):
                self.ok(*words, config=False)

    def test_no_configuration(self):
        missing = self.dir / 'none.conf'
        for verb in ('check', 'pools', 'leases', 'reclaim', 'metrics'):
            with self.subTest(verb):
                complaint = self.fails(1, '-c', missing, verb, config=False)
                self.assertEqual(complaint, f'{missing}: No such file or directory\n')

    def test_values_with_and_without_equals_sign(self):
        for words in (('--user=', '--port=ttyS0'), ('--user', '', '--port', 'ttyS0')):
            self.assertIn('has not authenticated', self.ok('explain', *words))

    def test_value_that_looks_like_an_option(self):
        self.assertIn('"--all"', self.ok('explain', '--user', '--all'))


class Help(Case):
    def test_usage_lists_every_verb(self):
        for words in (('help',), ('--help',), ('-h',), ('help', 'help')):
            text = self.ok(*words, config=False)
            for verb in VERBS:
                self.assertRegex(text, rf'(?m)^  {verb}\b')

    def test_every_verb_is_explained_without_configuration(self):
        for verb in VERBS[:-1]:
            text = self.ok('help', verb, config=False)
            self.assertTrue(text.startswith('usage: rasip [-c FILE] ' + verb), text)
            self.assertEqual(self.ok(verb, '--help', config=False), text)
            self.assertEqual(self.ok('-h', verb, config=False), text)
            self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_version(self):
        for words in (('--version',), ('-V',), ('pools', '--version')):
            self.assertRegex(self.ok(*words, config=False), r'^rasip \d+\.\d+\.\d+\n$')

    def test_manual_page_has_every_verb_and_option(self):
        manual = (TOP / 'man/rasip.8').read_text()
        for verb in VERBS:
            self.assertRegex(manual, rf'(?m)^\.Cm {verb}$')
            for option in re.findall(r'(?m)^  --([a-z]+)', self.ok('help', verb, config=False)):
                self.assertRegex(manual, rf'Fl -{option}|, -{option}')

    @unittest.skipUnless(shutil.which('mandoc'), 'mandoc is not installed')
    def test_manual_page_is_clean(self):
        lint = subprocess.run(['mandoc', '-Tlint', TOP / 'man/rasip.8'], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False).stdout
        lines = [line for line in lint.splitlines() if 'referenced manual not found' not in line]
        self.assertEqual(lines, [])


class Output(Case):
    def run_into(self, stdout, *words):
        return subprocess.run([RASIP, '-c', self.config, *words], stdin=subprocess.DEVNULL,
                              stdout=stdout, stderr=subprocess.PIPE, timeout=20, check=False)

    def test_a_closed_pipe_ends_it_quietly(self):
        for words, status in ((('pools',), 0), (('pools', '--json'), 0), (('metrics',), 0),
                              (('check',), 0), (('help',), 0), (('leases', '--json'), 0)):
            reader, writer = os.pipe()
            os.close(reader)
            done = self.run_into(writer, *words)
            os.close(writer)
            self.assertEqual((done.returncode, done.stderr), (status, b''), words)

    def test_a_closed_pipe_does_not_hide_a_failure(self):
        reader, writer = os.pipe()
        os.close(reader)
        self.addCleanup(os.close, writer)
        self.configure('pools = ();')
        done = self.run_into(writer, 'check', '--json')
        self.assertEqual(done.returncode, 1)
        self.assertNotIn(b'standard output', done.stderr)

    def test_a_full_disk_is_told(self):
        for words in (('pools',), ('pools', '--json'), ('metrics',), ('help',)):
            with open('/dev/full', 'wb') as full:
                done = self.run_into(full, *words)
            self.assertEqual(done.returncode, 1, words)
            self.assertEqual(done.stderr, b'rasip: standard output: No space left on device\n')

    def test_closed_standard_output_does_not_reach_the_store(self):
        self.sessions.connect('a', 'bob')
        done = subprocess.run(f'exec {RASIP} -c {self.config} pools >&-', shell=True,
                              stderr=subprocess.PIPE, timeout=20, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.pool('residential')['active'], 1)


class Completion(Case):
    def complete(self, *words):
        script = (f'source {TOP}/conf/rasip.bash-completion; COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _rasip; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(['bash', '-c', script, 'bash', RASIP, *words], text=True,
                              stdout=subprocess.PIPE, timeout=20, check=True)
        return done.stdout.split()

    def test_verbs_and_options_are_those_of_the_help(self):
        self.assertEqual(self.complete(''), list(VERBS))
        self.assertEqual(self.complete('-c', 'x', 're'), ['release', 'reclaim'])
        for verb in VERBS[:-1]:
            offered = {word for word in self.complete(verb, '--') if word.startswith('--')}
            known = set(re.findall(r'(?m)^  (?:-h, )?(--[a-z]+)',
                                   self.ok('help', verb, config=False)))
            self.assertEqual(offered, known - {'--version'}, verb)

    def test_names_come_from_the_configuration(self):
        config = ('-c', os.fspath(self.config))
        self.assertEqual(self.complete(*config, 'leases', '--pool', ''),
                         ['residential', 'overflow'])
        self.assertEqual(self.complete(*config, 'leases', '--pool', 'o'), ['overflow'])

    def test_addresses_come_from_the_leases(self):
        address = self.sessions.connect('a', 'bob')
        self.assertEqual(self.complete('-c', os.fspath(self.config), 'release', ''), [address])


if __name__ == '__main__':
    unittest.main()
