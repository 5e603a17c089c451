# SPDX-License-Identifier: MIT
"""RFC 2730 messages in Python, written from the RFC alone: a second opinion on the C code."""

import ipaddress
import os
import random
import select
import socket
import struct
import time

DISCOVER, OFFER, REQUEST, RENEW, ACK, NAK, RELEASE, GETINFO = range(1, 9)
TYPES = {1: 'DISCOVER', 2: 'OFFER', 3: 'REQUEST', 4: 'RENEW', 5: 'ACK', 6: 'NAK', 7: 'RELEASE',
         8: 'GETINFO'}

(END, LEASE_TIME, SERVER_ID, LEASE_ID, SCOPE, OPTION_REQUEST, START_TIME, N_ADDRESSES, LANGUAGE,
 SCOPE_LIST, RANGES, CURRENT_TIME, FEATURES, RETRY_TIME, MIN_LEASE_TIME, MAX_START_TIME, ERROR,
 NESTING) = range(18)

NOT_COMPLETED, INVALID, CLOCK_SKEW, UNKNOWN_LEASE, FEATURE_MISSING = range(5)
MOBILITY, RETRY_AFTER, SHARED_ID = range(3)
NO_OPTION = 0xffff

FAMILY_OF = {4: 1, 6: 2}
LENGTH_OF = {1: 4, 2: 16}
PORT = 2535
PATIENCE_SEC = 120 if os.environ.get('RASIP_UNDER') else 30


class Malformed(Exception):
    """A datagram that is no message."""


def packed(address):
    return ipaddress.ip_address(address).packed


def u16(value):
    return struct.pack('!H', value)


def u32(value):
    return struct.pack('!I', value)


class Message:
    """Options are a list of (code, bytes), so that wrong messages can be made as well."""

    def __init__(self, kind, options=(), xid=None, family=1, version=0):
        self.kind = kind
        self.options = list(options)
        self.xid = random.getrandbits(32) if xid is None else xid
        self.family = family
        self.version = version

    def encode(self, end=True):
        data = struct.pack('!BBHI', self.version, self.kind, self.family, self.xid)
        for code, value in self.options:
            data += struct.pack('!HH', code, len(value)) + value
        return data + (b'\0\0\0\0' if end else b'')

    def get(self, code):
        """An option's octets, or None."""
        found = [value for each, value in self.options if each == code]
        return found[0] if found else None

    def has(self, code):
        return self.get(code) is not None

    # -- what the options mean

    def number(self, code):
        value = self.get(code)
        return None if value is None else int.from_bytes(value, 'big')

    def address(self, code):
        value = self.get(code)
        return None if value is None else str(ipaddress.ip_address(value))

    @property
    def server(self):
        value = self.get(SERVER_ID)
        return None if value is None else str(ipaddress.ip_address(value[2:]))

    @property
    def ranges(self):
        """[(first, count)]"""
        value, found = self.get(RANGES), []
        if value is None:
            return None
        step = LENGTH_OF[self.family] + 2
        if len(value) % step:
            raise Malformed('list of ranges')
        for at in range(0, len(value), step):
            first = ipaddress.ip_address(value[at:at + step - 2])
            found.append((first, int.from_bytes(value[at + step - 2:at + step], 'big')))
        return found

    @property
    def addresses(self):
        return [str(first + i) for first, count in self.ranges for i in range(count)]

    @property
    def error(self):
        """(code, extra octets)"""
        value = self.get(ERROR)
        return None if value is None else (int.from_bytes(value[:2], 'big'), value[2:])

    @property
    def features(self):
        """(supported, requested, required), each a list"""
        value, lists = self.get(FEATURES), []
        if value is None:
            return None
        at = 0
        for _ in range(3):
            count = int.from_bytes(value[at:at + 2], 'big')
            codes = struct.unpack_from(f'!{count}H', value, at + 2)
            lists.append(list(codes))
            at += 2 + 2 * count
        if at != len(value):
            raise Malformed('feature list')
        return tuple(lists)

    @property
    def scopes(self):
        """[{first, last, ttl, names: [(flags, language, name)]}]"""
        value = self.get(SCOPE_LIST)
        if value is None:
            return None
        size, at, found = LENGTH_OF[self.family], 1, []
        for _ in range(value[0]):
            scope = {'first': str(ipaddress.ip_address(value[at:at + size])),
                     'last': str(ipaddress.ip_address(value[at + size:at + 2 * size])),
                     'ttl': value[at + 2 * size], 'names': []}
            count = value[at + 2 * size + 1]
            at += 2 * size + 2
            for _ in range(count):
                flags, length = value[at], value[at + 1]
                language = value[at + 2:at + 2 + length].decode('ascii')
                at += 2 + length
                length = value[at]
                scope['names'].append((flags, language, value[at + 1:at + 1 + length].decode()))
                at += 1 + length
            found.append(scope)
        if at != len(value):
            raise Malformed('scope list')
        return found

    def __repr__(self):
        options = ' '.join(f'{code}={value.hex()}' for code, value in self.options)
        return f'<{TYPES.get(self.kind, self.kind)} xid={self.xid:08x} {options}>'


def decode(data):
    if len(data) < 12:
        raise Malformed('short')
    version, kind, family, xid = struct.unpack_from('!BBHI', data)
    options, at = [], 8
    while True:
        if at + 4 > len(data):
            raise Malformed('no End')
        code, length = struct.unpack_from('!HH', data, at)
        at += 4
        if at + length > len(data):
            raise Malformed(f'option {code} is cut')
        if code == END:
            if length or at != len(data):
                raise Malformed('End is not the end')
            return Message(kind, options, xid, family, version)
        options.append((code, data[at:at + length]))
        at += length


# -- options

def fresh_id():
    return b'\0' + os.urandom(16)


def lease_id(value):
    return LEASE_ID, value


def lease_time(seconds):
    return LEASE_TIME, u32(seconds)


def scope(first):
    return SCOPE, packed(first)


def server_id(address):
    address = ipaddress.ip_address(address)
    return SERVER_ID, u16(FAMILY_OF[address.version]) + address.packed


def n_addresses(minimum, desired):
    return N_ADDRESSES, u16(minimum) + u16(desired)


def start_time(when):
    return START_TIME, u32(int(when))


def current_time(when=None):
    return CURRENT_TIME, u32(int(time.time() if when is None else when))


def ranges(*pairs):
    return RANGES, b''.join(packed(first) + u16(count) for first, count in pairs)


def features(supported=(), requested=(), required=()):
    return FEATURES, b''.join(u16(len(codes)) + b''.join(map(u16, codes))
                              for codes in (supported, requested, required))


def option_request(*codes):
    return OPTION_REQUEST, b''.join(map(u16, codes))


def language(tag):
    return LANGUAGE, tag.encode()


# -- messages

def getinfo(*codes, identifier=None, extra=(), **settings):
    return Message(GETINFO, [lease_id(identifier or fresh_id()),
                             option_request(*(codes or (SCOPE_LIST,))), *extra], **settings)


def with_scope(kind, first, extra, identifier, settings):
    family = FAMILY_OF[ipaddress.ip_address(first).version]
    return Message(kind, [lease_id(identifier or fresh_id()), scope(first), *extra],
                   **{'family': family, **settings})


def request(first, *extra, identifier=None, **settings):
    return with_scope(REQUEST, first, extra, identifier, settings)


def discover(first, *extra, identifier=None, **settings):
    return with_scope(DISCOVER, first, extra, identifier, settings)


def renew(identifier, *extra, **settings):
    return Message(RENEW, [lease_id(identifier), *extra], **settings)


def release(identifier, **settings):
    return Message(RELEASE, [lease_id(identifier)], **settings)


# -- talking

class Client:
    """A socket that talks to one server; answers are matched as the RFC says."""

    def __init__(self, server, port=PORT, source=None):
        self.server = server
        self.port = port
        family = socket.AF_INET6 if ':' in server else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        if source:
            self.socket.bind((source, 0))
        self.source = None  # of the last answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, message, to=None):
        data = message if isinstance(message, bytes) else message.encode()
        self.socket.sendto(data, (to or self.server, self.port))

    def receive(self, timeout=PATIENCE_SEC):
        """The next message, or None."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return None
        data, self.source = self.socket.recvfrom(65536)
        return decode(data)

    def answer_to(self, message, timeout=PATIENCE_SEC):
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            found = self.receive(left)
            if found is None:
                return None
            if found.xid == message.xid and found.get(LEASE_ID) == message.get(LEASE_ID):
                return found
        return None

    def ask(self, message, timeout=PATIENCE_SEC, to=None, again=1.0):
        """Sends it, again after each `again` seconds, and gives the answer or None."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            self.send(message, to)
            found = self.answer_to(message, min(left, again))
            if found is not None:
                return found
        return None

    def ask_once(self, message, timeout=0.5, to=None):
        """Sends it once. A short timeout is for answers that are not to come: one that is only late
        looks the same."""
        self.send(message, to)
        return self.answer_to(message, timeout)
