"""BLAKE3, unkeyed, 32 bytes: what the egress ledger keeps of a body. Slow, and of no other use than to check ajar's."""

import struct

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_MIXED = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
          (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8
_M = 0xFFFFFFFF


def blake3(data):
    """The hash, in hexadecimal."""
    chunks = [data[at:at + 1024] for at in range(0, len(data), 1024)] or [b""]
    return struct.pack("<8I", *_tree(chunks, 0, _ROOT)).hex()


def _tree(chunks, first, root):
    if len(chunks) == 1:
        return _chunk(chunks[0], first, root)
    # As many chunks to the left as the largest power of two that leaves something to the right.
    left = 1 << (len(chunks) - 1).bit_length() - 1
    words = _tree(chunks[:left], first, 0) + _tree(chunks[left:], first + left, 0)
    return _compress(_IV, words, 0, 64, _PARENT | root)


def _chunk(chunk, number, root):
    value, blocks = _IV, [chunk[at:at + 64] for at in range(0, len(chunk), 64)] or [b""]
    for i, block in enumerate(blocks):
        last = i == len(blocks) - 1
        flags = (_CHUNK_START if i == 0 else 0) | (_CHUNK_END | root if last else 0)
        value = _compress(value, struct.unpack("<16I", block.ljust(64, b"\0")), number, len(block), flags)
    return value


def _compress(value, words, counter, length, flags):
    v = [*value, *_IV[:4], counter & _M, counter >> 32, length, flags]
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(_MIXED):
            for word, turn, other in ((words[2 * i], 16, 12), (words[2 * i + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & _M
                x = v[d] ^ v[a]
                v[d] = (x >> turn | x << 32 - turn) & _M
                v[c] = (v[c] + v[d]) & _M
                x = v[b] ^ v[c]
                v[b] = (x >> other | x << 32 - other) & _M
        words = tuple(words[i] for i in _ORDER)
    return tuple(v[i] ^ v[i + 8] for i in range(8))
