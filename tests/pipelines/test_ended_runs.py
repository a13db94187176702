"""The short forms of the campaigns that end commands and fill disks."""

from __future__ import annotations

from campaigns import full_disk, kill

COMMANDS = ("train ngram", "rescore")


def test_a_command_that_was_ended_is_given_again() -> None:
    rows = list(kill.run(1, 20, COMMANDS))
    assert [(row["command"], row["signal"]) for row in rows] == [
        (command, how) for command in COMMANDS for how in ("SIGKILL", "SIGINT", "SIGTERM")
    ]
    assert [fault for row in rows for fault in row["faults"]] == []


def test_a_full_disk_gets_nothing_half_written() -> None:
    rows = list(full_disk.run(3, 20, COMMANDS))
    assert [fault for row in rows for fault in row["faults"]] == []
    assert sum(row["refused"] for row in rows) > 0
