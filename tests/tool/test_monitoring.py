# SPDX-License-Identifier: MIT
"""What goes with rasip metrics: Prometheus' own check of it, the dashboard, the units."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from rasip_test import promtool
from toolbox import RASIP, TOP, Case

CONF = TOP / 'conf'
UNITS = sorted((CONF / 'systemd').glob('rasip*'))


class Monitoring(Case):
    def metrics(self):
        return set(re.findall(r'(?m)^# TYPE (\S+) ', self.ok('metrics')))

    def test_promtool(self):
        self.configure('pools = ( { name = "p"; ranges = ( "10.0.0.0/24" ); } );')
        self.sessions.connect('a', 'bob')
        self.assertEqual(promtool.check(self.ok('metrics')), '')

    def test_counters_survive_processes(self):
        for i in range(3):
            self.sessions.connect(f's{i}', 'bob')
            self.sessions.command(f'kill s{i}')
        self.ok('reclaim')
        text = self.ok('metrics')
        self.assertIn('\nrasip_grants_total{pool="residential"} 3\n', text)
        self.assertRegex(text, r'\nrasip_reclaims_total\{pool="residential"\} [1-3]\n')

    def test_the_dashboard_uses_exactly_these_metrics(self):
        dashboard = json.loads((CONF / 'grafana-dashboard.json').read_text(encoding='utf-8'))
        asked = [target['expr'] for panel in dashboard['panels'] for target in panel['targets']]
        asked += [variable['definition'] for variable in dashboard['templating']['list']
                  if 'definition' in variable]
        self.assertEqual(set(re.findall(r'\brasip_\w+', ' '.join(asked))), self.metrics())
        text = self.ok('metrics')
        for label, value in re.findall(r'\b(\w+)="(\w+)"', ' '.join(asked)):
            self.assertIn(f'{label}="{value}"', text)

    def test_the_dashboard_is_whole(self):
        dashboard = json.loads((CONF / 'grafana-dashboard.json').read_text(encoding='utf-8'))
        ids = [panel['id'] for panel in dashboard['panels']]
        self.assertEqual(len(ids), len(set(ids)))
        places = [tuple(panel['gridPos'][key] for key in 'xywh') for panel in dashboard['panels']]
        for x, y, width, height in places:
            self.assertLessEqual(x + width, 24)
            for other in places:
                apart = (other == (x, y, width, height) or other[0] >= x + width or
                         other[0] + other[2] <= x or other[1] >= y + height or
                         other[1] + other[3] <= y)
                self.assertTrue(apart, 'panels overlap')

    def test_the_manual_names_every_metric(self):
        manual = (TOP / 'man' / 'rasip.8').read_text(encoding='utf-8')
        self.assertEqual(set(re.findall(r'\brasip_\w+', manual)), self.metrics())

    def service_command(self):
        service = (CONF / 'systemd/rasip-metrics.service').read_text(encoding='utf-8')
        return re.search(r"(?m)^ExecStart=/bin/sh -c '(.*)'$", service)[1].replace('$$', '$')

    def test_what_the_service_does(self):
        self.sessions.connect('a', 'bob')
        target = self.dir / 'rasip.prom'
        command = self.service_command().replace('/usr/sbin/rasip', f'{RASIP} -c {self.config}')
        environment = {**os.environ, 'RASIP_TEXTFILE': str(target)}
        subprocess.run(['/bin/sh', '-c', command], env=environment, check=True)
        self.assertEqual(target.read_text(encoding='utf-8'), self.ok('metrics'))
        self.config.write_text('pools = ();')
        done = subprocess.run(['/bin/sh', '-c', command], env=environment, check=False,
                              stderr=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn('rasip_pool_size{pool="residential"} 255', target.read_text(encoding='utf-8'))

    def test_units(self):
        if not shutil.which('systemd-analyze'):
            self.skipTest('systemd-analyze is not installed')
        self.assertEqual([unit.name for unit in UNITS],
                         ['rasip-metrics.service', 'rasip-metrics.timer'])
        for unit in UNITS:
            copy = pathlib.Path(shutil.copy(unit, self.dir))
            copy.write_text(copy.read_text(encoding='utf-8').replace('/usr/sbin/rasip', str(RASIP)),
                            encoding='utf-8')
        done = subprocess.run(['systemd-analyze', 'verify', '--man=no',
                               *(self.dir / unit.name for unit in UNITS)], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        complaints = [line for line in done.stdout.splitlines() if 'rasip' in line]
        self.assertEqual((done.returncode, complaints), (0, []), done.stdout)


if __name__ == '__main__':
    unittest.main()
