#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Installs the Debian packages in a fresh Debian, has a session there, and removes them.

`make check-deb` builds the packages first. It needs root, debootstrap, user-mode-linux and a
mirror (MIRROR, default: deb.debian.org), and takes two minutes or so. Exit status 0: all well.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get('RASIP_BUILD', 'build')).resolve()
MIRROR = os.environ.get('MIRROR', 'http://deb.debian.org/debian')
# What the packages depend on, so that only what is theirs comes and goes; and kmod, for the session.
BASE = ('ppp,libconfig9,libjansson4,liblmdb0,libpq5,systemd-standalone-sysusers,'
        'systemd-standalone-tmpfiles,kmod,iproute2')
# What changes although nothing of a package is in it.
IGNORED = ('/var/lib/dpkg', '/var/log', '/var/cache', '/var/lib/apt', '/etc/ld.so.cache',
           '/etc/passwd', '/etc/group', '/etc/shadow', '/etc/gshadow', '/etc/passwd-', '/etc/group-',
           '/etc/shadow-', '/etc/gshadow-', '/etc/ppp', '/proc', '/sys', '/dev', '/run', '/tmp', '/root')
GUEST = r'''#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec >/tmp/guest.log 2>&1
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
modprobe ppp_async
[ -c /dev/ppp ] || mknod /dev/ppp c 108 0
ip link set lo up
pppd nodetach local noipv6 debug auth require-chap name ras plugin rasip.so pty \
	'pppd nodetach notty local noipv6 noauth user alice ipcp-accept-local ipcp-accept-remote' &
for i in $(seq 200); do
	rasip leases --json >/tmp/leases.json
	ip -o addr show | grep -q 'peer 10.64.7.7' && grep -q active /tmp/leases.json && break
	sleep 0.1
done
rasip release 10.64.7.7 >/tmp/release.txt
wait
rasip history --json >/tmp/history.json
sync
perl -e 'syscall(169, 0xfee1dead, 672274793, 0x4321fedc, 0)'
'''


class Failed(Exception):
    pass


def say(text):
    print(f'check-deb: {text}', flush=True)


def run(*command, **options):
    done = subprocess.run([os.fspath(word) for word in command], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise Failed(f'{" ".join(map(str, command))}:\n{done.stdout[-4000:]}')
    return done.stdout


def expect(condition, text):
    if not condition:
        raise Failed(text)


class System:
    """A Debian in a directory of its own."""

    def __init__(self, root):
        self.root = root

    def make(self):
        release = pathlib.Path('/etc/os-release').read_text(encoding='utf-8')
        suite = dict(line.split('=', 1) for line in release.splitlines()
                     if '=' in line)['VERSION_CODENAME'].strip('"')
        run('debootstrap', '--variant=minbase', f'--include={BASE}', suite, self.root,
            MIRROR)

    def run(self, *command):
        environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C',
                       'DEBIAN_FRONTEND': 'noninteractive'}
        return run('chroot', self.root, *command, env=environment)

    def files(self):
        found = set()
        for directory, names, files in os.walk(self.root):
            inside = '/' + os.path.relpath(directory, self.root)
            inside = '' if inside == '/.' else inside
            names[:] = [name for name in names if f'{inside}/{name}' not in IGNORED]
            found.update(f'{inside}/{name}' for name in names + files
                         if f'{inside}/{name}' not in IGNORED)
        return found

    def write(self, path, text, mode=0o644):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding='utf-8')
        target.chmod(mode)

    def boot(self):
        """Runs the guest's script as process 1 of a kernel that has PPP."""
        modules = pathlib.Path('/usr/lib/uml/modules')
        for release in modules.iterdir():
            shutil.copytree(release, self.root / 'lib/modules' / release.name, dirs_exist_ok=True)
        self.write('tmp/guest', GUEST, 0o755)
        subprocess.run(['timeout', '--kill-after=5', '120', 'linux.uml', 'mem=256M',
                        'rootfstype=hostfs', 'root=/dev/root', f'rootflags={self.root}', 'rw',
                        'init=/tmp/guest', 'con=null', 'con0=null', 'quiet'],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(self.root / 'lib/modules')


def packages():
    found = sorted(path for path in (BUILD / 'deb').glob('*.deb') if '-dbgsym_' not in path.name)
    expect(found, f'no packages in {BUILD}/deb')
    return found


def check_session(system):
    system.run('cp', '/usr/share/doc/rasip/examples/rasip.conf', '/etc/rasip/rasip.conf')
    system.run('rasip', 'check')
    system.write('etc/ppp/chap-secrets', 'alice * "wonderland"\n', 0o600)
    system.boot()
    log = (system.root / 'tmp/guest.log').read_text(encoding='utf-8', errors='replace')
    try:
        lease, = json.loads((system.root / 'tmp/leases.json').read_text(encoding='utf-8'))
        events = json.loads((system.root / 'tmp/history.json').read_text(encoding='utf-8'))
        released = (system.root / 'tmp/release.txt').read_text(encoding='utf-8')
    except (OSError, ValueError) as problem:
        raise Failed(f'no session: {problem}\n{log}') from problem
    expect((lease['address'], lease['user']) == ('10.64.7.7', 'alice'), f'{lease}\n{log}')
    expect('was hung up and has ended' in released, f'release: {released}\n{log}')
    expect([event['event'] for event in events] == ['grant', 'release'], f'{events}\n{log}')


def check_madcap(system):
    example = '/usr/share/doc/madcapd/examples/madcapd.conf'
    system.run('madcapd', '-c', example, '--check')
    system.run('madcap', 'request', '--local', '--scope', '239.192.0.0')
    system.run('mkdir', '-p', '/var/lib/madcapd')


def check(root):
    system = System(root)
    say('a fresh Debian')
    system.make()
    debs = packages()
    before = system.files()
    for deb in debs:
        shutil.copy(deb, root / 'tmp')
    names = [deb.name.split('_', maxsplit=1)[0] for deb in debs]
    say('installing ' + ' '.join(names))
    system.run('dpkg', '--install', *(f'/tmp/{deb.name}' for deb in debs))
    system.run('rasip', '--version')
    say('a session')
    check_session(system)
    check_madcap(system)
    system.write('etc/rasip/mine.conf', '# an operator wrote this\n')
    system.run('mkdir', '-p', '/var/lib/rasip')
    say('removing')
    system.run('dpkg', '--remove', *names)
    left = system.files() - before
    left = {path for path in left if not path.startswith('/var/lib/systemd/deb-systemd-helper')}
    expect(left == {'/etc/rasip', '/etc/rasip/rasip.conf', '/etc/rasip/mine.conf'},
           f'left behind: {sorted(left)}')
    expect(not (root / 'run/rasip').exists(), '/run/rasip is left behind')
    expect(before <= system.files(), f'gone: {sorted(before - system.files())}')
    system.run('dpkg', '--purge', *names)
    left = system.files() - before
    expect(all(path.startswith('/etc/rasip') or path == '/var/lib/systemd' for path in left),
           f'left behind by purge: {sorted(left)}')


def main():
    if os.geteuid() != 0:
        print('check-deb: needs root, for debootstrap and chroot', file=sys.stderr)
        return 1
    root = pathlib.Path(tempfile.mkdtemp(prefix='rasip-deb-'))
    root.chmod(0o755)
    try:
        check(root)
    except Failed as problem:
        print(f'check-deb: FAILED: {problem}', file=sys.stderr)
        return 1
    finally:
        if 'RASIP_KEEP' in os.environ:
            print('kept:', root, file=sys.stderr)
        else:
            shutil.rmtree(root, ignore_errors=True)
    say('all well')
    return 0


if __name__ == '__main__':
    sys.exit(main())
