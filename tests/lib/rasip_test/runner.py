# SPDX-License-Identifier: MIT
"""Runs the unittest tests of one file and writes what became of each.

    python3 -m rasip_test.runner FILE RESULTS [PATTERN]

RESULTS gets one JSON object a line, as things happen: {"begin": NAME}, {"test": NAME,
"result": "pass" | "fail" | "skip", "text": ..., "seconds": ...}, and at the end {"done": true}.
SIGTERM is the caller's time limit: the test that runs then fails, with the place where it
stood, its cleanups run, and no other test is begun.
"""

import fnmatch
import importlib
import json
import os
import pathlib
import signal
import sys
import time
import traceback
import unittest


class TimeLimit(BaseException):
    """Raised into whatever runs when the time is up."""


class Results(unittest.TestResult):
    """A test with subtests counts once; it failed if one of them did."""

    def __init__(self, stream):
        super().__init__()
        self._stream = stream
        self._texts = []
        self._skip = None
        self._began = 0
        self._output = 0

    def write(self, **entry):
        self._stream.write(json.dumps(entry) + '\n')
        self._stream.flush()

    def _output_size(self):
        sys.stdout.flush()
        sys.stderr.flush()
        return os.fstat(sys.stdout.fileno()).st_size

    def _output_since_start(self):
        """What the test wrote, if standard output is a file that can be read again."""
        try:
            path = f'/proc/self/fd/{sys.stdout.fileno()}'
            with open(path, 'rb') as output:
                output.seek(self._output)
                return output.read().decode(errors='replace')
        except OSError:
            return ''

    def startTest(self, test):
        super().startTest(test)
        self._texts, self._skip = [], None
        self._began = time.monotonic()
        self._output = self._output_size()
        self.write(begin=name_of(test))

    def stopTest(self, test):
        super().stopTest(test)
        result, text = 'pass', ''
        if self._texts:
            self._output_size()
            result = 'fail'
            text = '\n'.join(self._texts + [self._output_since_start()]).rstrip()
        elif self._skip is not None:
            result, text = 'skip', self._skip
        self.write(test=name_of(test), result=result, text=text,
                   seconds=time.monotonic() - self._began)

    def _failed(self, test, error):
        if error[0] is TimeLimit:
            self.stop()
        text = self._exc_info_to_string(error, test).rstrip()
        if isinstance(test, unittest.TestCase):
            self._texts.append(text)
        else:  # setUpClass and the like stand for all tests that did not run
            self.write(test=name_of(test), result='fail', text=text, seconds=0)

    def addError(self, test, err):
        self._failed(test, err)

    def addFailure(self, test, err):
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._texts.append(subtest.id().removeprefix(test.id()).strip())
            self._failed(test, err)

    def addSkip(self, test, reason):
        if isinstance(test, unittest.TestCase):
            self._skip = reason
        else:
            self.write(test=name_of(test), result='skip', text=reason, seconds=0)

    def addUnexpectedSuccess(self, test):
        self._texts.append('was expected to fail, and did not')


def name_of(test):
    """module.Class.method without the module, which the caller knows."""
    name = test.id()
    if not isinstance(test, unittest.TestCase):
        return name
    return name.split('.', 1)[-1]


def tests_of(suite):
    """A suite's tests, one by one."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def load(path, pattern):
    sys.path.insert(0, str(path.parent))
    suite = unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(path.stem))
    if not pattern:
        return suite
    return unittest.TestSuite(
        test for test in tests_of(suite)
        if fnmatch.fnmatch(f'{path.parent.name}/{path.stem}.{name_of(test)}', f'*{pattern}*'))


def on_sigterm(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise TimeLimit('the time for this file is up')


def main():
    path = pathlib.Path(sys.argv[1]).resolve()
    pattern = sys.argv[3] if len(sys.argv) > 3 else ''
    signal.signal(signal.SIGTERM, on_sigterm)
    with open(sys.argv[2], 'w', encoding='utf-8') as stream:
        results = Results(stream)
        try:
            suite = load(path, pattern)
            suite.run(results)
        except (Exception, SystemExit, TimeLimit):  # also on import: say where
            results.write(test='(file)', result='fail', text=traceback.format_exc().rstrip(),
                          seconds=0)
        results.write(done=True)


if __name__ == '__main__':
    main()
