#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Shows the main job: real peers get their addresses from a real pppd.

Exit status 0 only if all of it was seen to work.
"""

import sys
import time

import uml

LIMIT = 300


def say(line):
    print(line, flush=True)


def explain(guest):
    """Why it went wrong, as far as files tell."""
    for path in [guest.output / 'problem',
                 *sorted((guest.output / 'logs').glob('*'))]:
        if path.exists():
            print(f'--- {path.name}\n{path.read_text(errors="replace")}',
                  file=sys.stderr)
    if not (guest.output / 'problem').exists():
        print(f'--- console\n{guest.console()}', file=sys.stderr)


def main():
    start = time.monotonic()
    job = {'module': 'demo_guest', 'arguments': []}
    say('rasip: address pools for pppd')
    try:
        with uml.Guest(job, LIMIT) as guest:
            guest.follow('story', say)
            if not guest.succeeded():
                explain(guest)
                say('demo: FAILED')
                return 1
    except uml.Unavailable as problem:
        print(f'demo: {problem}', file=sys.stderr)
        return 1
    say(f'All of it was seen to work, in {time.monotonic() - start:.0f} s.')
    return 0


if __name__ == '__main__':
    sys.exit(main())
