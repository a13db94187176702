"""One table over all lists that are there: ``python -m data.leaderboard --data DIR --out TABLE.md``.

Every list gives the first pass, the packaged model as it comes, the first pass's own scores re-tuned, each model, all
together, what correctors made of it, what held-out utterances chose of all these, and both oracles; on the texts as
they are and on normalised texts. Weights are tuned on the list's development list. A list that has none is split into
two halves, and each half is rescored with weights that were tuned on the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr_lm.errors import InputError
from asr_lm.evaluation.comparison import SystemResult
from asr_lm.evaluation.formatting import number, p_text, span
from asr_lm.evaluation.roles import title
from asr_lm.files import write_text
from asr_lm.rescoring.scoring.scorer import ScoreCache
from data.leaderboard_lists import BoardList, Published, read_board
from data.leaderboard_measuring import Board, measure
from pipelines.command import OptionalPath, check_outputs, console, parse, run
from pipelines.display import Terminal

DESCRIPTION = """Rescore every list that is there with every model that is there, and write one table.

Lists, models and published figures stand in data/leaderboard.toml, which says how to add a row."""

BOARD = Path(__file__).with_name("leaderboard.toml")
HEAD = (
    "| {name} | WER % | 95 % | p, first pass | normalised WER % | 95 % | hyp/s |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(kw_only=True)
class Options:
    """Options of the leaderboard.

    Attributes:
        data: Folder with the lists; what is not there is looked for beside the board.
        models: Folder with trained models.
        board: TOML file that says which lists, models and published figures there are.
        only: Name of a list; may be given several times. By default all that are there.
        out: Where the table is written, as Markdown; it is printed in any case.
        json: Where all figures are written.
        cache_folder: Where scores are kept for the next time.
    """

    data: Path
    models: Path = Path("runs")
    board: Path = BOARD
    only: tuple[str, ...] = ()
    out: OptionalPath = None
    json: OptionalPath = None
    cache_folder: OptionalPath = None


def main() -> None:
    """Run the command."""
    options, terminal = parse(Options, "leaderboard", DESCRIPTION, package="data"), Terminal()
    check_outputs([options.out, options.json], [options.board])
    cache = ScoreCache(options.cache_folder)
    boards = []
    for listed, folder in _present(options, terminal):
        with terminal.scoring() as progress:
            boards.append(measure(listed, folder, options.models, cache, progress))
        console(stderr=False).print("\n".join(section(boards[-1])), markup=False, soft_wrap=True)
    if options.out:
        write_text(options.out, "\n".join(line for board in boards for line in section(board)))
    if options.json:
        write_text(options.json, json.dumps([board.to_json() for board in boards], indent=2) + "\n")


def _present(options: Options, terminal: Terminal) -> list[tuple[BoardList, Path]]:
    """The lists that are asked for and there, and the folder of each; those that are not there are named.

    Raises:
        InputError: there is none, or no such list.
    """
    board = {listed.name: listed for listed in read_board(options.board)}
    if strays := [name for name in options.only if name not in board]:
        raise InputError(f"no list is called {strays[0]!r}; there are {', '.join(board)}", parameter="only")
    wanted = [board[name] for name in options.only or board]
    present = []
    for listed in wanted:
        folders = (options.data, options.board.parent)
        if folder := next((each for each in folders if not _missing(listed, each)), None):
            present.append((listed, folder))
        else:
            terminal.warn(f"{listed.name}: no list {_missing(listed, options.data)[0]}; left out")
    if not present:
        raise InputError(f"none of the lists of {options.board} is in {options.data}", parameter="data")
    return present


def _missing(listed: BoardList, folder: Path) -> list[Path]:
    """The list's files that are not in a folder."""
    return [folder / path for path in listed.paths if not (folder / path).exists()]


def section(board: Board) -> Iterator[str]:
    """A list's lines of Markdown."""
    yield f"**{board.listed.name}**: {board.listed.about}; {board.raw.with_reference:,} utterances, {_tuned_on(board)}."
    yield ""
    yield from (line.format(name=board.listed.name) for line in HEAD)
    for result in board.raw.systems:
        yield _row(board, result)
    for published in board.listed.published:
        yield _published_row(board, published)
    yield ""


def _tuned_on(board: Board) -> str:
    return "each half tuned on the other" if board.listed.dev is None else "tuned on its development list"


def _row(board: Board, result: SystemResult) -> str:
    normalized, difference = board.normalized[result.name], result.against_first_pass
    cells = (
        title(result.name),
        number(result.counts.rate),
        span(result.interval),
        p_text(difference.test.p_value) if difference else "",
        number(normalized.counts.rate),
        span(normalized.interval),
        _speed(board, result.name),
    )
    return _line(*cells)


def _speed(board: Board, system: str) -> str:
    return number(board.speeds[system], 0) if system in board.speeds else ""


def _published_row(board: Board, published: Published) -> str:
    """A published figure, under the form of the texts that it was counted on."""
    rate = f"{published.change:+.1f} % of its first pass" if published.wer is None else number(published.wer)
    raw, normalized = ("", rate) if published.normalized else (rate, "")
    return _line(f"{published.name} ({published.source})", raw, "", "", normalized, "", "")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    run(main)
