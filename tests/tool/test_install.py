# SPDX-License-Identifier: MIT
"""make install and make uninstall, into a directory of their own."""

import os
import pathlib
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get('RASIP_BUILD', TOP / 'build')).resolve()

BUILT = ('rasip.so', 'rasip', 'madcap', 'madcapd', 'libmadcap.so')


class Install(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)

    def make(self, goal, *variables):
        """Runs a goal on what has been built, without building anything again. Who installs may
        have a umask for files of his own."""
        environment = {name: value for name, value in os.environ.items()
                       if name not in ('MAKEFLAGS', 'MFLAGS', 'MAKELEVEL', 'DESTDIR', 'PREFIX')}
        built = [word for name in BUILT for word in ('-o', f'{BUILD}/{name}')]
        command = ['make', *built, goal, f'BUILD={BUILD}', f'DESTDIR={self.root}', 'PREFIX=/usr',
                   *variables]
        done = subprocess.run(command, cwd=TOP, env=environment, text=True, check=False, umask=0o077,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)

    def files(self):
        return {'/' + str(path.relative_to(self.root)): path
                for path in self.root.rglob('*') if path.is_file()}

    def test_everything_goes_where_it_belongs(self):
        self.make('install', 'PPPD_PLUGINDIR=/usr/lib/pppd/9.9')
        expected = {
            '/usr/lib/pppd/9.9/rasip.so': 0o644,
            '/usr/sbin/rasip': 0o755,
            '/usr/include/rasip/admin_module.h': 0o644,
            '/etc/rasip/rasip.conf.example': 0o644,
            '/usr/bin/madcap': 0o755,
            '/usr/include/madcap.h': 0o644,
            '/usr/lib/libmadcap.so': 0o644,
            '/usr/lib/libmadcap.so.0': 0o644,
            '/usr/lib/pkgconfig/libmadcap.pc': 0o644,
            '/usr/lib/tmpfiles.d/rasip.conf': 0o644,
            '/usr/lib/systemd/system/madcapd.service': 0o644,
            '/usr/lib/systemd/system/rasip-metrics.service': 0o644,
            '/usr/lib/systemd/system/rasip-metrics.timer': 0o644,
            '/usr/share/bash-completion/completions/rasip': 0o644,
            '/usr/share/bash-completion/completions/madcap': 0o644,
            '/usr/share/bash-completion/completions/madcapd': 0o644,
            '/usr/share/doc/rasip/README.md': 0o644,
            '/usr/share/doc/rasip/LICENSE': 0o644,
        }
        for page in (TOP / 'man').glob('*.[1-9]'):
            expected[f'/usr/share/man/man{page.suffix[1:]}/{page.name}'] = 0o644
        for name in ('rasip.conf', 'ppp/options.serial', 'ppp/pppoe-server-options',
                     'grafana-dashboard.json'):
            expected[f'/usr/share/doc/rasip/examples/{name}'] = 0o644
        found = {name: path.stat().st_mode & 0o777 for name, path in self.files().items()}
        self.assertEqual({name: found.get(name) for name in expected}, expected)
        for name, mode in found.items():
            with self.subTest(name=name):
                programs = pathlib.PurePath(name).parent.name in ('bin', 'sbin')
                self.assertEqual(mode, 0o755 if programs else 0o644)
        for path in self.root.rglob('*'):
            if path.is_dir():
                self.assertEqual(path.stat().st_mode & 0o777, 0o755, path)

    def test_the_manual_is_there(self):
        self.make('install')
        for page in ('man8/rasip.8', 'man8/rasip.so.8', 'man5/rasip.conf.5'):
            self.assertIn(f'/usr/share/man/{page}', self.files())

    def test_the_plugin_goes_where_pppd_looks(self):
        self.make('install')
        plugin, = (pathlib.Path(name) for name in self.files() if name.endswith('/rasip.so'))
        self.assertTrue(plugin.parent.is_dir(), f'{plugin.parent} is not a directory of pppd')

    def test_uninstall_leaves_nothing(self):
        self.make('install')
        self.make('uninstall')
        self.assertEqual(self.files(), {})
        ours = [path for path in self.root.rglob('*') if 'rasip' in path.name]
        self.assertEqual(ours, [])

    def test_uninstall_where_nothing_is(self):
        self.make('uninstall')
        self.assertEqual(self.files(), {})

    def test_what_the_operator_wrote_stays(self):
        written = self.root / 'etc/rasip/rasip.conf'
        written.parent.mkdir(parents=True)
        written.write_text('# mine\n', encoding='utf-8')
        self.make('install')
        self.assertEqual(written.read_text(encoding='utf-8'), '# mine\n')
        self.make('uninstall')
        self.assertEqual(set(self.files()), {'/etc/rasip/rasip.conf'})
        self.assertEqual(written.read_text(encoding='utf-8'), '# mine\n')

    def test_install_twice(self):
        self.make('install')
        before = set(self.files())
        self.make('install')
        self.assertEqual(set(self.files()), before)

    def test_other_directories(self):
        self.make('install', 'PREFIX=/opt/r', 'SYSCONFDIR=/opt/etc', 'PPPD_PLUGINDIR=/opt/pppd')
        self.assertTrue(self.files())
        self.assertEqual([name for name in self.files() if not name.startswith('/opt/')], [])
        for path in (self.root / 'opt/r/lib/systemd/system').glob('*.service'):
            self.assertIn('/opt/r/sbin/', path.read_text(encoding='utf-8'))
            self.assertNotIn('/usr/sbin/', path.read_text(encoding='utf-8'))
        self.make('uninstall', 'PREFIX=/opt/r', 'SYSCONFDIR=/opt/etc',
                  'PPPD_PLUGINDIR=/opt/pppd')
        self.assertEqual(self.files(), {})

    def test_modules_compile_against_the_installed_header(self):
        self.make('install')
        include = f'-I{self.root}/usr/include'
        text = '#include <rasip/admin_module.h>\nint abi = RASIP_ADMIN_ABI;\n'
        for compiler, language in (('cc', 'c'), ('c++', 'c++')):
            with self.subTest(language=language):
                subprocess.run([compiler, '-x', language, '-Wall', '-Wextra', '-Werror', include,
                                '-fsyntax-only', '-'], input=text, text=True, check=True)

    def test_the_installed_tool_runs(self):
        self.make('install')
        done = subprocess.run([self.root / 'usr/sbin/rasip', '--help'], check=True, text=True,
                              stdout=subprocess.PIPE)
        self.assertIn('explain', done.stdout)


if __name__ == '__main__':
    unittest.main()
