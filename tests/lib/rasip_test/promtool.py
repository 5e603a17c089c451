# SPDX-License-Identifier: MIT
"""Prometheus' own check of what metrics look like, where it can be had: PROMTOOL, on the PATH, or by
`make promtool`."""

import os
import shutil
import subprocess
import unittest

from rasip_test import paths


def check(text):
    """What promtool has against it, '' for nothing. Without promtool the test is skipped."""
    promtool = os.environ.get('PROMTOOL') or shutil.which('promtool') or \
        shutil.which('promtool', path=str(paths.TOP / 'build/promtool/usr/bin'))
    if not promtool:
        raise unittest.SkipTest('there is no promtool: make promtool')
    done = subprocess.run([promtool, 'check', 'metrics'], input=text, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout if done.returncode == 0 else f'exit {done.returncode}: {done.stdout}'
