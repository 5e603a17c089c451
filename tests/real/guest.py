#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Process 1 inside user-mode Linux.

The root file system is the machine's own, read-only. An overlay makes a
private, writable copy of it, in which the build is installed; then a child
runs the job, and the machine is turned off.
"""

import importlib
import json
import os
import pathlib
import subprocess
import sys
import time
import traceback

PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
OUTPUT = pathlib.Path('/run/output')
TOP = pathlib.Path('/run/top')
BUILD = pathlib.Path('/run/build')
# Others than root and group dip may read these, but not run them. Whoever has
# started this kernel is no other in here, but is for the files outside.
RESTRICTED = ('/usr/sbin/pppd', '/usr/sbin/pppoe')


def run(*command):
    subprocess.run(command, check=True)


def private_root():
    """Goes to a root directory where all may be written, and stays there."""
    modules = f'/usr/lib/uml/modules/{os.uname().release}'
    run('mount', '-t', 'proc', 'proc', '/proc')
    run('insmod', f'{modules}/kernel/fs/overlayfs/overlay.ko')
    run('mount', '-t', 'tmpfs', 'tmpfs', '/run')
    for name in ('upper', 'work', 'root'):
        os.mkdir(f'/run/{name}')
    run('mount', '-t', 'overlay', 'overlay', '/run/root', '-o',
        'lowerdir=/,upperdir=/run/upper,workdir=/run/work')
    run('mount', '--move', '/dev', '/run/root/dev')
    run('mount', '--move', '/proc', '/run/root/proc')
    os.chroot('/run/root')
    os.chdir('/')
    os.makedirs('/dev/pts', exist_ok=True)
    run('mount', '-t', 'devpts', 'devpts', '/dev/pts')
    run('mount', '-t', 'sysfs', 'sysfs', '/sys')
    for directory in ('/run', '/root'):
        run('mount', '-t', 'tmpfs', 'tmpfs', directory)
    os.makedirs('/run/lock')
    os.makedirs('/lib/modules', exist_ok=True)
    if not os.path.exists(f'/lib/modules/{os.uname().release}'):
        os.symlink(modules, f'/lib/modules/{os.uname().release}')
    run('modprobe', '-a', 'ppp_async', 'pppoe', 'l2tp_ppp', 'veth', 'bridge',
        'sch_netem')
    run('ip', 'link', 'set', 'lo', 'up')


def window(inside, outside):
    """Shows a directory of the machine, wherever it is."""
    os.makedirs(inside, exist_ok=True)
    # Kernels since 6.11 know the path by a name, unless it comes by the older system call.
    run('env', 'LIBMOUNT_FORCE_MOUNT2=always', 'mount', '-t', 'hostfs', 'none', str(inside), '-o',
        outside)


def replace(path, source):
    """Puts a copy of source there that everybody may run."""
    path = pathlib.Path(path)
    content = pathlib.Path(source).read_bytes()
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)


def install():
    """What `make install` would do."""
    for program in RESTRICTED:
        replace(program, program)
    plugins = sorted(pathlib.Path('/usr/lib/pppd').glob('[0-9]*'))[-1]
    for plugin in [BUILD / 'rasip.so', *(BUILD / 'real').glob('*.so')]:
        replace(plugins / plugin.name, plugin)
    for program in ('sbin/rasip', 'sbin/madcapd', 'bin/madcap'):
        replace(f'/usr/{program}', BUILD / program.rpartition('/')[2])
    os.makedirs('/usr/lib/rasip', exist_ok=True)
    for module in (BUILD / 'modules').glob('*.so'):
        replace(f'/usr/lib/rasip/{module.name}', module)


def work():
    """The job's child: its exit status is the boot's result."""
    job = json.loads((OUTPUT / 'job.json').read_text())
    window(TOP, job['top'])
    window(BUILD, job['build'])
    install()
    sys.path[:0] = [str(TOP / 'tests/real'), str(TOP / 'tests/lib')]
    module = importlib.import_module(job['module'])
    return module.main(job['arguments'])


def reap_until(child):
    """Waits for everything that ends, as process 1 must."""
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status)


def main():
    os.environ['PATH'] = PATH
    sys.dont_write_bytecode = True
    private_root()
    window(OUTPUT, os.environ['RASIP_OUTPUT'])
    child = os.fork()
    if not child:
        status = 1
        try:
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    status = reap_until(child)
    (OUTPUT / 'status').write_text(f'{status}\n')


if __name__ == '__main__':
    try:
        main()
    except BaseException:
        traceback.print_exc()
    pathlib.Path('/proc/sysrq-trigger').write_text('o')
    time.sleep(10)
