"""Tokens to a syntax tree: recursive descent, bounded in depth and size."""

from typing import Final

from flowforge.kit.values import INTEGER_MAX
from flowforge.language.expressions.errors import ExpressionFault
from flowforge.language.expressions.lexer import Token, TokenKind, read_tokens
from flowforge.language.expressions.limits import Limits
from flowforge.language.expressions.syntax import (
    Branch,
    CallLink,
    Chain,
    Conditional,
    Element,
    Entry,
    IndexLink,
    Link,
    ListNode,
    Literal,
    Logic,
    MapNode,
    Name,
    Negate,
    Node,
    Not,
    Operation,
    Operator,
    Postfix,
    SelectLink,
)

DEPTH_MAX: Final = 60
"""Whatever the setting says: each bracket takes nine Python frames, and the interpreter has a thousand."""
_LEVELS: Final = (
    frozenset({"<", "<=", ">", ">=", "==", "!=", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
RESERVED: Final = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "namespace",
        "null",
        "package",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)


def parse_expression(source: str, limits: Limits) -> Node:
    """The tree of one expression.

    Raises:
        ExpressionFault: `expr_empty`, `expr_src`, `expr_syntax`, `expr_depth`, `expr_nodes`, `control_char` or `number_range`.
    """
    if len(source.encode(errors="replace")) > limits.source_bytes:
        raise ExpressionFault("expr_src", f"The expression is longer than {limits.source_bytes} bytes.")
    if not source.strip():
        raise ExpressionFault("expr_empty", "The expression is empty.")
    return _Parser(read_tokens(source), limits).parse()


class _Parser:
    def __init__(self, tokens: list[Token], limits: Limits) -> None:
        self.tokens = tokens
        self.position = 0
        self.limits = limits
        self.max_depth = min(limits.depth, DEPTH_MAX)
        self.depth = -1
        self.nodes = 0

    def parse(self) -> Node:
        if self.tokens[0].kind is TokenKind.END:
            raise ExpressionFault("expr_empty", "The expression is empty.")
        node = self.expression()
        if self.peek().kind is not TokenKind.END:
            raise self.unexpected()
        return node

    # reading tokens

    def peek(self) -> Token:
        return self.tokens[self.position]

    def next(self) -> Token:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def at(self, text: str) -> bool:
        token = self.tokens[self.position]
        return token.kind is TokenKind.SYMBOL and token.text == text

    def take(self, text: str) -> bool:
        if self.at(text):
            self.position += 1
            return True
        return False

    def expect(self, text: str) -> Token:
        if not self.at(text):
            raise self.unexpected(f" {text!r} is missing.")
        return self.next()

    def unexpected(self, hint: str = "") -> ExpressionFault:
        token = self.peek()
        what = "The expression ends too early." if token.kind is TokenKind.END else f"{token.text[:40]!r} cannot stand here."
        return ExpressionFault("expr_syntax", what + hint, token.offset)

    def end(self) -> int:
        return self.tokens[self.position - 1].end

    def count(self, nodes: int = 1) -> None:
        self.nodes += nodes
        if self.nodes > self.limits.nodes:
            raise ExpressionFault("expr_nodes", f"The expression has more than {self.limits.nodes} parts.", self.peek().offset)

    # the grammar, from the loosest binding to the tightest

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > self.max_depth:
            raise ExpressionFault(
                "expr_depth", f"More than {self.max_depth} brackets are nested in each other.", self.peek().offset
            )
        branches: list[Branch] = []
        offset = self.peek().offset
        node = self.logic(is_or=True)
        while self.take("?"):
            self.count()
            value = self.logic(is_or=True)
            self.expect(":")
            branches.append(Branch(node, value))
            node = self.logic(is_or=True)
        self.depth -= 1
        return Conditional(tuple(branches), node, offset, self.end()) if branches else node

    def logic(self, *, is_or: bool) -> Node:
        offset = self.peek().offset
        operands = [self.logic(is_or=False) if is_or else self.chain(0)]
        while self.take("||" if is_or else "&&"):
            self.count()
            operands.append(self.logic(is_or=False) if is_or else self.chain(0))
        return operands[0] if len(operands) == 1 else Logic(is_or, tuple(operands), offset, self.end())

    def chain(self, level: int) -> Node:
        offset = self.peek().offset
        is_tightest = level + 1 == len(_LEVELS)
        first = self.unary() if is_tightest else self.chain(level + 1)
        rest: list[Operation] = []
        while self.peek().kind in {TokenKind.SYMBOL, TokenKind.NAME} and self.peek().text in _LEVELS[level]:
            operator = self.next()
            self.count()
            operand = self.unary() if is_tightest else self.chain(level + 1)
            rest.append(Operation(Operator(operator.text), operand, operator.offset))
        return Chain(first, tuple(rest), offset, self.end()) if rest else first

    def unary(self) -> Node:
        offset = self.peek().offset
        if self.at("!"):
            count = self.take_all("!")
            return Not(count, self.postfix(), offset, self.end())
        count = self.take_all("-")
        if count and self.peek().kind is TokenKind.NUMBER:
            self.position -= 1
            count -= 1
        operand = self.postfix()
        return Negate(count, operand, offset, self.end()) if count else operand

    def take_all(self, symbol: str) -> int:
        count = 0
        while self.take(symbol):
            self.count()
            count += 1
        return count

    def postfix(self) -> Node:
        offset = self.peek().offset
        base = self.primary()
        links: list[Link] = []
        if isinstance(base, Name) and self.at("("):
            start = self.next().offset
            links.append(CallLink("", self.arguments(")"), start, self.end()))
        while True:
            if self.at("."):
                links.append(self.dotted())
            elif self.at("["):
                links.append(self.index())
            else:
                return Postfix(base, tuple(links), offset, self.end()) if links else base
            self.count()

    def dotted(self) -> Link:
        self.next()
        optional = self.take("?")
        token = self.next()
        if token.kind not in {TokenKind.NAME, TokenKind.QUOTED} or token.text == "in":
            self.position -= 1
            raise self.unexpected(" A field's name is missing.")
        name = str(token.value)
        if not optional and token.kind is TokenKind.NAME and self.take("("):
            return CallLink(name, self.arguments(")"), token.offset, self.end())
        return SelectLink(name, optional, token.offset, token.end)

    def index(self) -> IndexLink:
        start = self.next().offset
        optional = self.take("?")
        key = self.expression()
        self.expect("]")
        return IndexLink(key, optional, start, self.end())

    def arguments(self, closing: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.at(closing):
            found.append(self.expression())
            if not self.take(","):
                break
        self.expect(closing)
        return tuple(found)

    def primary(self) -> Node:
        self.count()
        token = self.next()
        match token.kind:
            case TokenKind.STRING:
                return Literal(token.value, token.offset, token.end)
            case TokenKind.NUMBER:
                return self.number(token)
            case TokenKind.NAME:
                return self.name(token)
            case TokenKind.SYMBOL if token.text == "-":
                return self.negative_number(token)
            case TokenKind.SYMBOL if token.text == "(":
                node = self.expression()
                self.expect(")")
                return node
            case TokenKind.SYMBOL if token.text == "[":
                return ListNode(self.elements(), token.offset, self.end())
            case TokenKind.SYMBOL if token.text == "{":
                return MapNode(self.entries(), token.offset, self.end())
            case _:
                self.position -= 1
                raise self.unexpected()

    def number(self, token: Token) -> Literal:
        if isinstance(token.value, int) and token.value > INTEGER_MAX:
            raise ExpressionFault("number_range", "The number does not fit into 64 bits.", token.offset)
        following = self.peek()
        if following.kind is TokenKind.NAME and following.offset == token.end and following.text in {"u", "U"}:
            raise ExpressionFault("expr_syntax", "There are no unsigned numbers; leave out the u.", following.offset)
        return Literal(token.value, token.offset, token.end)

    def negative_number(self, sign: Token) -> Literal:
        token = self.next()
        if isinstance(token.value, str):
            self.position -= 1
            raise self.unexpected()
        return Literal(-token.value, sign.offset, token.end)

    def name(self, token: Token) -> Node:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text], token.offset, token.end)
        if token.text in RESERVED:
            raise ExpressionFault("expr_syntax", f"{token.text!r} is a reserved word.", token.offset)
        return Name(token.text, token.offset, token.end)

    def elements(self) -> tuple[Element, ...]:
        found: list[Element] = []
        while not self.at("]"):
            optional = self.take("?")
            found.append(Element(self.expression(), optional))
            if not self.take(","):
                break
        self.expect("]")
        return tuple(found)

    def entries(self) -> tuple[Entry, ...]:
        found: list[Entry] = []
        while not self.at("}"):
            optional = self.take("?")
            key = self.expression()
            self.expect(":")
            found.append(Entry(key, self.expression(), optional))
            if not self.take(","):
                break
        self.expect("}")
        return tuple(found)
