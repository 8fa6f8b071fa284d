"""The rig's own tests: what needs no namespace. `python3 -m unittest tests/leak/test_rig.py`"""

import base64
import gzip
import json
import random
import struct
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bounds
import canaries
import client
import encoders
import gateway
import places
import recognised
import renamed
import scan
import tiers
import unreadable
import useful
import wire
from blake3 import blake3
from stage import strings_of


def needles(text, opaque=False):
    found = scan.Needles()
    found.add("it", text, opaque)
    return found


class Scanner(unittest.TestCase):
    def test_an_opaque_canary_is_found_in_each_encoding_and_in_nearly_each_of_each(self):
        missed, tried = [], 0
        for outer in encoders.CLAIMED:
            for inner in encoders.CLAIMED:
                canary = canaries.opaque(random.Random(f"{outer} {inner}"))
                once = encoders.encode([inner], canary.text)
                if not encoders.applies(inner, canary.text) or not encoders.applies(outer, once):
                    continue
                tried += 1
                body = json.dumps({"content": f"It is {encoders.encode([outer], once)} indeed."}).encode()
                if not needles(canary.needle, True).in_bytes(body):
                    missed.append((outer, inner))
        self.assertGreater(tried, 1500)
        self.assertLess(len(missed), tried * 0.02, missed)
        self.assertFalse([pair for pair in missed if "plain" in pair])

    def test_ten_characters_of_an_opaque_canary_are_enough_and_nine_are_not(self):
        canary = canaries.opaque(random.Random(1))
        for start in range(7):
            self.assertTrue(needles(canary.needle, True).in_bytes(canary.needle[start:start + 10].encode()))
        self.assertFalse(needles(canary.needle, True).in_bytes(f"{canary.needle[:9]} or {canary.needle[-5:]}".encode()))

    def test_compressed_and_wide_text_is_read(self):
        text = b"the card 4111 1111 1111 1111 is mine"
        for data in (gzip.compress(text), b"head" + gzip.compress(text) + b"tail", text.decode().encode("utf-16-le"),
                     base64.b64encode(gzip.compress(text))):
            self.assertTrue(needles("4111 1111 1111 1111").in_bytes(data), data)

    def test_every_alignment_of_base64_is_read(self):
        for before in ("", "a", "ab", "abc"):
            self.assertTrue(needles("4111111111111111").in_bytes(base64.b64encode(f"{before} 4111111111111111".encode())))

    def test_few_figures_count_only_where_they_stand_alone(self):
        self.assertTrue(needles("536-22-8145").in_bytes(b"SSN 536-22-8145."))
        self.assertTrue(needles("536-22-8145").in_bytes(b"536 22 8145"))
        self.assertFalse(needles("536-22-8145").in_bytes(b"at 1536228145 ms"))

    def test_nothing_is_found_in_what_is_something_else(self):
        body = json.dumps(places.said({"role": "user", "content": "The committee met on Tuesday."})).encode() * 20
        self.assertEqual(needles("CNRY-ABCDEFGH23456723", True).in_bytes(body), set())


class Canaries(unittest.TestCase):
    def test_known_numbers_have_their_known_check_digits(self):
        self.assertEqual(canaries.luhn("411111111111111"), "1")
        self.assertEqual(canaries.luhn("811218987"), "6")
        # The account number of the standard's own example.
        self.assertEqual(98 - int("".join(str(int(c, 36)) for c in "WEST12345698765432GB00")) % 97, 82)

    def test_each_kind_makes_another_one_each_time(self):
        for kind in canaries.IDENTIFIERS:
            made = {canaries.identifier(random.Random(n), kind).text for n in range(20)}
            self.assertGreater(len(made), 15, kind)

    def test_no_name_is_a_word_of_the_benign_prompts(self):
        words = {word.lower() for n in range(500) for word in useful.case(random.Random(n), n).messages[0].body.decode().split()}
        self.assertFalse([name for name in recognised.NAMES if name.lower() in words])


class Cases(unittest.TestCase):
    def test_a_case_is_the_same_each_time_and_its_needle_is_not_in_what_should_not_hold_it(self):
        for make in (recognised.case, recognised.by_form, unreadable.opaque, unreadable.disguised, renamed.case, useful.case):
            for index in range(60):
                one, same = (make(random.Random(f"x{index}"), index) for _ in range(2))
                self.assertEqual([message.body for message in one.messages], [message.body for message in same.messages])

    def test_the_text_stands_where_the_place_says(self):
        translated = {name: make for name, (_, make) in places.TRANSLATED.items()}
        for name, place in {**places.BODY, **translated}.items():
            self.assertTrue(any("a-text-to-find" in text for text in strings_of(json.dumps(place("a-text-to-find")))), name)

    def test_a_case_is_found_by_its_name_whatever_is_printed_around_it(self):
        for printed in ("B/strict/1/17", "- B/strict/1/17: answered outside", "[B/strict/1/17 answered", "`B/strict/1/17`"):
            stage, index, seed = tiers.find(None, "short", printed)
            self.assertEqual((stage.tier, stage.name, index, seed), ("B", "strict", 17, "1"))
        with self.assertRaises(SystemExit):
            tiers.find(None, "short", "no such case")

    def test_a_permissive_policy_has_no_guard_and_accepts_all(self):
        policy = gateway.permissive(gateway.shipped("strict"))
        self.assertNotIn("guards:", policy)
        self.assertNotIn("invariants:", policy)
        self.assertNotIn("accepts: internal", policy)
        self.assertIn("detectors:", policy)


class Wire(unittest.TestCase):
    @staticmethod
    def frame(number, payload, flags=16):
        tcp = struct.pack(">HHIIBBHHH", 40000, 80, number, 0, 5 << 4, flags, 0, 0, 0) + payload
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0, b"\1\2\3\4", b"\5\6\7\x08")
        return b"\0" * 12 + b"\x08\x00" + ip + tcp

    def test_requests_are_put_together_from_segments_in_any_order(self):
        data = b"POST /a HTTP/1.1\r\ncontent-length: 5\r\n\r\nhelloPOST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        frames = [self.frame(99, b"", 2)] + [self.frame(100 + at, data[at:at + 20]) for at in range(0, len(data), 20)]
        crossing = wire.crossing([frames[0], *frames[:0:-1], frames[3]])
        self.assertEqual([(request.path, request.body) for request in crossing.requests], [("/a", b"hello"), ("/b", b"abc")])
        self.assertEqual((crossing.rest, crossing.connections), ([], {("5.6.7.8", 80)}))

    def test_what_is_no_request_is_kept(self):
        crossing = wire.crossing([self.frame(99, b"", 2), self.frame(100, b"not HTTP at all")])
        self.assertEqual((crossing.requests, crossing.rest), ([], [b"not HTTP at all"]))

    def test_a_streamed_answer_is_read(self):
        data = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\ndata: [DONE]\n\n'
        reply = client.Reply(200, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n", data.encode())
        self.assertEqual(reply.content(), "ab")


class Numbers(unittest.TestCase):
    def test_no_hit_in_n_bounds_the_rate_by_about_three_in_n(self):
        self.assertAlmostEqual(bounds.upper(0, 30_000), 3 / 30_000, delta=1e-6)

    def test_known_bounds(self):
        # One-sided 95 % of Clopper and Pearson: 5 of 100 and 10 of 10.
        self.assertAlmostEqual(bounds.upper(5, 100), 0.1023, delta=1e-4)
        self.assertEqual(bounds.upper(10, 10), 1.0)

    def test_the_published_vectors_of_blake3(self):
        for length, expected in ((0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
                                 (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
                                 (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444")):
            self.assertEqual(blake3(bytes(i % 251 for i in range(length))), expected)


if __name__ == "__main__":
    unittest.main()
