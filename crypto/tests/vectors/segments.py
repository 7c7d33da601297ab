"""Archives that are right, and archives whose segments are wrong."""

import struct

import agefile
from cases import ANNA, BEN, CARL, FILE_KEY, PASSPHRASE, WORK, archive, envelope, flip, made_up, scrypt
from sealed import SEGMENT as S
from sealed import Sealed, mac


def good_ones(vectors):
    for name, size in [
        ("empty", 0),
        ("one_byte", 1),
        ("a_segment_less_one", S - 1),
        ("a_segment", S),
        ("a_segment_and_one", S + 1),
        ("two_segments", 2 * S),
        ("three_segments_and_some", 3 * S + 1_234),
    ]:
        vectors.good(f"good_{name}", archive(name, size), f"{size} bytes of plaintext")
    three = archive("three recipients", 5, ANNA.stanza(FILE_KEY), BEN.stanza(FILE_KEY), CARL.stanza(FILE_KEY))
    for name, person in [("first", ANNA), ("second", BEN), ("third", CARL)]:
        vectors.good(f"good_recipient_{name}", three, "for three recipients", identities=[person])
    for_ben = archive("for ben", 5, BEN.stanza(FILE_KEY))
    vectors.good("good_identity_second", for_ben, "the second of two identities fits", identities=[CARL, BEN])
    both = dict(identities=[ANNA], passphrase=PASSPHRASE)
    vectors.good("good_passphrase_beside", archive("one", 9), "a passphrase that is not asked for does no harm", **both)
    by_passphrase = archive("passphrase", 7, scrypt())
    vectors.good("good_passphrase", by_passphrase, "a passphrase", identities=[], passphrase=PASSPHRASE)
    vectors.good("good_identity_beside", by_passphrase, "an identity that is not asked for does no harm", **both)
    vectors.good(
        "good_work_at_limit",
        by_passphrase,
        "as much work as is allowed",
        identities=[],
        passphrase=PASSPHRASE,
        work=WORK,
    )
    grease = agefile.stanza([b"joint-grease", b"x"], b"any body"), agefile.stanza([b"-grease"], b"")
    greased = archive("grease", 5, grease[0], ANNA.stanza(FILE_KEY), grease[1])
    vectors.good("good_grease", greased, "stanzas that end in -grease are ignored")
    for length, comment in [
        (8_192 - 60, "a header of 8192 bytes"),
        (8_193 - 60, "a header of 8193 bytes"),
        (65_536, "the longest envelope that is allowed"),
    ]:
        plain = archive(f"envelope of {length}", 5)
        body = plain.header(envelope=envelope_of(length, plain.key)) + plain.segments[0]
        vectors.good(f"good_envelope_of_{length}", plain, comment, body)


def envelope_of(length, key):
    """An envelope of so many bytes, filled up with grease: its body nearly, its arguments to the byte."""

    def filled(more):
        grease = agefile.stanza([b"x" * more + b"-grease"], bytes((length - 1_000) * 48 // 65))
        return envelope(grease, ANNA.stanza(FILE_KEY), content=key)

    exact = filled(length - len(filled(0)))
    assert len(exact) == length
    return exact


def cut_ones(vectors):
    short = archive("cut", 100)
    whole, start = short.bytes(), len(short.header())
    for name, end in [
        ("at_nothing", 0),
        ("in_magic", 5),
        ("behind_magic", 8),
        ("in_length", 10),
        ("behind_length", 12),
        ("in_envelope", 100),
        ("before_envelope_end", start - 49),
        ("behind_envelope", start - 48),
        ("in_id", start - 40),
        ("behind_id", start - 32),
        ("in_header_tag", start - 1),
    ]:
        vectors.add(f"cut_{name}", whole[:end], "CutShort", "ends in the header", offset=end)
    for name, more in [("behind_header", 0), ("one_byte_of_segment", 1), ("31_bytes_of_segment", 31)]:
        vectors.add(f"cut_{name}", whole[: start + more], "CutShort", "less than a tag", segment=0, offset=start + more)
    for name, end in [
        ("32_bytes_of_segment", start + 32),
        ("in_segment", start + 70),
        ("between_ciphertext_and_tag", start + 100),
        ("in_tag", len(whole) - 16),
        ("last_byte", len(whole) - 1),
    ]:
        vectors.add(f"cut_{name}", whole[:end], "SegmentTag", "the end of what is there is no tag of it", segment=0)

    empty = archive("empty", 0)
    end = len(empty.bytes()) - 1
    vectors.add("cut_in_tag_of_empty", empty.bytes()[:end], "CutShort", "31 bytes of the tag", segment=0, offset=end)
    long = archive("cut long", 2 * S + 100)
    whole, start = long.bytes(), len(long.header())
    for count in (1, 2):
        end = start + count * (S + 32)
        released = long.plaintext[: (count - 1) * S]
        comment = "a whole segment is the last that is there, and not the final one"
        vectors.add(
            f"cut_behind_segment_{count - 1}", whole[:end], "CutShort", comment, released, segment=count - 1, offset=end
        )
    border = start + 2 * (S + 32)
    released = long.plaintext[: 2 * S]
    for more in (1, 31):
        comment = f"{more} bytes of the final segment"
        vectors.add(
            f"cut_{more}_behind_border",
            whole[: border + more],
            "CutShort",
            comment,
            released,
            segment=2,
            offset=border + more,
        )
    for name, end in [
        ("32_behind_border", border + 32),
        ("33_behind_border", border + 33),
        ("before_final_tag", len(whole) - 32),
        ("last_byte_of_long", len(whole) - 1),
    ]:
        vectors.add(
            f"cut_{name}", whole[:end], "SegmentTag", "the end of what is there is no tag of it", released, segment=2
        )
    for name, end in [
        ("in_full_segment", start + 500),
        ("before_full_tag", start + S),
        ("last_byte_of_full", start + S + 31),
    ]:
        vectors.add(f"cut_{name}", whole[:end], "SegmentTag", "ends in the first of three segments", segment=0)


def added_ones(vectors):
    for name, size in [("empty", 0), ("short", 100)]:
        whole = archive(name, size).bytes()
        for more in (1, 32):
            vectors.add(f"added_{more}_to_{name}", whole + bytes(more), "SegmentTag", "bytes after the end", segment=0)
    full = archive("a_segment", S)
    other = archive("one", 9)
    for name, more in [
        ("1", bytes(1)),
        ("31", bytes(31)),
        ("32", bytes(32)),
        ("33", bytes(33)),
        ("segment", bytes(S + 32)),
        ("archive", other.bytes()),
        ("itself", full.segments[0]),
    ]:
        comment = "bytes after a final segment that is full"
        vectors.add(f"added_{name}_to_full", full.bytes() + more, "TrailingData", comment, segment=0)
    two = archive("two_segments", 2 * S)
    vectors.add(
        "added_1_to_two",
        two.bytes() + b"\0",
        "TrailingData",
        "a byte after the second one",
        two.plaintext[:S],
        segment=1,
    )
    next_one = two.segment(2, True, b"more")
    vectors.add(
        "added_sealed_segment",
        two.bytes() + next_one,
        "TrailingData",
        "whoever has the key added one",
        two.plaintext[:S],
        segment=1,
    )


def misplaced_ones(vectors):
    size = 3 * S + 9
    own, other = archive("own", size), archive("other", size)
    a, b = own.segments, other.segments
    same_key = Sealed(own.key, made_up("another id", 16), own.envelope, size).segments
    same_id = Sealed(other.key, own.id, other.envelope, size).segments
    for name, order, wrong in [
        ("swapped", [a[0], a[2], a[1], a[3]], 1),
        ("swapped_first", [a[1], a[0], a[2], a[3]], 0),
        ("repeated", [a[0], a[0], a[1], a[2], a[3]], 1),
        ("repeated_in_place", [a[0], a[0], a[2], a[3]], 1),
        ("dropped", [a[0], a[2], a[3]], 1),
        ("dropped_first", [a[1], a[2], a[3]], 0),
        ("final_alone", [a[3]], 0),
        ("final_too_early", [a[0], a[3]], 1),
        ("final_repeated", [*a[:3], a[3], a[3]], 3),
        ("reversed", a[2::-1] + [a[3]], 0),
        ("reversed_all", a[::-1], 0),
        ("foreign", [a[0], b[1], a[2], a[3]], 1),
        ("foreign_first", [b[0], *a[1:]], 0),
        ("foreign_final", [*a[:3], b[3]], 3),
        ("foreign_same_key", [a[0], same_key[1], a[2], a[3]], 1),
        ("foreign_same_id", [a[0], same_id[1], a[2], a[3]], 1),
    ]:
        released = own.plaintext[: wrong * S]
        vectors.add(
            f"misplaced_{name}",
            own.header() + b"".join(order),
            "SegmentTag",
            "a segment out of its place",
            released,
            segment=wrong,
        )
    vectors.add("misplaced_all", own.header() + b"".join(b), "SegmentTag", "the header of another archive", segment=0)


def tag_ones(vectors):
    sealed = archive("tags", S + 50)
    header, (first, last), pieces = sealed.header(), sealed.segments, sealed.pieces
    auth, cipher = sealed.keys[b"authenticate"], pieces[1]

    inner_final, last_inner = sealed.segment(0, True, pieces[0]), sealed.segment(1, False, cipher)
    vectors.add(
        "final_inside",
        header + inner_final + last,
        "TrailingData",
        "the final flag on a segment that others follow",
        segment=0,
    )
    comment, released = "the last segment is not the final one", sealed.plaintext[:S]
    vectors.add(
        "final_missing",
        header + first + last_inner,
        "CutShort",
        comment,
        released,
        segment=1,
        offset=len(sealed.bytes()),
    )
    one = archive("full and not final", S)
    body = one.header() + one.segment(0, False, one.pieces[0])
    vectors.add("final_missing_full", body, "CutShort", comment, segment=0, offset=len(body))
    none = archive("empty and not final", 0)
    body = none.header() + none.segment(0, False, b"")
    vectors.add("final_missing_empty", body, "CutShort", comment, segment=0, offset=len(body))
    vectors.add(
        "final_of_2",
        header + first + sealed.segment(1, 2, cipher),
        "SegmentTag",
        "final is 0 or 1",
        released,
        segment=1,
    )
    comment = "an empty last segment, and others before it"
    vectors.add(
        "empty_last", header + first + sealed.segment(1, True, b""), "EmptySegment", comment, released, segment=1
    )
    two = archive("two_segments", 2 * S)
    body = (
        two.header()
        + two.segment(0, False, two.pieces[0])
        + two.segment(1, False, two.pieces[1])
        + two.segment(2, True, b"")
    )
    vectors.add("empty_third", body, "EmptySegment", comment, two.plaintext, segment=2)
    long_piece = archive("long", S + 1).ciphertext
    for name, length in [("one_byte", S + 1), ("a_tag", S + 32)]:
        over = archive("over-long", length)
        body = over.header() + over.segment(0, True, over.ciphertext)
        vectors.add(f"length_over_by_{name}", body, "SegmentTag", "a final segment that is too long", segment=0)
    body = header + sealed.segment(0, False, long_piece) + last
    vectors.add("length_inner_over", body, "SegmentTag", "an inner segment that is too long", segment=0)
    for length in (0, 100, S - 1):
        body = header + sealed.segment(0, False, pieces[0][:length]) + last
        vectors.add(f"length_inner_{length}", body, "SegmentTag", "an inner segment that is too short", segment=0)

    for name, segment in [
        ("first_bit_of_ciphertext", flip(last, 0, 0x80)),
        ("last_bit_of_ciphertext", flip(last, 49)),
        ("first_bit_of_tag", flip(last, 50, 0x80)),
        ("last_bit_of_tag", flip(last, 81)),
        ("of_zeros", cipher + bytes(32)),
        ("big_endian", cipher + mac(auth, struct.pack(">QB", 1, 1) + cipher)),
        ("number_of_next", sealed.segment(2, True, cipher)),
        ("number_32_bits", cipher + mac(auth, struct.pack("<IB", 1, 1) + cipher)),
        ("final_first", cipher + mac(auth, struct.pack("<BQ", 1, 1) + cipher)),
        ("without_place", cipher + mac(auth, cipher)),
        ("of_plaintext", cipher + sealed.tag(1, True, sealed.plaintext[S:])),
        ("of_header_key", cipher + mac(sealed.keys[b"header"], struct.pack("<QB", 1, 1) + cipher)),
        ("of_archive_key", cipher + mac(sealed.key, struct.pack("<QB", 1, 1) + cipher)),
        ("half_right", cipher + sealed.tag(1, True, cipher)[:16] + bytes(16)),
    ]:
        vectors.add(
            f"tag_{name}",
            header + first + segment,
            "SegmentTag",
            "a tag that is not the segment's",
            released,
            segment=1,
        )
    first_wrong = flip(first, 1_000)
    vectors.add(
        "tag_of_first", header + first_wrong + last, "SegmentTag", "a flipped bit in the first segment", segment=0
    )


def make(vectors):
    good_ones(vectors)
    cut_ones(vectors)
    added_ones(vectors)
    misplaced_ones(vectors)
    tag_ones(vectors)
