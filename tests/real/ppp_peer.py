# SPDX-License-Identifier: MIT
"""A PPP peer made by hand: asynchronous HDLC framing, LCP, PAP, IPCP.

It does what a pppd would not: negotiate again while the link is open, insist
on an address, keep silent. RFC 1661 (LCP), 1662 (framing), 1334 (PAP),
1332 (IPCP). It answers nothing by itself but while one of its methods waits.
"""

import ipaddress
import os
import select
import struct
import time

from world import PATIENCE, Failed, check

FLAG, ESCAPE, ESCAPED_BY = 0x7e, 0x7d, 0x20
LCP, PAP, IPCP = 0xc021, 0xc023, 0x8021
KNOWN = {LCP, PAP, IPCP, 0x0021}
CONF_REQ, CONF_ACK, CONF_NAK, CONF_REJ = 1, 2, 3, 4
TERM_REQ, TERM_ACK, PROT_REJ, ECHO_REQ, ECHO_REP = 5, 6, 8, 9, 10
PAP_REQ, PAP_ACK, PAP_NAK = 1, 2, 3
IPCP_ADDRESS = 3
GOOD_FCS = 0xf0b8
RESEND = 3.0


def fcs16(data):
    """The frame check sequence of RFC 1662, C.2, before its complement."""
    fcs = 0xffff
    for byte in data:
        fcs ^= byte
        for _ in range(8):
            fcs = fcs >> 1 ^ (0x8408 if fcs & 1 else 0)
    return fcs


def frame(payload):
    """A payload as it goes over the line, all control characters escaped."""
    data = b'\xff\x03' + payload
    data += struct.pack('<H', fcs16(data) ^ 0xffff)
    line = bytearray([FLAG])
    for byte in data:
        if byte < 0x20 or byte in (FLAG, ESCAPE):
            line += bytes([ESCAPE, byte ^ ESCAPED_BY])
        else:
            line.append(byte)
    return bytes(line) + bytes([FLAG])


def unframe(line):
    """The payload between two flags, or None if it is damaged."""
    data, escaped = bytearray(), 0
    for byte in line:
        if byte == ESCAPE:
            escaped = ESCAPED_BY
        else:
            data.append(byte ^ escaped)
            escaped = 0
    if len(data) < 6 or fcs16(data) != GOOD_FCS:
        return None
    return bytes(data[:-2]).removeprefix(b'\xff\x03')


def address_option(address):
    return bytes([IPCP_ADDRESS, 6]) + ipaddress.ip_address(address).packed


def option_address(options):
    """The address in IPCP options, or None."""
    while len(options) >= 2 and options[1] >= 2:
        if options[0] == IPCP_ADDRESS:
            return str(ipaddress.ip_address(options[2:6]))
        options = options[options[1]:]
    return None


class Peer:
    """One end of a line; `fd` is the pty's master.

    Its results: `address` (what the other side acknowledged for us last),
    `authenticated` (True, False, or None while nothing was said) and
    `terminated` (the other side ended the link).
    """

    def __init__(self, fd):
        self.fd = fd
        self.address = None
        self.authenticated = None
        self.terminated = False
        self.offers = []
        self._buffer = b''
        self._identifier = 0
        self._acked = {}    # protocol -> our request was acknowledged
        self._accepted = {}  # protocol -> we acknowledged theirs
        self._wanted = None
        self._insist = False
        self._ipcp_open = False

    # Conversations: each sends, and answers until it has what it wants.

    def lcp(self):
        """Opens LCP, or negotiates it again."""
        self.authenticated = None
        self._ipcp_open = False
        self._open(LCP)

    def login(self, user, password='secret'):
        """PAP; whether it was accepted."""
        self.authenticated = None
        words = b''.join(bytes([len(word)]) + word
                         for word in (user.encode(), password.encode()))
        self._until('an answer to PAP',
                    lambda: self.authenticated is not None or self.terminated,
                    lambda: self._send(PAP, PAP_REQ, words))
        return self.authenticated

    def ask(self, address='0.0.0.0', insist=False):
        """Opens IPCP, or negotiates it again: the address got, or None.

        `address` None asks for none. One who insists repeats his wish
        whatever is offered, and leaves it out only once it is rejected.
        """
        self._wanted, self._insist = address, insist
        self.address, self.offers = None, []
        self._ipcp_open = True
        self._open(IPCP)
        return None if self.terminated else self.address

    def connect(self, user='alice', address='0.0.0.0'):
        self.lcp()
        check(self.login(user), f'PAP refused {user}')
        return self.ask(address)

    def terminate(self):
        self._until('the Terminate-Ack', lambda: self.terminated,
                    lambda: self._send(LCP, TERM_REQ))

    def answer_until(self, what, condition):
        """Only answers, until a condition or the link's end."""
        self._until(what, lambda: condition() or self.terminated)

    # How it is done.

    def _open(self, protocol):
        self._acked[protocol] = self._accepted[protocol] = False
        self._until(f'protocol {protocol:#x} to open',
                    lambda: self.terminated or (self._acked[protocol]
                                                and self._accepted[protocol]),
                    lambda: self._request(protocol))

    def _request(self, protocol):
        if self._acked[protocol]:
            return
        options = b''
        if protocol == IPCP and self._wanted is not None:
            options = address_option(self._wanted)
        self._send(protocol, CONF_REQ, options)

    def _send(self, protocol, code, body=b'', identifier=None):
        if identifier is None:
            self._identifier = identifier = (self._identifier + 1) % 256
        packet = struct.pack('>HBBH', protocol, code, identifier,
                             len(body) + 4) + body
        os.write(self.fd, frame(packet))

    def _until(self, what, condition, resend=None):
        deadline = time.monotonic() + PATIENCE
        next_send = 0
        while not condition():
            now = time.monotonic()
            if now > deadline:
                raise Failed(f'peer: waited {PATIENCE} s for {what}')
            if resend and now >= next_send:
                resend()
                next_send = now + RESEND
            self._receive(0.05)

    def _receive(self, patience):
        if not select.select([self.fd], [], [], patience)[0]:
            return
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            self.terminated = True
            return
        *lines, self._buffer = (self._buffer + data).split(bytes([FLAG]))
        for line in lines:
            packet = unframe(line)
            if packet:
                self._dispatch(packet)

    def _dispatch(self, packet):
        protocol = struct.unpack('>H', packet[:2])[0]
        if protocol not in KNOWN:
            self._send(LCP, PROT_REJ, packet)
            return
        if protocol == 0x0021:
            return
        code, identifier, length = struct.unpack('>BBH', packet[2:6])
        body = packet[6:length + 2]
        if protocol == PAP:
            self.authenticated = code == PAP_ACK
        elif protocol == LCP or self._ipcp_open:
            self._control(protocol, code, identifier, body)

    def _control(self, protocol, code, identifier, body):
        """LCP and IPCP have most in common."""
        if code == CONF_REQ:
            self._send(protocol, CONF_ACK, body, identifier)
            self._accepted[protocol] = True
        elif code in (CONF_ACK, CONF_NAK, CONF_REJ):
            if identifier == self._identifier:
                self._answered(protocol, code, body)
        elif code in (TERM_REQ, TERM_ACK):
            self.terminated = True
            if code == TERM_REQ:
                self._send(protocol, TERM_ACK, b'', identifier)
        elif code == ECHO_REQ:
            self._send(protocol, ECHO_REP, bytes(4), identifier)

    def _answered(self, protocol, code, body):
        """The other side's opinion of our request."""
        if code == CONF_ACK:
            self._acked[protocol] = True
            if protocol == IPCP:
                self.address = option_address(body)
            return
        if protocol == IPCP and code == CONF_NAK:
            self.offers.append(option_address(body))
            if not self._insist:
                self._wanted = self.offers[-1]
        elif protocol == IPCP:
            self._wanted = None
        self._request(protocol)
