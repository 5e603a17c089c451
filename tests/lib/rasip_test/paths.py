# SPDX-License-Identifier: MIT
"""Where things are: the build directory is RASIP_BUILD, by default build/ in the top directory."""

import os
import pathlib

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get('RASIP_BUILD', TOP / 'build')).resolve()
HARNESS = BUILD / 'ras-harness'
PLUGIN = BUILD / 'rasip.so'
RASIP = BUILD / 'rasip'
MODULES = BUILD / 'modules'
MADCAPD = BUILD / 'madcapd'
MADCAP = BUILD / 'madcap'


def is_sanitized():
    """Whether the build is one with SANITIZE=..."""
    flags = BUILD / 'flags'
    return flags.exists() and '-fsanitize' in flags.read_text()
