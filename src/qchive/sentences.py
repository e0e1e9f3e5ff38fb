"""What the source says about the fields of a struct: the sentence below each, for pages and files that are made of
it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType


def notes(module: ModuleType) -> dict[str, dict[str, str]]:
    """The sentence below each attribute of each class of a module, by class and attribute."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = dict(_attribute_notes(node))
    return found


def _attribute_notes(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for here, below in zip(node.body, node.body[1:], strict=False):
        said = below.value if isinstance(below, ast.Expr) else None
        if isinstance(here, ast.AnnAssign) and isinstance(said, ast.Constant) and isinstance(said.value, str):
            yield ast.unparse(here.target), " ".join(said.value.split())


def of(struct: type) -> dict[str, str]:
    """The sentences about the fields of one class of ours, and of those it extends."""
    said: dict[str, str] = {}
    for parent in reversed(struct.__mro__):
        module = inspect.getmodule(parent)
        if module is not None and module.__name__.startswith("qchive."):
            said |= notes(module).get(parent.__name__, {})
    return said
