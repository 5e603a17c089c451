# SPDX-License-Identifier: MIT
"""What only a peer made by hand does: negotiate again, insist, keep silent."""

from ppp_peer import Peer
from scenario import scenario
from world import Line, check, equal, interfaces, wait_for

OURS = '10.64.0.2'
GRANT = 'rasip: grant'
RELEASE = 'rasip: release'


def serve(*options):
    """A server, and the peer at the other end of its line."""
    line = Line()
    server = line.serve('require-pap', *options)
    return server, Peer(line.master)


def end(world, server, peer):
    peer.terminate()
    server.wait_exit()
    equal(world.leases(), [], 'leases after the end')
    equal(server.log.count(RELEASE), server.log.count(GRANT),
          'as many releases as grants')


@scenario
def ipcp_again_keeps_the_address(world):
    """A Configure-Request while IPCP is open: same address, one grant."""
    server, peer = serve()
    equal(peer.connect(), OURS, 'address')
    first = world.lease_of('alice')
    equal(peer.ask(), OURS, 'address the second time')
    equal(peer.ask('10.99.0.5'), OURS, 'address the third time')
    equal(world.lease_of('alice'), first, 'lease')
    server.wait_up()
    equal(server.log.count(GRANT), 1, 'grants')
    equal(server.log.count(RELEASE), 0, 'releases while it lives')
    end(world, server, peer)


@scenario
def lcp_again_keeps_the_address(world):
    """LCP negotiated again by the same user: same address, one grant."""
    server, peer = serve()
    equal(peer.connect(), OURS, 'address')
    equal(peer.connect(), OURS, 'address the second time')
    equal(server.log.count(GRANT), 1, 'grants')
    end(world, server, peer)


@scenario
def lcp_again_as_somebody_else(world):
    """LCP negotiated again by another user: a new lease, the old released."""
    server, peer = serve()
    equal(peer.connect('alice'), OURS, "alice's address")
    given = peer.connect('bob')
    check(given, 'bob got nothing')
    equal(world.lease_of('bob')['address'], given, "bob's lease")
    equal(world.leases('--user', 'alice'), [], "alice's leases")
    server.log.wait(RELEASE + r' .*user="alice"')
    server.log.wait(GRANT + r' .*user="bob"')
    server.wait_up()
    equal(list(interfaces().values()), [('10.64.0.1', given)], 'interfaces')
    end(world, server, peer)


def came_up(server):
    """Or not: pppd 2.5 ends the link of a peer that does not take the address for his."""
    wait_for('the link or its end',
             lambda: server.log.has('remote IP address|Connection terminated'))
    return server.log.has('remote IP address')


@scenario
def insisting_on_another_address(world):
    """A peer that asks for his own address to the end: ours, or no link."""
    server, peer = serve('ipcp-max-failure', '3')
    peer.lcp()
    check(peer.login('alice'), 'PAP')
    peer.ask('10.99.0.5', insist=True)
    equal(set(peer.offers), {OURS}, 'offers')
    equal(peer.address, None, 'address acknowledged')
    if came_up(server):
        equal(server.wait_up(), ('10.64.0.1', OURS), "the server's end")
        equal(world.lease_of('alice')['address'], OURS, 'lease')
        end(world, server, peer)
    server.wait_exit()
    world.wait_released()
    world.never_seen(r'10\.99\.')


@scenario
def asking_for_no_address(world):
    """A peer without the address option: ours, or no link."""
    server, peer = serve()
    peer.lcp()
    check(peer.login('alice'), 'PAP')
    peer.ask(None, insist=True)
    if came_up(server):
        equal(server.wait_up(), ('10.64.0.1', OURS), "the server's end")
        end(world, server, peer)
    server.wait_exit()
    world.wait_released()


@scenario
def ipcp_silence_until_the_timeout(world):
    """IPCP never opens, pppd gives up by itself: the lease is released."""
    server, peer = serve('ipcp-restart', '1', 'ipcp-max-configure', '10')
    peer.lcp()
    check(peer.login('alice'), 'PAP')
    server.log.wait(GRANT)
    equal(world.lease_of('alice')['address'], OURS, 'lease meanwhile')
    peer.answer_until("the server's end", lambda: False)
    server.log.wait('IPCP: timeout sending Config-Requests')
    server.wait_exit()
    equal(world.leases(), [], 'leases after the end')
    equal(interfaces(), {}, 'interfaces')


@scenario
def ipcp_silence_until_the_peer_leaves(world):
    """IPCP never opens and the peer ends the link: the lease is released."""
    server, peer = serve()
    peer.lcp()
    check(peer.login('alice'), 'PAP')
    server.log.wait(GRANT)
    wait_for('the lease', lambda: world.leases())
    end(world, server, peer)


@scenario
def wrong_password(world):
    """Authentication fails: nothing is granted."""
    server, peer = serve()
    peer.lcp()
    check(not peer.login('alice', 'wrong'), 'PAP accepted a wrong password')
    peer.answer_until("the server's end", lambda: False)
    equal(server.wait_exit(), 11, "the server's exit status")
    equal(server.log.count(GRANT), 0, 'grants')
    equal(world.leases('--all'), [], 'leases, remembered ones included')
