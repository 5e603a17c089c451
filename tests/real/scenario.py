# SPDX-License-Identifier: MIT
"""The list of scenarios, and how they are run inside user-mode Linux."""

import importlib
import inspect
import itertools
import json
import pathlib
import shutil
import signal
import time
import traceback

from world import STAGE, World

OUTPUT = pathlib.Path('/run/output')
LOCAL_AREAS = ('basic', 'choice', 'refusal', 'lifecycle', 'renegotiation',
               'modules', 'plugins', 'memory', 'examples', 'pppoe', 'l2tp')
MADCAP_AREAS = ('madcap_net', 'madcap_pool', 'madcap_shared')
LIMIT = 300

_scenarios = []


def scenario(function=None, *, limit=LIMIT, needs_database=False):
    """Makes a function of a World a scenario."""
    if function is None:
        return lambda decorated: scenario(decorated, limit=limit, needs_database=needs_database)
    function.limit = limit
    function.needs_database = needs_database
    _scenarios.append(function)
    return function


def load(areas):
    """The scenarios of these areas, in the order in which they are run."""
    modules = [importlib.import_module(f'scenarios.{area}').__name__ for area in areas]
    return [function for function in _scenarios if function.__module__ in modules]


def _too_long(*_):
    raise TimeoutError('the scenario took too long')


def _attempt(function):
    """Runs one scenario: (its notes, what went wrong or None)."""
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(function.limit)
    world = World()
    problem = None
    try:
        function(world)
        world.never_seen(r'\b10\.64\.64\.\d+')
    except Exception:
        problem = traceback.format_exc()
        world.take_stock()
    finally:
        signal.alarm(0)
    world.tear_down()
    return world.notes, problem


def _keep_logs(name):
    kept = OUTPUT / 'logs' / name
    kept.mkdir(parents=True)
    for path in STAGE.iterdir():
        if path.is_file():
            shutil.copyfile(path, kept / path.name)


def _run(function):
    start = time.monotonic()
    notes, problem = _attempt(function)
    _keep_logs(function.__name__)
    return {'notes': notes, 'problem': problem,
            'seconds': round(time.monotonic() - start, 2)}


def main(_):
    """Runs one scenario after the other, as requests for them come in."""
    known = {function.__name__: function for function in load(LOCAL_AREAS + MADCAP_AREAS)}
    for number in itertools.count():
        request = OUTPUT / f'request.{number}'
        while not request.exists():
            time.sleep(0.02)
        result = _run(known[request.read_text()])
        draft = OUTPUT / 'draft'
        draft.write_text(json.dumps(result))
        draft.rename(OUTPUT / f'result.{number}')


def summary(function):
    return inspect.getdoc(function) or function.__name__
