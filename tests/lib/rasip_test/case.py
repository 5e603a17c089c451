# SPDX-License-Identifier: MIT
"""A test case with a directory of its own, a configuration in it, and harnesses that end."""

import os
import pathlib
import shutil
import tempfile
import unittest

from rasip_test import config, harness, paths
from rasip_test.madcapd import wait_for


class Call:
    """A line of a scripted module's log."""

    def __init__(self, line):
        self.module, self.name, rest = line.split(' ', 2)
        self.user, self.port, self.address = rest.rsplit(' ', 2)

    def __repr__(self):
        return f'{self.module} {self.name} {self.user} {self.port} {self.address}'


class Case(unittest.TestCase):
    def setUp(self):
        directory = tempfile.mkdtemp(prefix='rasip-')
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.directory = pathlib.Path(directory)
        self.runtime_dir = self.directory / 'run'
        self.state_dir = self.directory / 'state'
        self.conf = self.directory / 'rasip.conf'
        self.calls_file = self.directory / 'calls'

    def write_config(self, *pools, **settings):
        """The configuration, with directories of the test's own, and a pool if none is given."""
        whole = {'runtime_dir': self.runtime_dir, 'state_dir': self.state_dir,
                 'pools': pools or [config.pool('p', '10.64.0.0/24')]}
        whole.update(settings)
        self.conf.write_text(config.render_file(whole))
        return self.conf

    def start(self, *pools, options=(), wrap=(), detach=False, user_options=(), **settings):
        """A harness with this configuration; without any, with the one that is there."""
        if pools or settings:
            self.write_config(*pools, **settings)
        found = harness.Harness(self.conf, wrap=wrap, options=options, detach=detach,
                                user_options=user_options)
        self.addCleanup(found.dispose)
        return found

    def run_script(self, script='', **settings):
        return harness.run(self.conf, script, **settings)

    def wait_remembered(self, h, user):
        """What is remembered of a session is written when it is a second old."""
        memory = self.state_dir / 'memory.mdb'
        wait_for(lambda: h.wait(0.2) and memory.exists() and user.encode() in memory.read_bytes(),
                 f'a memory of {user}')

    # -- scripted modules

    def module(self, name='one', argument='', kind='scripted'):
        """An entry of `modules`. Each is a file of its own: the same file is loaded only once."""
        path = self.directory / f'{name}.so'
        shutil.copyfile(paths.MODULES / f'{kind}.so', path)
        os.chmod(path, 0o644)
        return {'name': name, 'path': path,
                'argument': f'name={name} log={self.calls_file} {argument}'.rstrip()}

    def calls(self, *names, module=None):
        """The modules' calls so far, in order; of those names, if any are given."""
        if not self.calls_file.exists():
            return []
        found = [Call(line) for line in self.calls_file.read_text(
            errors='surrogateescape').splitlines()]
        return [call for call in found if (not names or call.name in names)
                and module in (None, call.module)]

    # -- assertions

    def assert_up(self, answer, address=None):
        self.assertEqual(answer['result'], 'up', answer)
        if address is not None:
            self.assertEqual(answer['address'], address)
        return answer['address']

    def assert_refused(self, answer, words=''):
        self.assertEqual(answer['result'], 'refused', answer)
        self.assertIn(words, answer['reason'])
        self.assertNotIn('address', answer)
