"""What imports what: no cycles, lazy imports included, and the library never imports its commands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in (ROOT / "asr_lm").rglob("*.py")}


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            yield child
            yield from statements(child)


@cache
def imported(module: str) -> frozenset[str]:
    """Modules of this package that a module imports, at its top or in a function."""
    found = set()
    for node in statements(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(found & set(MODULES) - {module})


def cycle() -> list[str]:
    """Modules that import one another in a ring; none if there is no such ring."""
    done: set[str] = set()

    def ring(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for other in sorted(imported(module)):
            if found := ring(other, [*path, module]):
                return found
        done.add(module)
        return []

    return next((found for module in sorted(MODULES) if (found := ring(module, []))), [])


def test_no_module_imports_itself_through_others() -> None:
    assert cycle() == []


def test_the_library_does_not_know_its_commands() -> None:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("pipelines"), module


INTERFACE = "asr_lm.interface"


def test_a_public_name_has_one_home() -> None:
    """The interface's functions alone are called as what they stand for."""
    homes: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(module)
    assert {name: found for name, found in homes.items() if len({*found} - {INTERFACE}) > 1} == {}
