# SPDX-License-Identifier: Apache-2.0
"""Changes one field of a serialized protobuf message without knowing its schema.

A path is field numbers joined by dots, outermost first ("2.5" is the value of the first key-value of a
RangeResponse). Only the last step is edited; the others must be submessages. edit() returns None when the
message has no such field, so that the caller can wait for one that has.
"""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def write_varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def parse(data):
    """The fields of a message in order, each as [number, wire type, int or bytes]."""
    fields, at = [], 0
    while at < len(data):
        key, at = read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
        elif kind == BYTES:
            length, at = read_varint(data, at)
            value, at = data[at:at + length], at + length
        elif kind in (FIXED64, FIXED32):
            length = 8 if kind == FIXED64 else 4
            value, at = data[at:at + length], at + length
        else:
            raise ValueError(f"wire type {kind}")
        fields.append([number, kind, value])
    return fields


def serialize(fields):
    out = bytearray()
    for number, kind, value in fields:
        out += write_varint(number << 3 | kind)
        if kind == VARINT:
            out += write_varint(value)
        elif kind == BYTES:
            out += write_varint(len(value)) + value
        else:
            out += value
    return bytes(out)


def edit(data, path, action):
    fields = parse(data)
    number, _, rest = path.partition(".")
    places = [i for i, field in enumerate(fields) if field[0] == int(number)]
    if not rest:
        return serialize(fields) if ACTIONS[action](fields, places, int(number)) else None
    for place in places:
        inner = edit(fields[place][2], rest, action)
        if inner is not None:
            fields[place][2] = inner
            return serialize(fields)
    return None


def _increment(fields, places, number):
    if not places or fields[places[0]][1] != VARINT:
        return False
    fields[places[0]][2] = (fields[places[0]][2] + 1) % 2**64
    return True


def _flip(fields, places, number):
    if not places or fields[places[0]][1] != BYTES or not fields[places[0]][2]:
        return False
    value = fields[places[0]][2]
    fields[places[0]][2] = value[:-1] + bytes([value[-1] ^ 1])
    return True


def _drop(fields, places, number):
    if not places:
        return False
    del fields[places[0]]
    return True


def _twice(fields, places, number):
    if not places:
        return False
    fields.insert(places[0], list(fields[places[0]]))
    return True


def _swap(fields, places, number):
    if len(places) < 2 or fields[places[0]] == fields[places[1]]:
        return False
    fields[places[0]], fields[places[1]] = fields[places[1]], fields[places[0]]
    return True


def _swap_unlike(fields, places, number):
    """The first two neighbours that are equal in nothing, so that no order leaves open which of them is first."""
    for left, right in zip(places, places[1:]):
        ours, theirs = ({one[0]: one[2] for one in parse(fields[place][2])} for place in (left, right))
        if set(ours) == set(theirs) and all(ours[field] != theirs[field] for field in ours):
            fields[left], fields[right] = fields[right], fields[left]
            return True
    return False


def _one(fields, places, number):
    if places:
        return False
    fields.append([number, VARINT, 1])
    return True


ACTIONS = {
    "increment": _increment,  # an integer that is there
    "flip": _flip,            # the lowest bit of the last byte of a text
    "drop": _drop,            # the first of that number
    "twice": _twice,          # the first of that number once more
    "swap": _swap,            # the first two of that number
    "swap-unlike": _swap_unlike,  # two neighbours of that number that are equal in nothing
    "one": _one,              # an absent integer or flag becomes 1
}
