#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Draws the README's pictures from the real programs: man/pictures/*.svg.

`make pictures` runs it. Sessions are played by ras-harness; what rasip prints on a terminal becomes
an SVG, character by character. The plot is of what the benchmarks measure on this machine now, or
of files that `bench_pool --json` and `bench_tool --json` have written before.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path.insert(0, str(TOP / 'tests/tool'))

from toolbox import BUILD, RASIP, Sessions, Terminal  # noqa: E402

CONFIG = '''
runtime_dir = "{dir}/run";
state_dir = "{dir}/state";
pools = (
  { name = "residential"; ranges = ( "10.64.0.0/26" ); exclude = ( "10.64.0.0", "10.64.0.63" );
    hold = "10m"; next = "overflow"; alarm = 80; },
  { name = "business"; ranges = ( "10.66.0.0/27" ); max_per_user = 2; alarm = 50; },
  { name = "overflow"; ranges = ( "10.65.0.10-10.65.0.99" ); },
  { name = "old-dialin"; ranges = ( "10.70.0.0/28" ); mode = "drain"; }
);
assign = (
  { user = "alice"; address = "10.64.0.7"; },
  { user = "*@corp.example"; pool = "business"; },
  { port = "ttyS*"; pool = "old-dialin"; },
  { pool = "residential"; }
);
'''
FIRST = ('ada', 'ben', 'cleo', 'dan', 'eve', 'finn', 'gus', 'hana', 'ida', 'jon', 'kim', 'leo')
CHARACTER, LINE, MARGIN = 7.4, 17, 14
COLOURS = {'31': '#f47067', '32': '#6bc46d', '33': '#daaa3f'}
SEQUENCE = re.compile(rb'\033\[\??([\d;]*)([A-Za-z])')


class Screen:
    """Rows of (character, colour), as a terminal has them after what a program wrote."""

    def __init__(self, rows, columns):
        self.columns = columns
        self.cells = [[(' ', '')] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.colour = ''

    def feed(self, data):
        at = 0
        while at < len(data):
            found = SEQUENCE.match(data, at)
            if found:
                self._sequence(found[1].decode(), found[2].decode())
                at = found.end()
                continue
            self._put(chr(data[at]))
            at += 1

    def _put(self, character):
        if character == '\r':
            self.column = 0
        elif character == '\n':
            self.row += 1
        elif self.column < self.columns and self.row < len(self.cells):
            self.cells[self.row][self.column] = (character, self.colour)
            self.column += 1

    def _sequence(self, numbers, final):
        if final == 'm':
            self.colour = COLOURS.get(numbers, '')
        elif final == 'H':
            self.row, self.column = (int(number or 1) - 1 for number in numbers.split(';'))
        elif final == 'K':
            self.cells[self.row][self.column:] = [(' ', '')] * (self.columns - self.column)
        elif final == 'J':
            self.cells = [[(' ', '')] * self.columns for _ in self.cells]

    def text(self):
        return [''.join(character for character, _ in row).rstrip() for row in self.cells]


def pieces(row):
    """(column, text, colour) of everything in a row between wide gaps or changes of colour."""
    text = ''.join(character for character, _ in row)
    colours = [colour for _, colour in row]
    for word in re.finditer(r'\S+(?: \S+)*', text):
        start = word.start()
        for column in range(word.start(), word.end() + 1):
            if column == word.end() or colours[column] != colours[start]:
                yield start, text[start:column], colours[start]
                start = column


def terminal_svg(command, screen):
    rows = list(screen.cells)
    while rows and not ''.join(character for character, _ in rows[-1]).strip():
        rows.pop()
    width = round(2 * MARGIN + screen.columns * CHARACTER)
    height = 2 * MARGIN + LINE * (len(rows) + 1)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" role="img">',
           f'<title>{escape(command)}</title>',
           f'<rect width="{width}" height="{height}" rx="8" fill="#1c2128"/>',
           '<g font-family="ui-monospace,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" '
           'font-size="12.3" fill="#d3dae3" xml:space="preserve">',
           f'<text x="{MARGIN}" y="{MARGIN + 11}"><tspan fill="#768390">$ </tspan>'
           f'<tspan fill="#ffffff" font-weight="bold">{escape(command)}</tspan></text>']
    for i, row in enumerate(rows, 1):
        for column, text, colour in pieces(row):
            fill = f' fill="{colour}"' if colour else ''
            out.append(f'<text x="{MARGIN + column * CHARACTER:.1f}" y="{MARGIN + 11 + LINE * i}" '
                       f'textLength="{len(text) * CHARACTER:.1f}" '
                       f'lengthAdjust="spacingAndGlyphs"{fill}>{escape(text)}</text>')
    return '\n'.join(out + ['</g>', '</svg>', ''])


def populate(sessions):
    for i in range(46):
        sessions.connect(f'r{i}', f'{FIRST[i % 12]}{i // 12 + 1}', port=f'eth1.{i + 100}')
    for i in range(5):
        sessions.command(f'disconnect r{7 * i}')
    for i in range(17):
        sessions.connect(f'b{i}', f'{FIRST[i % 12]}{i // 12 + 1}@corp.example', port=f'l2tp{i}')
    for i in range(22):
        sessions.connect(f'o{i}', f'{FIRST[i % 12]}{i // 12 + 5}', port=f'eth1.{i + 200}')
    sessions.command('connect d user=old port=ttyS3')
    sessions.connect('a', 'alice', port='eth1.99')
    sessions.command('disconnect r3')
    sessions.connect('back', 'ada1', port='eth1.100')
    sessions.command('kill r11')
    subprocess.run([RASIP, '-c', sessions.config, 'reclaim'], check=True,
                   stdout=subprocess.DEVNULL)


def photograph(directory, words, rows, columns):
    """What the command leaves on a terminal."""
    terminal = Terminal([RASIP, '-c', 'rasip.conf', *words], rows, columns)
    screen = Screen(rows, columns)
    try:
        if words[0] == 'watch':
            while b'NEWEST EVENTS' not in terminal.output:
                terminal.read(0.1)
            terminal.read(0.1)
            shown = terminal.output
            terminal.type(b'q')
            terminal.wait()
        else:
            terminal.wait()
            shown = terminal.output
    finally:
        terminal.close()
    screen.feed(shown.replace(b'rasip.conf', b'/etc/rasip/rasip.conf'))
    assert str(directory) not in '\n'.join(screen.text()), '\n'.join(screen.text())
    return screen


def draw_terminals(out):
    with tempfile.TemporaryDirectory(prefix='rasip-pictures-') as name:
        directory = pathlib.Path(name)
        config = directory / 'rasip.conf'
        config.write_text(CONFIG.replace('{dir}', name), encoding='utf-8')
        sessions = Sessions(config)
        sessions.config = config
        os.chdir(directory)
        try:
            populate(sessions)
            for file, words, rows, columns in (
                    ('pools', ('pools',), 8, 92),
                    ('explain', ('explain', '--user', 'cleo9', '--port', 'eth1.300'), 10, 92),
                    ('watch', ('watch',), 20, 92)):
                screen = photograph(directory, words, rows, columns)
                save(out / f'{file}.svg', terminal_svg('rasip ' + ' '.join(words), screen))
        finally:
            sessions.close()
            os.chdir(TOP)


# ---- the plot ------------------------------------------------------------------------------------

INK, PALE, OURS, BARE, LIMIT = '#24292f', '#8c959f', '#2f6fb7', '#b6bfc9', '#c4432b'
CONTROLS = ('reading the store bare', 'asking the kernel for all locks')  # as bench_tool has them


def text(x, y, what, anchor='start', fill=INK, size=12, weight='normal'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" '
            f'font-size="{size}" font-weight="{weight}">{escape(what)}</text>')


def bar(x, y, width, height, fill):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height}" '
            f'fill="{fill}"/>')


def pool_rows(outcomes):
    """One row for each size and fill, of processes that are new each time, as pppd is."""
    for one in outcomes:
        if one['processes'] == 'new':
            size = f'{one["pool"]:,}'.replace(',', '\u202f')
            yield (f'pool of {size}, {one["fill"]:g} % full',
                   one['connect']['cpu_p50_us'], one['control']['cpu_p50_us'])


def plot_addresses(rows, y):
    out = [text(16, y, 'An address for a new process, \u00b5s of CPU time (median)', weight='bold')]
    scale = 330 / max(max(ours, bare) for _, ours, bare in rows)
    for i, (label, ours, bare) in enumerate(rows):
        top = y + 14 + 26 * i
        out += [text(226, top + 13, label, 'end'), bar(234, top, ours * scale, 9, OURS),
                bar(234, top + 10, bare * scale, 7, BARE),
                text(240 + max(ours, bare) * scale, top + 13, f'{ours:.0f}', fill=OURS)]
    return out, y + 14 + 26 * len(rows)


def plot_verbs(verbs, y):
    out = [text(16, y, 'rasip with 100\u202f000 leases, ms from start to end (median)', weight='bold')]
    rows = [verb for verb in verbs if verb['limit_ms'] > 0]
    controls = [verb for verb in verbs if verb['limit_ms'] == 0]
    scale = 330 / max(50, *(verb['p50_ms'] for verb in verbs))
    for i, verb in enumerate(rows):
        top = y + 12 + 20 * i
        limit = 234 + verb['limit_ms'] * scale
        out += [text(226, top + 12, verb['verb'], 'end', size=11),
                bar(234, top + 2, verb['p50_ms'] * scale, 13, OURS),
                bar(limit, top, 2, 17, LIMIT),
                text(max(240 + verb['p50_ms'] * scale, limit + 8 if abs(
                    verb['p50_ms'] * scale - verb['limit_ms'] * scale) < 40 else 0),
                     top + 13, f'{verb["p50_ms"]:.1f}', fill=OURS)]
    for i, verb in enumerate(controls, len(rows)):
        top = y + 12 + 20 * i
        out += [text(226, top + 12, CONTROLS[i - len(rows)], 'end', size=11, fill=PALE),
                bar(234, top + 2, verb['p50_ms'] * scale, 13, BARE),
                text(240 + verb['p50_ms'] * scale, top + 13, f'{verb["p50_ms"]:.1f}', fill=PALE)]
    return out, y + 12 + 20 * len(verbs)


def plot_svg(outcomes, verbs):
    first, y = plot_addresses(list(pool_rows(outcomes)), 28)
    second, y = plot_verbs(verbs, y + 30)
    key = [bar(234, y + 14, 12, 10, OURS), text(251, y + 23, 'rasip', size=11),
           bar(302, y + 14, 12, 10, BARE), text(319, y + 23, 'bare', size=11),
           bar(396, y + 11, 2, 16, LIMIT), text(404, y + 23, 'the most it may take', size=11)]
    height = round(y + 40)
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{height}" '
        f'viewBox="0 0 640 {height}" role="img" font-family="system-ui,sans-serif">',
        '<title>What rasip costs, beside bare LMDB</title>',
        f'<rect width="640" height="{height}" rx="8" fill="#ffffff"/>',
        *first, *second, *key, '</svg>', ''])


def measured(path, name):
    if path is not None:
        return json.loads(path.read_text(encoding='utf-8'))
    done = subprocess.run([BUILD / 'bench' / name, '--json'], check=True, text=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def save(path, svg):
    path.parent.mkdir(parents=True, exist_ok=True)
    svg = '<!-- SPDX-License-Identifier: MIT -->\n' + svg
    path.write_text(svg, encoding='utf-8')
    print(f'  SVG     {path.name} {len(svg)} bytes')
    assert len(svg) < 30000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=pathlib.Path, default=TOP / 'man/pictures')
    parser.add_argument('--bench-pool', type=pathlib.Path, metavar='FILE')
    parser.add_argument('--bench-tool', type=pathlib.Path, metavar='FILE')
    given = parser.parse_args()
    out = given.out.resolve()
    outcomes = measured(given.bench_pool, 'bench_pool')['outcomes']
    verbs = measured(given.bench_tool, 'bench_tool')
    draw_terminals(out)
    save(out / 'bench.svg', plot_svg(outcomes, verbs))


if __name__ == '__main__':
    main()
