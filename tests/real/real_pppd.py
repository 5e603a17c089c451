# SPDX-License-Identifier: MIT
"""rasip.so in a real pppd: every scenario is one test, all of a class in one boot.

RASIP_KEEP, set to anything, keeps the logs.
"""

import contextlib
import subprocess
import sys
import unittest

import scenario
import uml
from rasip_test import postgres

LIMIT = 3500
GRACE = 60
LOG_LINES = 60


def tail(path):
    lines = path.read_text(encoding='utf-8', errors='replace').splitlines()
    return ''.join(f'    {line}\n' for line in lines[-LOG_LINES:])


class RealPppd(unittest.TestCase):
    """One user-mode Linux, in which each test runs its scenario."""

    @classmethod
    def setUpClass(cls):
        uml.check_available()
        if b'__asan_init' in (uml.build_dir() / 'rasip.so').read_bytes():
            raise unittest.SkipTest('AddressSanitizer needs more address space'
                                    ' than user-mode Linux has')
        cls.guest = None
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)

    @classmethod
    def boot(cls):
        """Boots at the first test, and again if the last one died."""
        if cls.guest is None or not cls.guest.running():
            job = {'module': 'scenario', 'arguments': []}
            cls.guest = cls.stack.enter_context(uml.Guest(job, LIMIT))
        return cls.guest

    @staticmethod
    def give_database(directory):
        """Making it takes ten times as long in there as here."""
        if postgres.missing() is None and not directory.exists():
            subprocess.run(['cp', '-a', str(postgres.template()), str(directory)], check=True)

    def logs(self, name):
        directory = self.guest.output / 'logs' / name
        return ''.join(f'--- {path.name}\n{tail(path)}'
                       for path in sorted(directory.iterdir()))

    def run_scenario(self, function):
        guest = self.boot()
        if function.needs_database:
            self.give_database(guest.output / 'database')
        name = function.__name__
        try:
            result = guest.request(name, function.limit + GRACE)
        except uml.Died as died:
            type(self).guest = None
            self.fail(f'user-mode Linux died:\n{died}')
        for note in result['notes']:
            print(f'{name}: {note}', file=sys.stderr, flush=True)
        if result['problem']:
            self.fail(f'{result["problem"]}\n{self.logs(name)}')


def _test(function):
    def test(self):
        self.run_scenario(function)
    test.__doc__ = scenario.summary(function).splitlines()[0]
    return test


def scenarios_of(areas):
    """Gives a class a test for each scenario of these areas."""
    def decorate(test_class):
        for function in scenario.load(areas):
            setattr(test_class, f'test_{function.__name__}', _test(function))
        return test_class
    return decorate
