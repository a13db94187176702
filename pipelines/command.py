"""What all commands share: errors become one message and an exit code, and a terminal to write to."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union

import tyro

from asr_lm.errors import InputError
from asr_lm.lm.training.distributed import ProcessLost, is_first_to_speak, is_shared_run
from asr_lm.partial_files import remove_unfinished
from pipelines.repeated_options import in_one_form

if TYPE_CHECKING:
    from rich.console import Console

Arguments = TypeVar("Arguments")

BAD_INPUT = 2
INTERRUPTED = 130
TERMINATED = 128 + signal.SIGTERM

_AGAIN = 0.05
"""Seconds after which an interrupt that was ignored comes again."""


def unless_given(metavar: str) -> Any:
    """How the help shows an option that has no default."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="(optional)")


OptionalPath = Annotated[Path | None, unless_given("PATH")]
OptionalText = Annotated[str | None, unless_given("STR")]
OptionalInt = Annotated[int | None, unless_given("INT")]
OptionalFloat = Annotated[float | None, unless_given("FLOAT")]

_TORCH_ADVICE = (
    "torch and torchaudio must go together, both built for CUDA or both for the CPU: torchaudio 2.11.0 goes with "
    "torch 2.11, torchaudio 2.11.1 with torch 2.14.1 (`pip install torch==2.11.0 torchaudio==2.11.0`, or "
    "`pip install torch==2.14.1 torchaudio==2.11.1`, or run `make install`)"
)
_FRAME = "╭╮╰╯│┃|─━ "
_RULE = re.compile(r"[─━-]{3,}")
_HELP = re.compile(r"(python -m [\w.]+|asr-lm)( [\w-]+){0,2} --help")
_PARAMETER = re.compile(r"`([a-z_]+)=(?:True|([^`]*))`")
_SUGGESTED = re.compile(r"Perhaps you meant:\s*(--[\w-]+)")


_OPTIONS = {
    "carry_state": "--context",
    "combinations": "--combine",
    "development": "--dev",
    "engine": "--search",
    "mapping": "--map",
    "models": "--lm",
}
"""Options that are not called like the parameter of the library that they set."""


def option_name(name: str) -> str:
    """The option of the command line that sets a parameter: ``--batch-tokens`` for ``batch_tokens``."""
    return _OPTIONS.get(name) or "--" + name.replace("_", "-")


def with_options(message: str) -> str:
    """What the library says of its parameters, as a command prints it.

    >>> with_options("say which with `format=`, or take it as it is with `as_given=True`")
    'say which with --format, or take it as it is with --as-given'
    >>> with_options("name them with `models=NAME=PATH`")
    'name them with --lm NAME=PATH'
    """
    return _PARAMETER.sub(lambda found: f"{option_name(found[1])} {found[2] or ''}".strip(), message)


def as_typed(error: InputError) -> str:
    """An error as a command prints it: it names the option where the library names a parameter."""
    option = None if error.parameter is None else option_name(error.parameter)
    return str(
        InputError(
            with_options(error.message),
            file=error.file,
            line=error.line,
            utterance=error.utterance,
            field=option or error.field,
        )
    )


def parse(
    arguments: type[Arguments],
    prog: str,
    description: str | None,
    package: str = "pipelines",
    *,
    words: Sequence[str] | None = None,
    default: Arguments | None = None,
) -> Arguments:
    """The command line as a dataclass, of the command ``prog`` of a package.

    Args:
        arguments: the dataclass.
        prog: the command.
        description: what the command does; None for the dataclass's docstring.
        package: where the command is.
        words: the command line, where it is not all that was typed.
        default: an instance whose values stand in for the dataclass's defaults.

    Raises:
        InputError: a wrong command line.
    """
    prog = program(prog, package)
    given: dict[str, Any] = {} if default is None else {"default": default}
    spread = in_one_form(sys.argv[1:] if words is None else words, arguments)
    return _in_one_line(lambda: tyro.cli(arguments, prog=prog, description=description, args=spread, **given))


def program(command: str, package: str = "pipelines") -> str:
    """What was typed to run a command: ``asr-lm rescore`` or ``python -m pipelines.rescore``."""
    typed = {"asr-lm": "asr-lm ", "__main__": f"python -m {package} "}
    return typed.get(Path(sys.argv[0]).stem, f"python -m {package}.") + command


def parse_one_of(choices: Mapping[str, Any], prog: str, description: str) -> Any:
    """The command line as one of several dataclasses, chosen by its first word.

    Args:
        choices: the dataclasses by their word.
        prog: the command.
        description: what the command does.

    Raises:
        InputError: a wrong command line.
    """
    named = (Annotated[choice, tyro.conf.subcommand(name)] for name, choice in choices.items())
    forms: Any = Union[tuple(named)]  # noqa: UP007
    return _in_one_line(lambda: tyro.cli(forms, prog=program(prog), description=description))


def _in_one_line(read: Callable[[], Arguments]) -> Arguments:
    """What ``read`` gives; what tyro would print in a box becomes the message of an error."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return read()
    except InputError as error:  # a value that the dataclass itself refuses
        field = None if error.file or error.field is None else error.field.removeprefix("--")
        raise InputError(error.message, parameter=field) if field else error from None
    except SystemExit as error:
        if error.code in (None, 0):
            raise
        raise InputError(_unboxed(complaint.getvalue())) from None


def _unboxed(box: str) -> str:
    """The message of tyro's box: the first paragraph after the title, and where help is."""
    lines = [line.strip(_FRAME) for line in re.sub(r"\x1b\[[\d;]*m", "", box).splitlines()]
    paragraphs: list[list[str]] = [[]]
    for line in lines[1:]:
        if _RULE.fullmatch(line) or not line:
            paragraphs.append([])
        else:
            paragraphs[-1].append(line)
    first = next((paragraph for paragraph in paragraphs if paragraph), lines)
    options = [line for line in first if line.startswith("--")]
    message = f"{first[0]} {', '.join(options)}" if options else " ".join(first)
    everything = " ".join(lines)
    suggested, help_command = _SUGGESTED.search(everything), _HELP.search(everything)
    message += f"; perhaps you meant {suggested[1]}" if suggested else ""
    return f"{message} (see {help_command[0]})" if help_command else message


def check_outputs(paths: Iterable[str | Path | None], inputs: Iterable[str | Path | None] = ()) -> None:
    """Refuse outputs that cannot be written, before hours of work go into them; None and ``-`` are left out.

    Raises:
        InputError: a folder is missing or cannot be written, a folder stands where a file should, two outputs go to
            one file, one would replace an input, or standard output is wanted and closed.
    """
    given = [path for path in paths if path is not None]
    if any(str(path) == "-" for path in given) and getattr(sys.stdout, "name", None) == os.devnull:
        raise InputError("standard output is closed; name a file", parameter="out")
    wanted = [Path(path) for path in given if str(path) != "-"]
    for path in wanted:
        if path.is_dir():
            raise InputError("is a folder, a file was expected", file=path)
        if not path.parent.is_dir():
            raise InputError(f"cannot be written: there is no folder {path.parent}", file=path)
        if not os.access(path if path.exists() and not path.is_file() else path.parent, os.W_OK):
            raise InputError("cannot be written: no permission", file=path)
    read = {os.path.realpath(path) for path in inputs if path is not None}
    places = [os.path.realpath(path) for path in wanted if not path.exists() or path.is_file()]
    for path in wanted:
        if places.count(os.path.realpath(path)) > 1:
            raise InputError("two outputs would go to this file", file=path)
        if os.path.realpath(path) in read:
            raise InputError("is an input, too; give the output another name", file=path)


@contextlib.contextmanager
def blaming(*paths: str) -> Iterator[None]:
    """Errors that name neither a file nor an option are about these files."""
    from asr_lm.files import display_name

    try:
        yield
    except InputError as error:
        if error.is_about_option:
            raise
        raise error.located(file=", ".join(map(display_name, paths))) from error


def run(main: Callable[[], None]) -> None:
    """Run a command; bad input prints one message and exits with 2, Ctrl-C exits with 130, SIGTERM with 143."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Not every terminal can write every hypothesis.
            stream.reconfigure(errors="backslashreplace")
    with _interrupts_heard() as heard, _sigterm_as_interrupt() as terminated, _no_interrupt_is_lost(terminated):
        _run(lambda: _run_unless_interrupted(main, heard), terminated)


def _run_unless_interrupted(main: Callable[[], None], heard: Sequence[int]) -> None:
    """Take for an interrupt what a library made of one that it met: an error of its own kind, without the reason."""
    try:
        main()
    except Exception as error:
        if heard:
            raise KeyboardInterrupt from error
        raise


@contextlib.contextmanager
def _interrupts_heard() -> Iterator[list[int]]:
    """What is given is filled when Ctrl-C comes, or SIGTERM as such."""
    heard: list[int] = []

    def note(number: int, frame: Any) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    with _handled(signal.SIGINT, note, signal.default_int_handler):
        yield heard


@contextlib.contextmanager
def _handled(number: signal.Signals, handler: Callable[[int, Any], None], usual: Any) -> Iterator[None]:
    """Handle a signal where its handler is the usual one; only the main thread may."""
    if signal.getsignal(number) is not usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, usual)


def _run(main: Callable[[], None], terminated: list[int]) -> None:
    try:
        main()
        sys.stdout.flush()
    except InputError as error:
        sys.exit(_failed(as_typed(error)))
    except KeyboardInterrupt:
        remove_unfinished()
        if is_first_to_speak():
            said = "terminated" if terminated else "\ninterrupted"
            print(f"{said}; nothing half written is left behind", file=sys.stderr)
        sys.exit(TERMINATED if terminated else INTERRUPTED)
    except ProcessLost as error:
        sys.exit(_failed(str(error)))
    except BrokenPipeError:
        _discard_output()
    except (ImportError, OSError) as error:
        sys.exit(_failed(_outside_trouble(error)))


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[list[int]]:
    """Let SIGTERM end a command as Ctrl-C does, so that it clears away too; what is given is filled when it comes.

    Processes that work together are ended by the system: ``torchrun`` wants them to end at once.
    """
    terminated: list[int] = []

    def end(number: int, frame: Any) -> None:
        terminated.append(number)
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # started in the background, where Ctrl-C is not heard
            raise KeyboardInterrupt
        interrupt(signal.SIGINT, frame)

    with contextlib.nullcontext() if is_shared_run() else _handled(signal.SIGTERM, end, signal.SIG_DFL):
        yield terminated


@contextlib.contextmanager
def _no_interrupt_is_lost(terminated: Sequence[int]) -> Iterator[None]:
    """Interrupt again where Python ignored it: an exception that is raised inside a destructor ends nothing."""
    before = sys.unraisablehook

    def heard(ignored: Any) -> None:
        if ignored.exc_type is not KeyboardInterrupt:
            before(ignored)
            return
        # From another thread and a little later, or it would be raised in here and be ignored once more; a signal to
        # the thread itself, which ends what it waits for.
        number = terminated[-1] if terminated else signal.SIGINT
        threading.Timer(_AGAIN, signal.pthread_kill, [threading.get_ident(), number]).start()

    sys.unraisablehook = heard
    try:
        yield
    finally:
        sys.unraisablehook = before


def _replace_closed_streams() -> None:
    """Let what is said into a closed standard stream go nowhere, as services without a terminal have them.

    The null device takes the free descriptors, too: else the next file that is opened would be standard output.
    """
    for name, descriptor in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(descriptor)
                continue
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def _outside_trouble(error: ImportError | OSError) -> str:
    """What to say of a library that does not load, of a full disk and the like."""
    if "torch" in str(error).lower() or "libc10" in str(error):
        return f"{error}; {_TORCH_ADVICE}"
    if isinstance(error, ImportError):
        return f"{error}; install asr_lm again, with what it depends on"
    return f"{error.filename or 'the output'}: {error.strerror or error}"


def _discard_output() -> None:
    """Let what waits to be written to standard output go nowhere: the interpreter would try again when it ends."""
    with contextlib.suppress(OSError):
        descriptor = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _failed(message: str) -> int:
    if is_first_to_speak():
        print("error:", " ".join(message.split()), file=sys.stderr)
    return BAD_INPUT


def console(stderr: bool = True) -> Console:
    """A terminal for messages and progress (standard error), or for results (standard output)."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            """A reader who has left does not stop the work: there may be files to write."""
            self.quiet = True
            _discard_output()

    quiet = is_shared_run() and os.environ["RANK"] != "0"
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else 120
    return Output(stderr=stderr, width=width, highlight=False, soft_wrap=False, quiet=quiet)
