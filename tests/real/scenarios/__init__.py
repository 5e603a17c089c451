# SPDX-License-Identifier: MIT
"""Scenarios, by area; each is a function of a World."""
