"""The expression language of technique cards: a safe, small subset of Python expressions.

    model.parameters > 1e9 and "avx512_bf16" in isa and flags.dtype is None

Names are looked up in a mapping of facts, dots go into nested mappings. Allowed: and, or, not,
comparisons, in, is None, + - * / // %, a if c else b, numbers, strings, tuples, lists, and calls
of the functions below. Nothing else, and no access to attributes of objects.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_OPEN = ("flags", "env")
"""Mappings in which a missing key means "not set": None, not an error."""

_LONGEST = 1000
_TEMPLATE = re.compile(r"\$\{([^}]*)\}")

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "float": float,
    "floor": math.floor,
    "int": int,
    "len": len,
    "max": max,
    "min": min,
    "round": round,
}


def evaluate(expression: str, facts: Mapping[str, object]) -> bool:
    """The truth of a condition. Raises ValueError that names the position."""
    return bool(evaluate_value(expression, facts))


def evaluate_value(expression: str, facts: Mapping[str, object]) -> Any:
    """The value of an expression. Raises ValueError that names the position."""
    return _Evaluation(expression, facts).visit(parse(expression))


def render(template: object, facts: Mapping[str, object]) -> Any:
    """A value with each ${expression} replaced; one that is nothing else keeps its type."""
    if not isinstance(template, str):
        return template
    whole = _TEMPLATE.fullmatch(template)
    if whole:
        return evaluate_value(whole[1], facts)
    return _TEMPLATE.sub(lambda match: str(evaluate_value(match[1], facts)), template)


def templates(value: object) -> list[str]:
    """The expressions within a template, for checks when a card is loaded."""
    return _TEMPLATE.findall(value) if isinstance(value, str) else []


@lru_cache(maxsize=1024)
def parse(expression: str) -> ast.expr:
    """The syntax tree of an expression in the subset. Raises ValueError with the position."""
    if len(expression) > _LONGEST:
        raise ValueError(f"expression longer than {_LONGEST} characters")
    if not expression.strip():
        raise ValueError("empty expression at 1")
    # In brackets, so that a card may break a long condition over lines.
    try:
        tree = ast.parse(f"({expression})", mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{error.msg} at {(error.offset or 2) - 1}: {expression}") from None
    _check(tree, expression)
    return tree


def _check(node: ast.expr, expression: str) -> None:
    """Refuse what evaluation would refuse, before there are facts to evaluate with."""
    for part in ast.walk(node):
        known = isinstance(part, _ALLOWED)
        if isinstance(part, ast.Call):
            known = isinstance(part.func, ast.Name) and part.func.id in _FUNCTIONS
            known = known and not part.keywords
        if isinstance(part, ast.Constant):
            known = part.value is None or isinstance(part.value, (bool, int, float, str))
        if not known:
            raise _error(part, f"{type(part).__name__} is not allowed", expression)


_ALLOWED = (
    ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, *_BINARY,
    ast.Compare, *_COMPARE, ast.IfExp, ast.Name, ast.Attribute, ast.Load, ast.Tuple, ast.List,
)  # fmt: skip


def _error(node: ast.AST, reason: str, expression: str) -> ValueError:
    return ValueError(f"{reason} at {getattr(node, 'col_offset', 1)}: {expression}")


class _Evaluation:
    def __init__(self, expression: str, facts: Mapping[str, object]) -> None:
        self._expression = expression
        self._facts = facts

    def visit(self, node: ast.expr) -> Any:
        method: Callable[[Any], Any] = getattr(self, f"_{type(node).__name__.lower()}")
        try:
            return method(node)
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            raise _error(node, str(error), self._expression) from None

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _tuple(self, node: ast.Tuple | ast.List) -> tuple[Any, ...]:
        return tuple(self.visit(item) for item in node.elts)

    _list = _tuple

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self._facts:
            raise _error(node, f"unknown name {node.id}", self._expression)
        return self._facts[node.id]

    def _attribute(self, node: ast.Attribute) -> Any:
        owner = self.visit(node.value)
        if not isinstance(owner, Mapping):
            raise _error(node, f"{ast.unparse(node.value)} has no fields", self._expression)
        if node.attr in owner:
            return owner[node.attr]
        if isinstance(node.value, ast.Name) and node.value.id in _OPEN:
            return None
        raise _error(node, f"unknown name {ast.unparse(node)}", self._expression)

    def _boolop(self, node: ast.BoolOp) -> Any:
        # Short-circuit as Python does: a later part may make sense only if an earlier one holds.
        stops_at = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self.visit(part)
            if bool(value) is stops_at:
                break
        return value

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.visit(node.operand)
        return (not value) if isinstance(node.op, ast.Not) else -value

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.visit(node.left), self.visit(node.right)
        if not all(isinstance(value, (int, float)) for value in (left, right)):
            raise _error(node, "arithmetic needs numbers", self._expression)
        return _BINARY[type(node.op)](left, right)

    def _compare(self, node: ast.Compare) -> bool:
        left = self.visit(node.left)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.visit(comparator)
            if not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.visit(node.body if self.visit(node.test) else node.orelse)

    def _call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)  # parse() refuses every other call
        return _FUNCTIONS[node.func.id](*(self.visit(argument) for argument in node.args))
