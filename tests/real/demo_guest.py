# SPDX-License-Identifier: MIT
"""The demonstration's part inside user-mode Linux: two users dial in."""

import pathlib
import shutil
import subprocess
import traceback

from guest import OUTPUT
from world import SERVER_OPTIONS, STAGE, Line, World, check, equal, interfaces

USERS = ('alice', 'bob')
CONFIGURATION = '''\
pools = (
  { name   = "residential";
    ranges = ( "10.64.0.0/16" );
    local  = "10.64.0.1";          # our end of every link
    dns    = ( "192.0.2.53" );     # told to the peer
    exclude = ( "10.64.0.0", "10.64.255.255" );
  }
);
'''


class Story:
    """What the demonstration shows."""

    def __init__(self, path):
        self._file = open(path, 'w', encoding='utf-8', buffering=1)

    def say(self, text=''):
        self._file.write(text + '\n')

    def head(self, text):
        self.say(f'\n== {text}')

    def run(self, *command):
        """Shows a command and what it says; returns that."""
        done = subprocess.run(command, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.say(f'$ {" ".join(command)}')
        for line in done.stdout.splitlines():
            self.say(f'  {line}'.rstrip())
        return done.stdout


def introduce(story):
    kernel = pathlib.Path('/proc/sys/kernel/osrelease').read_text().strip()
    pppd = subprocess.run(['pppd', '--version'], check=False, text=True,
                          stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
    story.say(f'({pppd.stdout.strip()}, in user-mode Linux {kernel})')
    story.head('The pool, and two users in three words each')
    story.run('cat', '/etc/rasip/rasip.conf')
    story.run('cat', '/etc/ppp/chap-secrets')


def dial_in(story, user):
    """The two pppds of a user's session."""
    line = Line(f'-{user}')
    server = line.serve('require-chap')
    story.say(f'$ pppd {line.device} {" ".join(SERVER_OPTIONS[1:])} '
              'require-chap')
    client = line.dial(user=user)
    story.say(f'$ pppd notty user {user} noipdefault usepeerdns   '
              f'# {user}, at the other end of the line')
    return server, client


def show_address(story, client):
    """A client's address, as it stands on the interface."""
    address = client.wait_up()[0]
    shown = story.run('ip', '-brief', 'address', 'show', 'dev',
                      client.interface())
    check(address in shown, f'{address} is not shown')
    return address


def show_leases(story, world, addresses):
    shown = story.run('rasip', 'leases')
    for user, address in addresses.items():
        check(user in shown and address in shown, f'no lease for {user}')
    equal({lease['user']: lease['address'] for lease in world.leases()},
          addresses, 'leases')


def hang_up(story, user, server, client):
    story.say(f'$ kill {client.pid}   # {user}')
    client.stop()
    server.wait_exit()


def show_release(story, world, addresses):
    equal(interfaces(), {}, 'interfaces left')
    equal(world.leases(), [], 'leases left')
    story.run('rasip', 'leases')
    story.say('What is remembered, so that they get the same again:')
    story.run('rasip', 'leases', '--all')
    equal({lease['user']: lease['address']
           for lease in world.leases('--all')}, addresses, 'remembered')


def tell(story):
    world = World()
    world.configure(CONFIGURATION)
    introduce(story)
    story.head('They dial in')
    ends = {user: dial_in(story, user) for user in USERS}
    story.say('And this is what they got:')
    addresses = {user: show_address(story, ends[user][1]) for user in USERS}
    equal(len(set(addresses.values())), len(USERS), 'distinct addresses')
    story.head('The leases while they live')
    show_leases(story, world, addresses)
    story.head('They hang up')
    for user in USERS:
        hang_up(story, user, *ends[user])
    show_release(story, world, addresses)
    world.never_seen(r'\b10\.64\.64\.')


def main(_):
    story = Story(OUTPUT / 'story')
    try:
        tell(story)
    except Exception:
        (OUTPUT / 'problem').write_text(traceback.format_exc())
        logs = OUTPUT / 'logs'
        logs.mkdir()
        for path in STAGE.glob('*.*'):
            shutil.copyfile(path, logs / path.name)
        return 1
    return 0
