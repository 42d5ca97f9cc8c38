# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.vtops.vitess.tests.witness.topology import (
    LOCK_KEY,
    SHARD_KEY,
    TABLET_KEY,
    ShardRecord,
    TabletRecord,
    fields,
    lock_action,
    shard_record,
    tablet_record,
)


def text(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2, len(value)]) + value


def varint(number: int, value: int) -> bytes:
    out = bytes([number << 3])
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


ALIAS = text(1, b"zone1") + varint(2, 101)


def test_reads_a_tablet_and_passes_over_what_it_does_not_know():
    ports = text(4, text(1, b"vt") + varint(2, 15000))
    message = text(1, ALIAS) + text(2, b"host-0") + ports + text(5, b"commerce") + text(6, b"-80") + varint(8, 8)
    assert tablet_record(message) == TabletRecord("zone1-0000000101", "host-0", "commerce", "-80", "DRAINED")


def test_reads_a_tablet_that_was_shut_down_cleanly_with_a_blank_host():
    assert tablet_record(text(1, ALIAS) + varint(8, 2)).hostname == ""


def test_reads_a_shard_with_its_primary_and_the_start_of_its_term():
    message = text(1, ALIAS) + text(8, varint(1, 1_800_000_000) + varint(2, 500_000_000))
    assert shard_record(message) == ShardRecord("zone1-0000000101", 1_800_000_000.5)


def test_reads_a_shard_without_a_primary():
    assert shard_record(b"") == ShardRecord(None, None)


@pytest.mark.parametrize("message", [b"\x0a", b"\x0a\x05ab", b"\x80", b"\x0b"])
def test_refuses_bytes_that_are_no_message(message: bytes):
    with pytest.raises(ValueError, match=r"cut off|wire"):
        list(fields(message))


def test_refuses_a_tablet_type_that_does_not_exist():
    with pytest.raises(ValueError, match="tablet type"):
        tablet_record(text(1, ALIAS) + varint(8, 99))


def test_knows_the_keys():
    assert TABLET_KEY.search("/vitess/zone1/tablets/zone1-0000000101/Tablet")
    shard = SHARD_KEY.search("/vitess/global/keyspaces/commerce/shards/-80/Shard")
    assert shard
    assert (shard["keyspace"], shard["shard"]) == ("commerce", "-80")
    assert LOCK_KEY.search("/vitess/global/keyspaces/commerce/shards/-80/locks/7587")
    assert not SHARD_KEY.search("/vitess/global/keyspaces/commerce/shards/-80/locks/7587")


def test_a_lock_says_what_it_was_taken_for():
    assert lock_action(b'{"Action":"PlannedReparentShard(zone1-0000000101)","Time":"x"}').startswith(
        "PlannedReparentShard"
    )
    assert lock_action(b"no json") == "unknown"
    assert lock_action(b"[]") == "unknown"
