# SPDX-License-Identifier: MIT
"""Every input that fuzzing has left behind, given to its target once more."""

import os
import pathlib
import shlex
import subprocess
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('RASIP_BUILD', TOP / 'build')).resolve()
UNDER = shlex.split(os.environ.get('RASIP_UNDER', ''))  # an emulator or a checker


class Corpora(unittest.TestCase):
    def test_every_target_has_a_corpus(self):
        targets = {path.stem[len('fuzz_'):] for path in (TOP / 'tests/fuzz').glob('fuzz_*.c')}
        corpora = {path.name for path in (TOP / 'tests/fuzz/corpus').iterdir()}
        self.assertEqual(targets, corpora)

    def test_nothing_breaks(self):
        for corpus in sorted((TOP / 'tests/fuzz/corpus').iterdir()):
            inputs = sorted(corpus.iterdir())
            with self.subTest(corpus.name):
                done = subprocess.run(
                    [*UNDER, BUILD / 'replay' / f'fuzz_{corpus.name}', *inputs], text=True,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
                self.assertEqual((done.returncode, done.stdout), (0, f'{len(inputs)} inputs\n'))


if __name__ == '__main__':
    unittest.main()
