# SPDX-License-Identifier: MIT
"""Real programs whose calls of the system fail: tests/torture/fault.c, by LD_PRELOAD."""

import pathlib

from rasip_test import paths

LIBRARY = paths.BUILD / 'torture' / 'fault.so'
NETWORK = 8  # of enum fault_kind


def why_not():
    """Why no call can be made to fail here, or None."""
    if not LIBRARY.exists():
        return f'{LIBRARY} has not been built'
    if b'libasan' in paths.PLUGIN.read_bytes():
        return 'a sanitizer wants to be loaded first'
    return None


class Fault:
    """One run: environment() is for the program, struck() the call that failed."""

    def __init__(self, n, directory, forks=0, variant=0, lasting=False, callers='',
                 kinds=15):
        self._report = pathlib.Path(directory) / 'struck'
        self._report.unlink(missing_ok=True)
        self._settings = {
            'LD_PRELOAD': str(LIBRARY), 'FAULT_AT': str(n), 'FAULT_FORKS': str(forks),
            'FAULT_VARIANT': str(variant), 'FAULT_LASTING': str(int(lasting)),
            'FAULT_KINDS': str(kinds), 'FAULT_REPORT': str(self._report),
            'FAULT_CALLERS': callers}

    def environment(self):
        return dict(self._settings)

    def wrap(self):
        """The same as the beginning of a command line."""
        return ['env', *(f'{name}={value}' for name, value in self._settings.items())]

    def struck(self):
        """The call's name, or None: it was never made."""
        try:
            return self._report.read_text().strip() or None
        except FileNotFoundError:
            return None
