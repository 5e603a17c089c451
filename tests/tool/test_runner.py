# SPDX-License-Identifier: MIT
"""tests/run itself: what goes wrong in a test must not look like success."""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import textwrap
import unittest

TESTS = pathlib.Path(__file__).resolve().parent.parent


class Runner(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.top = pathlib.Path(scratch.name)
        shutil.copytree(TESTS / 'lib', self.top / 'tests/lib',
                        ignore=shutil.ignore_patterns('__pycache__'))
        shutil.copy(TESTS / 'run', self.top / 'tests/run')

    def unit(self, name, script):
        """A test program: a shell script that may write a TAP log to $CK_TAP_LOG_FILE_NAME."""
        program = self.top / 'build/tests' / f'test_{name}'
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\n{script}\n', encoding='utf-8')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.write(f'unit/test_{name}.c', '')

    def write(self, name, text):
        path = self.top / 'tests' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding='utf-8')

    def run_it(self, *words):
        """(Exit status, last line, all lines)."""
        environment = dict(os.environ, RASIP_BUILD=str(self.top / 'build'))
        done = subprocess.run([self.top / 'tests/run', *words], env=environment, text=True,
                              check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.splitlines()[-1], done.stdout

    def test_all_passed(self):
        self.unit('a', r'printf "ok 1 - a.c:c:one: Passed\n1..1\n" >$CK_TAP_LOG_FILE_NAME')
        self.write('tool/test_b.py', '''
            import unittest
            class B(unittest.TestCase):
                def test_it(self):
                    pass
            ''')
        self.assertEqual(self.run_it()[:2], (0, '2 passed, 0 failed'))

    def test_nothing_ran(self):
        self.assertEqual(self.run_it()[:2], (1, '0 passed, 0 failed'))
        self.assertEqual(self.run_it('--filter', 'none')[0], 1)

    def test_programs_that_fail(self):
        for script in ('kill -SEGV $$', 'exit 0', 'exit 1',
                       r'printf "ok 1 - a.c:c:one: Passed\n" >$CK_TAP_LOG_FILE_NAME',
                       r'printf "1..1\n" >$CK_TAP_LOG_FILE_NAME',
                       r'printf "ok 1 - a.c:c:one: Passed\n1..1\n" >$CK_TAP_LOG_FILE_NAME; exit 1',
                       r'printf "not ok 1 - a.c:c:one: no\n1..1\n" >$CK_TAP_LOG_FILE_NAME; exit 1'):
            with self.subTest(script=script):
                self.unit('a', script)
                status, last, output = self.run_it()
                self.assertEqual((status, last.split(', ')[1]), (1, '1 failed'), output)

    def test_program_that_was_not_built(self):
        self.write('unit/test_a.c', '')
        self.assertEqual(self.run_it()[:2], (1, '0 passed, 1 failed'))

    def test_kinds_of_results(self):
        self.write('tool/test_b.py', '''
            import unittest
            class B(unittest.TestCase):
                def test_ok(self):
                    pass
                def test_bad(self):
                    print('something to read')
                    self.fail('no good')
                @unittest.skip('not here')
                def test_skipped(self):
                    pass
                def test_parts(self):
                    for i in range(3):
                        with self.subTest(i=i):
                            self.assertEqual(i, 0)
            ''')
        status, last, output = self.run_it()
        self.assertEqual((status, last), (1, '1 passed, 2 failed, 1 skipped'), output)
        for expected in ('something to read', 'no good', 'test_b.B.test_skipped: not here'):
            self.assertIn(expected, output)
        self.assertEqual(self.run_it('--filter', 'test_ok')[:2], (0, '1 passed, 0 failed'))

    def test_files_that_fail(self):
        for text in ('import no_such_module',
                     'raise SystemExit(0)',
                     'import os\nos._exit(0)',
                     'import os, signal\nos.kill(os.getpid(), signal.SIGKILL)'):
            with self.subTest(text=text):
                self.write('tool/test_b.py', text)
                self.assertEqual(self.run_it()[:2], (1, '0 passed, 1 failed'))

    def test_a_test_that_hangs(self):
        self.write('tool/test_b.py', '''
            import time, unittest
            class B(unittest.TestCase):
                def test_hang(self):
                    self.addCleanup(print, 'cleaned up')
                    time.sleep(1000)
            ''')
        status, last, output = self.run_it('--slow', '0.005')
        self.assertEqual((status, last), (1, '0 passed, 1 failed'), output)
        self.assertIn('cleaned up', output)

    def test_nothing_is_left_behind(self):
        pids = self.top / 'pids'
        self.write('tool/test_b.py', f'''
            import subprocess, unittest
            class B(unittest.TestCase):
                def test_it(self):
                    subprocess.run('sleep 1000 & echo $! >>{pids}; '
                                   'setsid sh -c "echo \\$\\$ >>{pids}; exec sleep 1000" &',
                                   shell=True)
                    while len(open('{pids}').readlines()) < 2:
                        pass
            ''')
        self.assertEqual(self.run_it()[:2], (0, '1 passed, 0 failed'))
        for pid in pids.read_text(encoding='utf-8').split():
            self.assertFalse(pathlib.Path('/proc', pid).exists(), pid)


if __name__ == '__main__':
    unittest.main()
