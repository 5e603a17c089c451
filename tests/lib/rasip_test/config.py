# SPDX-License-Identifier: MIT
"""rasip.conf from Python values: dicts are groups, lists are lists."""


def render(value):
    if isinstance(value, bool):
        return 'true' if value else 'false'
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dict):
        return '{ ' + ' '.join(f'{key} = {render(item)};' for key, item in value.items()) + ' }'
    if isinstance(value, (list, tuple)):
        return '( ' + ', '.join(render(item) for item in value) + ' )'
    return '"' + str(value).replace('\\', '\\\\').replace('"', '\\"') + '"'


def render_file(settings):
    return ''.join(f'{key} = {render(value)};\n' for key, value in settings.items())


def pool(name, *ranges, **settings):
    return {'name': name, 'ranges': ranges, **settings}
