"""How commands end: the exit codes that scripts can rely on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of a command says."""

    done = 0
    incomplete = 1
    usage = 2
    moved = 3


MEANING = {
    Exit.done: "All was done. Nothing to do counts as done.",
    Exit.incomplete: "Something was refused or failed, or no archive answered; what else was asked for is done.",
    Exit.usage: "Nothing was done: the command makes no sense as typed, or the question was not answered with yes.",
    Exit.moved: "Nothing was done: by now other records fit the filter than in the preview. Look again.",
}


def of(error: Exception) -> Exit:
    """How a command ends that ran into this."""
    from qchive.errors import CountMoved

    return Exit.moved if isinstance(error, CountMoved) else Exit.incomplete
