# SPDX-License-Identifier: MIT
"""What a scenario works with, inside user-mode Linux.

A World is one scenario's clean machine: its configuration and secrets, its
daemons with their logs, what is seen of interfaces and leases. Everything
waits for what should happen, with a deadline, and never just for a while.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import tty

STAGE = pathlib.Path('/run/stage')
EXAMPLES = pathlib.Path('/run/top/conf/ppp')
PATIENCE = 90

POOLS = '''\
pools = (
  { name = "residential";
    ranges = ( "10.64.0.2-10.64.0.99" );
    local = "10.64.0.1";
    dns = ( "192.0.2.53" );
  }
);
'''
# What a pppd does that is beside the point here, and takes time. It goes on
# asking for as long as the other end may need to start.
COMMON_OPTIONS = ('noipv6\nnoccp\nnovj\ndebug\nlcp-restart 1\n'
                  'lcp-max-configure 60\n')
SERVER_OPTIONS = ('nodetach', 'auth', 'name', 'ras', 'ipparam', 'server',
                  'plugin', 'rasip.so')
CLIENT_OPTIONS = ('nodetach', 'notty', 'noauth', 'noipdefault', 'usepeerdns',
                  'ipparam', 'client')
SCRIPT = f'''\
#!/bin/sh
echo "${{0##*/}} $6 $1 peer=$5 pool=$RASIP_POOL address=$RASIP_ADDRESS" \\
     "dns=$DNS1" >>{STAGE}/scripts.log
'''


class Failed(Exception):
    """Something was not as it should be."""


def check(condition, text):
    if not condition:
        raise Failed(text)


def equal(found, expected, what):
    check(found == expected, f'{what}: {found!r}, expected {expected!r}')


def wait_for(what, probe, patience=PATIENCE):
    """The probe's first true answer."""
    deadline = time.monotonic() + patience
    while True:
        answer = probe()
        if answer:
            return answer
        check(time.monotonic() < deadline, f'waited {patience} s for {what}')
        time.sleep(0.02)


def output_of(*command):
    """Standard output of a command that must succeed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    check(done.returncode == 0,
          f'{" ".join(command)}: exit {done.returncode}: {done.stderr}')
    return done.stdout


def interfaces(namespace=None):
    """Interface -> (address, peer's address), of the PPP interfaces."""
    command = ['ip', '-json', 'addr', 'show']
    if namespace:
        command[1:1] = ['-n', namespace]
    found = {}
    for link in json.loads(output_of(*command)):
        for entry in link.get('addr_info', []):
            if link.get('link_type') == 'ppp' and entry['family'] == 'inet':
                found[link['ifname']] = (entry['local'],
                                         entry.get('address'))
    return found


class Log:
    """A log file that somebody is writing."""

    def __init__(self, path):
        self.path = path

    def text(self):
        if not self.path.exists():
            return ''
        return self.path.read_text(encoding='utf-8', errors='replace')

    def count(self, pattern):
        return len(re.findall(pattern, self.text()))

    def has(self, pattern):
        return re.search(pattern, self.text())

    def wait(self, pattern, count=1, patience=PATIENCE):
        """The match that makes `count` of them."""
        def probe():
            return list(re.finditer(pattern, self.text()))[count - 1:]
        return wait_for(f'{pattern!r} in {self.path.name}', probe, patience)[0]


class Daemon:
    """A process with a log; pppd and the servers around it."""

    def __init__(self, name, command, **popen):
        self.name = name
        self.log = Log(STAGE / f'{name}.log')
        self.errors = Log(STAGE / f'{name}.stderr')
        popen.setdefault('stdin', subprocess.DEVNULL)
        popen.setdefault('stdout', subprocess.DEVNULL)
        with open(self.errors.path, 'ab') as errors:
            errors.write(f'$ {" ".join(command)}\n'.encode())
            errors.flush()
            self.process = subprocess.Popen(command, stderr=errors, **popen)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self, patience=PATIENCE):
        """The exit status; minus the signal that killed it."""
        def probe():
            return not self.running()
        wait_for(f'the end of {self.name}', probe, patience)
        return self.process.returncode

    def stop(self):
        if self.running():
            self.signal(signal.SIGTERM)
        return self.wait_exit()


class Pppd(Daemon):
    """A pppd, in the foreground unless its options say otherwise."""

    def __init__(self, name, options, **popen):
        super().__init__(name, ['pppd', *options, 'logfile',
                                str(STAGE / f'{name}.log')], **popen)

    def interface(self):
        return self.log.wait(r'Using interface (\S+)').group(1)

    def wait_up(self, patience=PATIENCE):
        """(address, peer's address) of the interface once IPCP has opened."""
        def probe():
            check(self.running(), f'{self.name} ended while it came up:\n'
                                  f'{self.log.text()[-1000:]}')
            if not self.log.has('remote IP address'):
                return None
            # One who dials again may have had another one before.
            names = re.findall(r'Using interface (\S+)', self.log.text())
            return interfaces().get(names[-1])
        return wait_for(f'{self.name} to come up', probe, patience)


class Line:
    """A serial line: a pty, with pppd as server on its terminal side."""

    connected = set()

    def __init__(self, name=''):
        self.name = name
        self.connected.add(self)
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.device = os.ttyname(self.slave)
        self.port = self.device.removeprefix('/dev/')

    def serve(self, *options, base=SERVER_OPTIONS):
        """Starts the server. It alone has the terminal side then."""
        server = Pppd(f'server{self.name}', [self.device, *base, *options])
        wait_for('the server to open the line or to end', lambda: not
                 server.running() or server.log.has('Using interface'))
        if self.slave is not None:
            os.close(self.slave)
            self.slave = None
        return server

    def dial(self, *options, user='alice', keep=False, label=''):
        """Starts a client; its end hangs up the line, unless it is kept."""
        client = Pppd(f'client{self.name}{label}',
                      [*CLIENT_OPTIONS, 'user', user, *options],
                      stdin=self.master, stdout=self.master)
        if not keep:
            self.hang_up()
        return client

    def hang_up(self):
        self.connected.remove(self)
        os.close(self.master)


class World:
    """A machine as if freshly installed and configured."""

    def __init__(self):
        shutil.rmtree(STAGE, ignore_errors=True)
        STAGE.mkdir()
        for path in ('/run/rasip', '/var/lib/rasip', '/etc/rasip'):
            shutil.rmtree(path, ignore_errors=True)
        os.makedirs('/etc/rasip')
        self.scripts = Log(STAGE / 'scripts.log')
        self._users = []
        self._notes = []
        self.common_options()
        pathlib.Path('/etc/ppp/ip-pre-up').unlink(missing_ok=True)
        for script in ('ip-up', 'ip-down'):
            self._fresh(f'/etc/ppp/{script}', SCRIPT, 0o755)
        self.configure()
        self.user('alice')
        self.user('bob')
        self._watch_addresses()

    @staticmethod
    def _fresh(path, text, mode=0o600):
        path = pathlib.Path(path)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding='utf-8')
        path.chmod(mode)

    def _watch_addresses(self):
        """Keeps a record of every address that any interface ever gets."""
        self.addresses = Log(STAGE / 'addresses.log')
        with open(self.addresses.path, 'wb') as log:
            subprocess.Popen(['ip', '-o', 'monitor', 'address'], stdout=log)

    def common_options(self, text=COMMON_OPTIONS):
        """The options file of every pppd."""
        self._fresh('/etc/ppp/options', text)

    def configure(self, text=POOLS):
        self._fresh('/etc/rasip/rasip.conf', text)

    @staticmethod
    def remove_configuration():
        os.unlink('/etc/rasip/rasip.conf')

    def replace_secrets(self, text):
        """Secrets as they are written, instead of the users so far."""
        for kind in ('pap', 'chap'):
            self._fresh(f'/etc/ppp/{kind}-secrets', text)

    def user(self, name, password='secret', options=''):
        """A user in three words, and options of his own."""
        words = f'"{name}" * "{password}"'
        self._users.append(f'{words} -- {options}' if options else words)
        self.replace_secrets('\n'.join(self._users) + '\n')

    def note(self, text):
        """A figure or remark for whoever reads the results."""
        self._notes.append(text)

    @property
    def notes(self):
        return list(self._notes)

    @staticmethod
    def leases(*arguments):
        return json.loads(output_of('rasip', 'leases', '--json', *arguments))

    def lease_of(self, user):
        """The user's only live lease."""
        leases = self.leases('--user', user)
        equal(len(leases), 1, f'leases of {user}')
        return leases[0]

    def wait_released(self, count=0):
        """Waits until that many leases are live."""
        wait_for(f'{count} live leases',
                 lambda: len(self.leases()) == count)

    def never_seen(self, pattern):
        found = self.addresses.has(pattern)
        check(not found, f'an interface had the address {found and found[0]}')

    @staticmethod
    def take_stock():
        """What a failure's reader may want to see beside the logs."""
        columns = 'pid,ppid,stat,wchan:20,args'
        for name, command in (('processes', ['ps', '-N', '--ppid', '2', '-o',
                                             columns]),
                              ('leases', ['rasip', 'leases', '--all']),
                              ('interfaces', ['ip', 'addr'])):
            with open(STAGE / f'{name}.now', 'wb') as output:
                subprocess.run(command, check=False, stdout=output,
                               stderr=output)

    @staticmethod
    def tear_down():
        """Ends every process but process 1 and this one: they are all ours."""
        check('User Mode Linux' in pathlib.Path('/proc/cpuinfo').read_text(),
              'this is not user-mode Linux')
        os.kill(-1, signal.SIGKILL)
        for line in list(Line.connected):
            line.hang_up()
        wait_for('the PPP interfaces to go', lambda: not interfaces())
        for name in ('va', 'vb'):
            subprocess.run(['ip', 'link', 'del', name], check=False,
                           stderr=subprocess.DEVNULL)
        for space in json.loads(output_of('ip', '-json', 'netns') or '[]'):
            output_of('ip', 'netns', 'del', space['name'])
