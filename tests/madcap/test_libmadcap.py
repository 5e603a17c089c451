# SPDX-License-Identifier: MIT
"""libmadcap as others get it: installed, with its header, pkg-config file and manual."""

import os
import re
import shutil
import subprocess

from rasip_test import madcapd, paths

HEADER = paths.TOP / 'pool' / 'madcap' / 'madcap.h'
LIBRARY = paths.BUILD / 'libmadcap.so'
MANUAL = paths.TOP / 'man' / 'libmadcap.3'
EXAMPLE = paths.TOP / 'tests' / 'madcap' / 'example.c'
PROTOTYPE = re.compile(r'^((?:const )?[a-z_0-9 ]+?[ *]+)(madcap_[a-z_0-9]+)\(([^;]*?)\);',
                       re.MULTILINE | re.DOTALL)


def squeeze(text):
    return ' '.join(text.split())


def prototypes():
    """{name: (type, [argument])} of the header."""
    text = re.sub(r'/\*.*?\*/', '', HEADER.read_text(encoding='utf-8'), flags=re.DOTALL)
    return {name: (kind.strip(), [squeeze(each) for each in arguments.split(',')])
            for kind, name, arguments in PROTOTYPE.findall(text)}


class Interface(madcapd.Case):
    def test_exports_are_the_headers_functions(self):
        listing = subprocess.run(['nm', '-D', '--defined-only', str(LIBRARY)], check=True,
                                 capture_output=True, text=True).stdout
        names = {line.split()[-1].split('@')[0] for line in listing.splitlines()}
        self.assertEqual(names - {'LIBMADCAP_0'}, set(prototypes()))

    def test_has_a_versioned_name_and_needs_little(self):
        dynamic = subprocess.run(['readelf', '-d', str(LIBRARY)], check=True,
                                 capture_output=True, text=True).stdout
        self.assertIn('soname: [libmadcap.so.0]', dynamic)
        self.assertEqual(set(re.findall(r'\(NEEDED\).*\[(.*?)\.so', dynamic)) - {
            'libasan', 'libubsan', 'libgcov'}, {'libjansson', 'libc'})

    def test_manual_has_every_function_with_its_prototype(self):
        text = MANUAL.read_text(encoding='utf-8')
        synopsis, description = text.split('.Sh DESCRIPTION')
        found = {}
        for kind, name, body in re.findall(r'^\.Ft "(.*)"\n\.Fo (\w+)\n((?:\.Fa .*\n)*)\.Fc',
                                           synopsis, re.MULTILINE):
            found[name] = (kind, re.findall(r'^\.Fa "(.*)"$', body, re.MULTILINE))
        self.assertEqual(found, prototypes())
        described = set(re.findall(r'\.(?:It )?Fn (\w+)', description))
        self.assertEqual(described, set(found))
        for code in re.findall(r'^\t(MADCAP_E_\w+) =', HEADER.read_text('utf-8'), re.MULTILINE):
            self.assertIn(f'.It Dv {code}\n', description)

    def test_manuals_are_well_formed(self):
        if shutil.which('mandoc') is None:
            self.skipTest('there is no mandoc(1)')
        for page in (MANUAL, MANUAL.with_name('madcap.1')):
            done = subprocess.run(['mandoc', '-Tlint', '-Wwarning', str(page)], check=False,
                                  capture_output=True, text=True)
            self.assertEqual(done.stdout, '')

    def test_manual_of_the_protocol_names_tests_that_there_are(self):
        sources = ''.join(path.read_text('utf-8') for path in (
            *paths.TOP.glob('tests/unit/test_madcap*.c'),
            *paths.TOP.glob('tests/madcap/test_*.py')))
        text = MANUAL.with_name('madcap.7').read_text('utf-8').partition('.Ss ')[2]
        names = set(re.findall(r'[a-z0-9]+(?:_[a-z0-9]+)+', text)) - {
            'fuzz_madcap_message', 'test_shared_book'}
        self.assertGreater(len(names), 100)
        self.assertEqual([name for name in names if name not in sources], [])

    def test_manual_of_the_tool_has_every_option(self):
        text = MANUAL.with_name('madcap.1').read_text('utf-8')
        for verb in ('scopes', 'request', 'renew', 'release'):
            self.assertIn(f'.It Cm {verb}\n', text)
            usage = subprocess.run([str(paths.MADCAP), verb, '--help'], check=True,
                                   capture_output=True, text=True).stdout
            for option in re.findall(r'^  --([a-z0-9-]+)', usage, re.MULTILINE):
                self.assertRegex(text, rf'(?m)^\.It Fl -{option}\b')


class Installed(madcapd.Case):
    def setUp(self):
        super().setUp()
        root = self.directory / 'root'
        self.prefix = root / 'usr'
        kept = [word for name in ('madcapd', 'madcap', 'libmadcap.so')
                for word in ('-o', f'{paths.BUILD}/{name}')]
        environment = {name: value for name, value in os.environ.items()
                       if name not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'DESTDIR', 'PREFIX')}
        subprocess.run(['make', *kept, 'install-madcap', f'BUILD={paths.BUILD}',
                        f'DESTDIR={root}', 'PREFIX=/usr'], check=True, capture_output=True,
                       cwd=paths.TOP, env=environment)
        self.environment = {**os.environ, 'PKG_CONFIG_SYSROOT_DIR': str(root),
                            'PKG_CONFIG_LIBDIR': str(self.prefix / 'lib' / 'pkgconfig'),
                            'PKG_CONFIG_ALLOW_SYSTEM_CFLAGS': '1',
                            'PKG_CONFIG_ALLOW_SYSTEM_LIBS': '1',
                            'LD_LIBRARY_PATH': str(self.prefix / 'lib')}

    def build(self, compiler, *words):
        flags = subprocess.run(['pkg-config', '--cflags', '--libs', 'libmadcap'], check=True,
                               capture_output=True, text=True,
                               env=self.environment).stdout.split()
        program = self.directory / 'example'
        subprocess.run([compiler, '-Wall', '-Wextra', '-Werror', *words, '-o', str(program),
                        str(EXAMPLE), *flags], check=True, cwd=self.directory)
        return program

    def test_example_builds_and_works_with_the_installed_files(self):
        if '-fsanitize' in (paths.BUILD / 'flags').read_text(encoding='utf-8'):
            self.skipTest('a program without sanitizers cannot load a library that has them')
        server = self.start(dict(madcapd.ORG, names=[{'lang': 'en', 'name': 'Here',
                                                      'default': True}],
                                 allocate=['239.192.0.0-239.192.0.1']))
        name = f'127.0.0.1:{server.port}'
        done = subprocess.run([str(self.build('cc', '-std=c11')), name,
                               str(self.directory / 'lease'), '3'], check=False,
                              capture_output=True, text=True, env=self.environment, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertEqual(done.stdout.splitlines(), [
            f'scope 239.192.0.0 {name} 32 Here',
            f'leased from {name} for 600 s 239.192.0.0 239.192.0.1 ttl 32',
            f'renewed from {name} for 1200 s 239.192.0.0 239.192.0.1 ttl 32',
            f'released: {name} refuses: Lease Identifier Not Recognized'])

    def test_header_is_cplusplus_as_well(self):
        if shutil.which('c++') is None:
            self.skipTest('there is no C++ compiler')
        source = self.directory / 'one.cc'
        source.write_text('#include <madcap.h>\nint main() { return madcap_new(0, nullptr); }\n')
        subprocess.run(['c++', '-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fsyntax-only',
                        f'-I{self.prefix}/include', str(source)], check=True)
