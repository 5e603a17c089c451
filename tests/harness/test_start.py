# SPDX-License-Identifier: MIT
"""Starting: configurations, plugins and modules that do not load; stores that cannot be used."""

import os
import pathlib
import shutil
import subprocess
import unittest

from rasip_test import harness, paths
from rasip_test.case import Case
from rasip_test.config import pool
from rasip_test.madcapd import wait_for

GOOD = 'name = "p"; ranges = ( "10.64.0.0/24" );'

# What is wrong, the file's lines, the line that is to be named.
WRONG = (
    ('unknown key', ['foo = 1;'], 1),
    ('unknown key of a pool', ['pools = ( {', GOOD, 'colour = "red";', '} );'], 3),
    ('unknown key of a rule', [f'pools = ( {{ {GOOD} }} );', 'assign = ( { usr = "a";',
                               'pool = "p"; } );'], 2),
    ('syntax', ['pools = ( {', GOOD, '}'], None),
    ('number for a string', [f'pools = ( {{ {GOOD} }} );', 'runtime_dir = 5;'], 2),
    ('string for a number', ['pools = ( {', GOOD, 'alarm = "80";', '} );'], 3),
    ('string for a boolean', ['pools = ( {', GOOD, 'sticky = "yes";', '} );'], 3),
    ('string for a list', ['pools = "p";'], 1),
    ('bad address', ['pools = ( { name = "p";', 'ranges = ( "10.64.0.256" );', '} );'], 2),
    ('bad prefix', ['pools = ( { name = "p";', 'ranges = ( "10.64.0.0/33" );', '} );'], 2),
    ('backward range', ['pools = ( { name = "p";', 'ranges = ( "10.0.0.9-10.0.0.1" );', '} );'], 2),
    ('loopback', ['pools = ( { name = "p";', 'ranges = ( "127.0.0.0/24" );', '} );'], 2),
    ('multicast', ['pools = ( { name = "p";', 'ranges = ( "224.0.0.0/24" );', '} );'], 2),
    ('class E', ['pools = ( { name = "p";', 'ranges = ( "240.0.0.0/24" );', '} );'], 2),
    ('no ranges', ['pools = (', '{ name = "p"; }', ');'], 2),
    ('no name', ['pools = (', '{ ranges = ( "10.64.0.0/24" ); }', ');'], 2),
    ('nothing to give', ['pools = (', '{ name = "p"; ranges = ( "10.64.0.1" ); '
                         'exclude = ( "10.64.0.1" ); }', ');'], 2),
    ('two pools of one name', [f'pools = ( {{ {GOOD} }},', '{ name = "p"; '
                               'ranges = ( "10.65.0.0/24" ); } );'], 2),
    ('overlapping pools', [f'pools = ( {{ {GOOD} }},', '{ name = "q"; ',
                           'ranges = ( "10.64.0.128/25" ); } );'], 3),
    ('overlapping ranges', ['pools = ( { name = "p";',
                            'ranges = ( "10.64.0.0/24", "10.64.0.9" ); } );'], 2),
    ('unknown next', ['pools = ( {', GOOD, 'next = "q";', '} );'], 3),
    ('cycle', ['pools = ( {', GOOD, 'next = "p";', '} );'], 3),
    ('unknown order', ['pools = ( {', GOOD, 'order = "best";', '} );'], 3),
    ('unknown mode', ['pools = ( {', GOOD, 'mode = "shut";', '} );'], 3),
    ('bad duration', ['pools = ( {', GOOD, 'hold = "60";', '} );'], 3),
    ('bad duration', ['pools = ( {', GOOD, 'hold = "-1s";', '} );'], 3),
    ('alarm over 100', ['pools = ( {', GOOD, 'alarm = 101;', '} );'], 3),
    ('negative limit', ['pools = ( {', GOOD, 'max_per_user = -1;', '} );'], 3),
    ('three name servers', ['pools = ( {', GOOD,
                            'dns = ( "192.0.2.1", "192.0.2.2", "192.0.2.3" );', '} );'], 3),
    ('bad local', ['pools = ( {', GOOD, 'local = "x";', '} );'], 3),
    ('rule with an unknown pool', [f'pools = ( {{ {GOOD} }} );',
                                   'assign = ( { pool = "q"; } );'], 2),
    ('rule with neither pool nor address', [f'pools = ( {{ {GOOD} }} );',
                                            'assign = ( { user = "a"; } );'], 2),
    ('reserved for two', [f'pools = ( {{ {GOOD} }} );',
                          'assign = ( { user = "a"; address = "10.64.0.1"; },',
                          '{ user = "b"; address = "10.64.0.1"; } );'], 3),
    ('unknown candidate', [f'pools = ( {{ {GOOD} }} );', 'candidate = "maybe";'], 2),
    ('unknown anonymous', [f'pools = ( {{ {GOOD} }} );', 'anonymous = true;'], 2),
    ('unknown backend', ['pools = ( {', GOOD, 'backend = "radius";', '} );'], 3),
)


class Configuration(Case):
    def assert_no_start(self, *words, **settings):
        done = self.run_script('connect a user=alice\n', **settings)
        self.assertEqual((done.returncode, done.answers), (1, []), done.errors)
        for word in words:
            self.assertIn(word, done.errors)
        return done

    def test_wrong_ones_are_named_by_file_and_line(self):
        for what, lines, line in WRONG:
            with self.subTest(what, lines=lines):
                self.conf.write_text('\n'.join(lines) + '\n')
                self.assert_no_start(f'{self.conf}:{line}: ' if line else f'{self.conf}:')

    def test_every_error_is_told_at_once(self):
        self.conf.write_text('foo = 1;\nbar = 2;\npools = ( { ' + GOOD + ' } );\n')
        self.assert_no_start(f'{self.conf}:1: ', f'{self.conf}:2: ')

    def test_missing_file_has_a_path_and_a_reason_and_no_line(self):
        done = self.assert_no_start(f'{self.conf}: No such file or directory')
        self.assertNotIn(f'{self.conf}:0', done.errors)

    def test_directory_instead_of_a_file(self):
        self.conf.mkdir()
        self.assert_no_start(str(self.conf))

    def test_include(self):
        part = self.directory / 'pools.conf'
        part.write_text('pools = ( { ' + GOOD + ' } );\n')
        self.conf.write_text(f'runtime_dir = "{self.runtime_dir}";\n'
                             f'state_dir = "{self.state_dir}";\n@include "{part}"\n')
        self.assert_up(self.start().connect('a', user='alice'), '10.64.0.0')

    def test_error_in_an_included_file_names_that_file(self):
        part = self.directory / 'pools.conf'
        part.write_text('\n\npools = ( {\n' + GOOD + '\nfoo = 1; } );\n')
        self.conf.write_text(f'\n@include "{part}"\n')
        self.assert_no_start(f'{part}:5: ')

    def test_rasip_pool_of_a_link_must_exist(self):
        self.write_config(pool('p', '10.64.0.1'))
        self.assert_no_start('nosuch', options=['rasip-pool nosuch'])

    def test_configuration_that_breaks_later_refuses_the_connection(self):
        h = self.start(pool('p', '10.64.0.0/24'))
        address = self.assert_up(h.connect('a', user='alice'))
        self.conf.write_text('foo = 1;\n')
        self.assert_refused(h.connect('b', user='bob', asks='10.1.2.3'))
        self.assertIn(f'{self.conf}:1: ', h.log())
        self.assert_up(h.renegotiate('a'), address)
        self.assert_up(h.reconnect('a'), address)
        self.assertEqual(h.disconnect('a')['result'], 'down')


class Options(Case):
    def test_rasip_pool_takes_the_place_of_the_rules(self):
        self.write_config(pool('p', '10.64.0.1'), pool('q', '10.65.0.1'), assign=[{'pool': 'p'}])
        h = self.start(options=['rasip-pool q'])
        self.assert_up(h.connect('a', user='a'), '10.65.0.1')
        self.assert_refused(h.connect('b', user='b'), 'full')

    def test_rasip_pool_of_one_user_from_the_secrets_file(self):
        h = self.start(pool('p', '10.64.0.1'), pool('q', '10.65.0.0/31'))
        self.assert_up(h.connect('a', user='a', option='rasip-pool q'), '10.65.0.0')
        self.assert_up(h.connect('b', user='b'), '10.64.0.1')
        self.assert_up(h.connect('c', user='c', option='rasip-pool q'), '10.65.0.1')

    def test_users_pool_does_not_pass_to_the_next_user(self):
        h = self.start(pool('p', '10.64.0.1'), pool('q', '10.65.0.1'))
        self.assert_up(h.connect('a', user='a', option='rasip-pool q'), '10.65.0.1')
        self.assert_up(h.reconnect('a', user='b'), '10.64.0.1')
        self.assert_up(h.relogin('a', user='c', option='rasip-pool q'), '10.65.0.1')
        self.assert_up(h.relogin('a', user='d'), '10.64.0.1')

    def test_users_unknown_pool_is_refused(self):
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_refused(h.connect('a', user='a', option='rasip-pool nosuch'), 'nosuch')

    def test_privileged(self):
        self.write_config(pool('p', '10.64.0.1'))
        for option in ('rasip-pool p', f'rasip-conf {self.conf}'):
            done = self.run_script(user_options=[option])
            self.assertEqual(done.returncode, 1)
            self.assertIn('root privilege', done.errors)

    def test_configuration_in_a_relative_path(self):
        self.write_config(pool('p', '10.64.0.1'))
        done = harness.run(str(self.conf).lstrip('/'), 'connect a user=alice\n')
        self.assertEqual(done.answers[0]['result'], 'up', done.errors)


    def test_configuration_behind_a_link_that_is_turned(self):
        for version, addresses in ('v1', '10.64.0.0/24'), ('v2', '10.65.0.0/24'):
            (self.directory / version).mkdir()
            self.write_config(pool('p', addresses)).rename(self.directory / version / 'rasip.conf')
        link = self.directory / 'current'
        link.symlink_to('v1')
        self.conf = link / 'rasip.conf'
        h = self.start()
        self.assert_up(h.connect('a', user='alice'), '10.64.0.0')
        link.unlink()
        link.symlink_to('v2')
        self.assert_up(h.reconnect('a'), '10.65.0.0')


class Plugins(Case):
    def test_missing_plugin(self):
        done = harness.run(None, 'wait 0\n', plugin=self.directory / 'none.so')
        self.assertEqual((done.returncode, done.answers), (1, []))
        self.assertIn('none.so', done.errors)

    def test_damaged_plugin(self):
        path = self.directory / 'bad.so'
        path.write_bytes(b'\x7fELF' + bytes(2000))
        done = harness.run(None, plugin=path)
        self.assertEqual(done.returncode, 1)
        self.assertIn('bad.so', done.errors)


class Modules(Case):
    def assert_no_start(self, entry, word):
        self.write_config(modules=[entry])
        done = self.run_script('connect a user=alice\n')
        self.assertEqual((done.returncode, done.answers), (1, []), done.errors)
        self.assertIn(f'{self.conf}:', done.errors)
        self.assertIn(entry['name'], done.errors)
        self.assertIn(word, done.errors)
        self.assertEqual(self.calls(), [])

    def test_ra_4_missing_file(self):
        self.assert_no_start({'name': 'gone', 'path': '/nonexistent/gone.so'}, 'No such file')

    def test_ra_4_not_a_shared_object(self):
        path = self.directory / 'text.so'
        path.write_text('hello')
        self.assert_no_start({'name': 'text', 'path': path}, 'text.so')

    def test_ra_4_no_symbol(self):
        self.assert_no_start(self.module('one', kind='no_symbol'), 'rasip_admin_module')

    def test_ra_4_another_abi(self):
        self.assert_no_start(self.module('one', kind='bad_abi'), 'ABI')

    def test_ra_5_half_a_pair(self):
        self.assert_no_start(self.module('one', kind='half'), 'pair')

    def test_ra_4_missing_module_starts_no_other(self):
        self.write_config(modules=[self.module('one'),
                                   {'name': 'gone', 'path': '/nonexistent/gone.so'}])
        self.assertEqual(self.run_script().returncode, 1)
        self.assertEqual(self.calls(), [])

    def test_file_that_others_may_write_is_not_loaded(self):
        entry = self.module('one')
        os.chmod(entry['path'], 0o666)
        self.assert_no_start(entry, 'writable')

    def assert_no_configuration(self, reason):
        done = self.run_script()
        self.assertEqual((done.returncode, done.stdout), (1, b''))
        self.assertIn(reason, done.stderr.decode())

    def test_configuration_that_others_may_write_is_not_loaded(self):
        self.write_config(pool('p', '10.64.0.1'))
        for mode in (0o666, 0o602):
            os.chmod(self.conf, mode)
            self.assert_no_configuration(f'{self.conf}: belongs to another user or may be written')
        os.chmod(self.conf, 0o644)
        self.assertEqual(self.run_script().returncode, 0)

    @unittest.skipIf(os.geteuid(), 'needs root')
    def test_configuration_of_another_user_is_not_loaded(self):
        self.write_config(pool('p', '10.64.0.1'))
        os.chown(self.conf, 65534, 65534)
        self.assert_no_configuration('belongs to another user')
        os.chown(self.conf, 0, 65534)
        os.chmod(self.conf, 0o664)
        self.assert_no_configuration('may be written by others')

    def test_included_file_that_others_may_write_is_not_loaded(self):
        part = self.directory / 'part.conf'
        part.write_text('')
        self.write_config(pool('p', '10.64.0.1'))
        with open(self.conf, 'a', encoding='utf-8') as conf:
            conf.write(f'\n@include "{part}"\n')
        self.assertEqual(self.run_script().returncode, 0)
        os.chmod(part, 0o666)
        self.assert_no_configuration('may be written by others')

    def test_ra_6_argument_is_passed_on(self):
        h = self.start(modules=[self.module('one', 'address=10.9.0.5')])
        h.wait(0)
        self.assertEqual([str(c) for c in self.calls()], ['one initialize - - 0.0.0.0'])
        self.assert_up(h.connect('a', user='alice'), '10.9.0.5')


class Directories(Case):
    """runtime_dir and state_dir that cannot be used: refused with a reason, never open."""

    def assert_all_refused(self, *words, **settings):
        h = self.start(**settings)
        for name, keys in (('a', {}), ('b', {'asks': '10.1.2.3'}),
                           ('c', {'candidate': '10.9.0.7'})):
            answer = h.connect(name, user=name, **keys)
            self.assert_refused(answer)
            for word in words:
                self.assertIn(word, answer['reason'])

    def test_made_where_missing(self):
        self.runtime_dir = self.directory / 'new' / 'run'
        self.assert_up(self.start(pool('p', '10.64.0.1')).connect('a', user='alice'))
        self.assertEqual(self.runtime_dir.stat().st_mode & 0o022, 0)

    def test_modes_do_not_depend_on_the_umask(self):
        for umask in ('000', '022', '177'):
            with self.subTest(umask):
                self.runtime_dir = self.directory / f'run-{umask}'
                self.state_dir = self.directory / f'state-{umask}'
                self.write_config(pool('p', '10.64.0.1'))
                h = self.start(wrap=('sh', '-c', f'umask {umask}; exec "$@"', 'sh'))
                self.assert_up(h.connect('a', user='alice'))
                wait_for(lambda: h.wait(0.2) and (self.state_dir / 'memory.mdb').exists(),
                         'the memory')
                self.assertEqual(h.disconnect('a')['result'], 'down')
                h.close()
                for top in (self.runtime_dir, self.state_dir):
                    self.assertEqual(top.stat().st_mode & 0o777, 0o750)
                    for path in top.rglob('*'):
                        wanted = 0o700 if path.is_dir() else 0o600
                        self.assertEqual(path.stat().st_mode & 0o777, wanted, path)

    def test_file_in_its_place(self):
        self.runtime_dir.write_text('')
        self.write_config()
        self.assert_all_refused(str(self.runtime_dir))

    def test_symbolic_link_in_its_place(self):
        (self.directory / 'real').mkdir()
        self.runtime_dir.symlink_to(self.directory / 'real')
        self.write_config()
        self.assert_all_refused(str(self.runtime_dir))

    def test_writable_by_others(self):
        self.runtime_dir.mkdir()
        self.runtime_dir.chmod(0o777)
        self.write_config()
        self.assert_all_refused(str(self.runtime_dir))

    @unittest.skipIf(os.geteuid(), 'needs root')
    def test_owned_by_somebody_else(self):
        self.runtime_dir.mkdir()
        os.chown(self.runtime_dir, 65534, 65534)
        self.write_config()
        self.assert_all_refused(str(self.runtime_dir))

    @unittest.skipUnless(os.geteuid(), 'root may write everywhere')
    def test_not_writable(self):
        self.runtime_dir.mkdir(mode=0o500)
        self.write_config()
        self.assert_all_refused(str(self.runtime_dir))

    def test_state_dir_that_cannot_be_used_is_no_reason_to_refuse(self):
        self.state_dir.write_text('')
        h = self.start(pool('p', '10.64.0.1'))
        self.assert_up(h.connect('a', user='alice'), '10.64.0.1')
        wait_for(lambda: h.wait(0.2) and str(self.state_dir) in h.log('a'), 'the reason')
        self.assert_up(h.renegotiate('a'), '10.64.0.1')


class SmallDisk(Case):
    """runtime_dir on a file system of its own, full or read-only."""

    def setUp(self):
        super().setUp()
        self.runtime_dir.mkdir(mode=0o750)
        tried = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=256k,mode=0750', 'tmpfs', self.runtime_dir],
            capture_output=True, check=False)
        if tried.returncode:
            self.skipTest(f'no mount here: {tried.stderr.decode().strip()}')
        self.addCleanup(subprocess.run, ['umount', '-l', self.runtime_dir], check=True)

    def fill(self):
        with open(self.runtime_dir / 'filling', 'wb', buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def test_full_from_the_start(self):
        self.fill()
        h = self.start(pool('p', '10.64.0.0/24'))
        self.assert_refused(h.connect('a', user='alice', asks='10.1.2.3'))
        (self.runtime_dir / 'filling').unlink()
        self.assert_up(h.connect('a', user='alice'))

    def test_full_later(self):
        h = self.start(pool('p', '10.64.0.0/16'))
        address = self.assert_up(h.connect('a', user='alice'))
        self.fill()
        answers = [h.connect(f'{i}', user=f'user{i}', asks='10.1.2.3') for i in range(40)]
        self.assertLessEqual({answer['result'] for answer in answers}, {'up', 'refused'})
        held = [answer['address'] for answer in answers if answer['result'] == 'up'] + [address]
        self.assertEqual(len(held), len(set(held)))
        self.assert_up(h.renegotiate('a'), address)
        for i in range(40):
            if answers[i]['result'] == 'up':
                self.assertEqual(h.disconnect(f'{i}')['result'], 'down')
        (self.runtime_dir / 'filling').unlink()
        for i in range(3):
            self.assertNotEqual(self.assert_up(h.connect(f'x{i}', user=f'x{i}')), address)

    def test_read_only(self):
        subprocess.run(['mount', '-o', 'remount,ro', self.runtime_dir], check=True)
        h = self.start(pool('p', '10.64.0.0/24'))
        self.assert_refused(h.connect('a', user='alice', asks='10.1.2.3'))


class DamagedStore(Case):
    def setUp(self):
        super().setUp()
        h = self.start(pool('p', '10.64.0.0/24'))
        for i in range(20):
            h.connect(f'{i}', user=f'user{i}')
        h.close()
        self.store = max(self.runtime_dir.glob('*.mdb'), key=lambda path: path.stat().st_size)

    def assert_refused_or_right(self):
        """Never a crash, never an address that pppd or the peer made up."""
        h = self.start()
        found = []
        for i in range(4):
            answer = h.connect(f'{i}', user=f'user{i}', asks='10.1.2.3')
            self.assertIn(answer['result'], ('up', 'refused'), answer)
            if answer['result'] == 'up':
                found.append(answer['address'])
        self.assertEqual(len(found), len(set(found)))
        self.assertTrue(all(address.startswith('10.64.0.') for address in found), found)
        return h, found

    def test_garbage(self):
        self.store.write_bytes(os.urandom(65536))
        h, found = self.assert_refused_or_right()
        self.assertEqual(found, [])
        self.assertIn(str(self.store), h.events('refuse')[0])

    def test_text(self):
        self.store.write_text('hello\n' * 2000)
        self.assertEqual(self.assert_refused_or_right()[1], [])

    def test_cut_short(self):
        whole = self.store.read_bytes()
        for size in (1, 100, 4096, 8191, 8192, 12288, len(whole) - 4096):
            with self.subTest(size):
                self.store.write_bytes(whole[:size])
                self.assert_refused_or_right()

    def test_empty_file(self):
        self.store.write_bytes(b'')
        self.assert_refused_or_right()

    def test_cut_short_under_a_live_session(self):
        h = self.start()
        self.assert_up(h.connect('a', user='alice'))
        os.truncate(self.store, 4096)
        self.assert_up(h.renegotiate('a'))
        self.assertEqual(h.disconnect('a')['result'], 'down')

    def test_another_version_is_refused_and_left_alone(self):
        whole = self.store.read_bytes()
        # A byte for the kind's length, the kind, the version in four bytes.
        kind = b'\x0crasip-leases'
        changed = whole.replace(kind + (2).to_bytes(4, 'big'), kind + (1000).to_bytes(4, 'big'))
        self.assertNotEqual(changed, whole)
        self.store.write_bytes(changed)
        h = self.start()
        self.assert_refused(h.connect('a', user='alice', asks='10.1.2.3'), 'version')
        h.close()
        self.assertEqual(self.store.read_bytes()[8192:], changed[8192:])

    def test_removed_store_is_made_again(self):
        shutil.rmtree(self.runtime_dir)
        self.assertEqual(len(self.assert_refused_or_right()[1]), 4)

    def test_damaged_memory_is_no_reason_to_refuse(self):
        h = self.start()
        h.connect('a', user='alice')
        self.wait_remembered(h, 'alice')
        h.close()
        memories = list(self.state_dir.glob('*.mdb'))
        self.assertTrue(memories)
        for path in memories:
            pathlib.Path(path).write_bytes(os.urandom(20000))
        h = self.start()
        self.assert_up(h.connect('a', user='alice'))
        self.assertEqual(h.disconnect('a')['result'], 'down')


if __name__ == '__main__':
    unittest.main()
