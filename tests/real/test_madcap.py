# SPDX-License-Identifier: MIT
"""Addresses of MADCAP servers in real pppds, and madcapd on networks that lose datagrams."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import real_pppd  # noqa: E402
import scenario  # noqa: E402


@real_pppd.scenarios_of(scenario.MADCAP_AREAS)
class MadcapPools(real_pppd.RealPppd):
    """One boot."""
