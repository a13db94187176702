"""The short forms of the campaigns that end commands and fill disks."""

from __future__ import annotations

from campaigns import full_disk, kill

COMMANDS, MODELS = ("train ngram", "rescore"), ("ngram", "lstm")


def test_a_command_that_was_ended_is_given_again() -> None:
    rows = list(kill.run(1, 20, COMMANDS, MODELS))
    assert [(row["command"], row["signal"]) for row in rows] == [
        (command, how) for command in COMMANDS for how in ("SIGKILL", "SIGINT", "SIGTERM")
    ]
    assert [fault for row in rows for fault in row["faults"]] == []


def test_a_full_disk_gets_nothing_half_written() -> None:
    rows = list(full_disk.run(2, 20, COMMANDS, MODELS))
    assert [fault for row in rows for fault in row["faults"]] == []
    assert sum(row["refused"] for row in rows) > 0
