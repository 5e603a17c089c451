# SPDX-License-Identifier: MIT
"""Addresses of local pools, and everything else of a session, in real pppds."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import real_pppd  # noqa: E402
import scenario  # noqa: E402


@real_pppd.scenarios_of(scenario.LOCAL_AREAS)
class LocalPools(real_pppd.RealPppd):
    """One boot."""
