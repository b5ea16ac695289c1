"""What is wrong with an expression, where, and what was probably meant."""

from __future__ import annotations


class CelError(Exception):
    """One error of an expression; `line` and `column` are 1-based, `hint` is a remedy or the nearest name."""

    def __init__(self, message: str, line: int = 1, column: int = 1, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class CelSyntaxError(CelError):
    """The text is not an expression."""


class CelErrors(Exception):  # noqa: N818 (several errors, as one exception)
    """Every error of one expression, in the order of the text."""

    def __init__(self, errors: tuple[CelError, ...]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors
