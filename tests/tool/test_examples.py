# SPDX-License-Identifier: MIT
"""The examples of the manual pages and in conf/ do what they say. (Real pppds use those in conf/ppp:
tests/real.)"""

import re
import shutil
import subprocess
import unittest
import xml.etree.ElementTree

from toolbox import BUILD, RASIP, TOP, Case

MANUALS = sorted((TOP / 'man').glob('*.[1-9]'))


def section(page, title):
    text = (TOP / 'man' / page).read_text(encoding='utf-8')
    return re.search(rf'(?ms)^\.Sh {title}$(.*?)^\.Sh ', text)[1]


def displays(text):
    """What stands between .Bd and .Ed, as it is printed."""
    return [block.replace(r'\e', '\\').replace(r'\(dq', '"').replace(r'\&', '')
            for block in re.findall(r'(?ms)^\.Bd -literal[^\n]*\n(.*?)^\.Ed$', text)]


class Configurations(Case):
    def loads(self, text):
        self.configure(text)
        self.ok('check')

    def example(self):
        return (TOP / 'conf/rasip.conf').read_text(encoding='utf-8')

    def test_the_example(self):
        self.loads(self.example())
        self.assertEqual([pool['name'] for pool in self.json('pools')], ['residential', 'overflow'])
        self.assertEqual(self.sessions.connect('a', 'alice'), '10.64.7.7')

    def test_the_example_where_it_is(self):
        done = self.run_tool('-c', TOP / 'conf/rasip.conf', 'check', config=False)
        self.assertEqual((done.returncode, done.stderr), (0, b''))

    def test_what_the_example_has_as_comments(self):
        """They are the defaults, so with all of them the configuration means the same."""
        settings = re.compile(r'(?m)^( *)#(\w+ *= *(?:"[^"]*"|\d+|\w+|\( "[^"]*" \));)')
        text = self.example()
        for directory in ('runtime_dir', 'state_dir'):
            text = re.sub(rf'(?m)^#{directory}.*\n', '', text)
        full, n = settings.subn(r'\1\2', text)
        self.assertGreaterEqual(n, 9)
        self.configure(text)
        before = self.ok('check').replace(' line ', '')
        self.configure(full)
        self.assertEqual(self.ok('check').replace(' line ', ''), before)

    def test_the_manual_s(self):
        examples = displays(section('rasip.conf.5', 'EXAMPLES'))
        self.assertGreaterEqual(len(examples), 3)
        (self.dir / 'pools.conf').write_text('''
            pools = ( { name = "corp"; ranges = ( "10.64.0.0/24" ); },
                      { name = "modems"; ranges = ( "10.65.0.0/24" ); } );''')
        for example in examples:
            with self.subTest(example):
                self.loads(example)

    def test_every_option_file_names_the_plugin(self):
        for path in sorted((TOP / 'conf/ppp').glob('*options*')):
            with self.subTest(path.name):
                lines = path.read_text(encoding='utf-8').splitlines()
                self.assertIn('plugin rasip.so', lines)
                self.assertIn('auth', lines)


class Commands(Case):
    """Everything that rasip(8) shows is typed in as it stands there."""

    def shell(self, line):
        binary = self.dir / 'bin'
        binary.mkdir(exist_ok=True)
        (binary / 'rasip').write_text(f'#!/bin/sh\nexec {RASIP} -c {self.config} "$@"\n')
        (binary / 'rasip').chmod(0o755)
        return subprocess.run(['/bin/sh', '-ec', line], text=True, check=False,
                              env={'PATH': f'{binary}:/usr/sbin:/usr/bin:/sbin:/bin'},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_single_lines(self):
        self.sessions.connect('a', 'alice', port='ttyS3')
        lines = re.findall(r'(?m)^\.Dl \$ (rasip .*)$', section('rasip.8', 'EXAMPLES'))
        self.assertGreaterEqual(len(lines), 3)
        for line in lines:
            with self.subTest(line):
                done = self.shell(line)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_ending_all_sessions_of_a_company(self):
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); } );')
        for name in ('a@corp.example', 'b@corp.example', 'c@else.example'):
            self.sessions.connect(name.split('@', maxsplit=1)[0], name)
        command, = [text for text in displays(section('rasip.8', 'EXAMPLES')) if 'corp' in text]
        done = self.shell(command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([lease['user'] for lease in self.json('leases')], ['c@else.example'])
        self.assertEqual(self.shell(command).returncode, 0)

    def test_figures_for_prometheus(self):
        command, = [text for text in displays(section('rasip.8', 'EXAMPLES')) if 'metrics' in text]
        command = command.replace('/var/lib/prometheus/node-exporter', str(self.dir))
        done = self.shell(command)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.dir / 'rasip.prom').read_text(), self.ok('metrics'))


class Manuals(unittest.TestCase):
    @unittest.skipUnless(shutil.which('mandoc'), 'mandoc is not installed')
    def test_they_are_clean(self):
        for page in MANUALS:
            with self.subTest(page.name):
                lint = subprocess.run(['mandoc', '-Tlint', '-Wwarning', page], text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      check=False).stdout
                self.assertEqual([line for line in lint.splitlines()
                                  if 'referenced manual not found' not in line], [])

    def test_they_refer_to_pages_that_exist(self):
        ours = {page.name for page in MANUALS}
        for page in MANUALS:
            for name, part in re.findall(r'(?m)^\.Xr (\S+) (\d)', page.read_text(encoding='utf-8')):
                if name.startswith(('rasip', 'madcap', 'libmadcap')):
                    self.assertIn(f'{name}.{part}', ours, f'named in {page.name}')

    def test_the_build_directory_is_not_shown(self):
        for page in MANUALS:
            self.assertNotIn(str(BUILD), page.read_text(encoding='utf-8'))


class Pictures(unittest.TestCase):
    def test_the_readme_s_pictures_are_there_and_small(self):
        named = re.findall(r'\]\((man/pictures/[^)]+)\)', (TOP / 'README.md').read_text('utf-8'))
        found = {f'man/pictures/{path.name}' for path in (TOP / 'man/pictures').iterdir()}
        self.assertEqual(set(named), found)
        for name in named:
            self.assertLess((TOP / name).stat().st_size, 30000, name)
            root = xml.etree.ElementTree.parse(TOP / name).getroot()
            self.assertTrue(root.tag.endswith('}svg'), name)


if __name__ == '__main__':
    unittest.main()
