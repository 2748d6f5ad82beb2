"""Typer with `--help` by groups of options, and with suggestions for misspelt options."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from nudge.plumbing.errors import UsageError, meant


class Careful(TyperCommand if TYPE_CHECKING else object):  # type: ignore[misc]
    """Mixin for Typer's commands: refuses an unknown option, and one that is given twice."""

    help: str | None
    epilog: str | None

    def __init__(self, *arguments: Any, **given: Any):
        super().__init__(*arguments, **given)
        if self.rich_markup_mode is not None:
            # texts are plain: a bracket is not markup, and lines are wrapped at the terminal's width
            self.help, self.epilog = _flowing(self.help), _literal(self.epilog)
            for parameter in self.params:
                if getattr(parameter, "help", None):
                    parameter.help = _literal(parameter.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            self._refuse_mistakes(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_mistakes(self, ctx: Any, args: list[str]) -> None:
        """Raise `UsageError` for an unknown option, with suggestions, or for one that is given twice."""
        try:
            order = self.make_parser(ctx).parse_args(list(args))[2]
        except TyperException as error:
            if not hasattr(error, "possibilities"):
                raise
            known = [name for each in self.get_params(ctx) for name in (*each.opts, *each.secondary_opts)]
            wrong = str(vars(error)["option_name"])
            raise UsageError(f"no such option {wrong}{meant(wrong, known)}") from None
        for parameter in order:
            if (
                parameter.param_type_name == "option"
                and order.count(parameter) > 1
                and not vars(parameter)["multiple"]
            ):
                self._refuse_twice(ctx, args, parameter)

    def _refuse_twice(self, ctx: Any, args: list[str], parameter: Any) -> None:
        """Raise `UsageError` with both values of an option, unless it is a flag that was only repeated."""
        every = copy.copy(parameter)
        every.multiple = True
        shadow = copy.copy(self)
        shadow.params = [every if each is parameter else each for each in self.params]
        given = shadow.make_parser(ctx).parse_args(list(args))[0][parameter.name]
        if not parameter.is_flag:
            raise UsageError(f"{parameter.opts[0]} is given twice: {' and '.join(given)}; choose one")
        if len(set(given)) > 1:
            raise UsageError(f"{parameter.opts[0]} and {parameter.secondary_opts[0]}: choose one")


class Command(Careful, TyperCommand):
    """A command whose help shows options by group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_groups(self, ctx, formatter)


class Group(Careful, TyperGroup):
    """A group of commands whose help shows options by group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_groups(self, ctx, formatter)
        self.format_commands(ctx, formatter)


class App(typer.Typer):
    """A `Typer` with `Command` and `Group` as classes of its commands."""

    def __init__(self, **given: Any):
        super().__init__(cls=Group, pretty_exceptions_enable=False, rich_markup_mode=None, **given)

    def command(self, name: str | None = None, **given: Any) -> Callable[[Any], Any]:
        """As `Typer.command`, with the class `Command`."""
        return super().command(name, cls=Command, **given)


def _write_groups(command: TyperCommand, ctx: Any, formatter: Any) -> None:
    """Write arguments and options for a plain `--help`, by group."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for each in command.get_params(ctx):
        record = each.get_help_record(ctx)
        if record is not None:
            title = getattr(each, "rich_help_panel", None) or f"{each.param_type_name.capitalize()}s"
            groups.setdefault(title, []).append(record)
    for title, rows in groups.items():
        with formatter.section(title):
            formatter.write_dl(rows)


def _literal(text: str | None) -> str | None:
    """Escape a text so that Rich prints it as it is."""
    from rich.markup import escape  # imported late: only a terminal needs it

    return None if text is None else escape(text.replace("\b\n", ""))


def _flowing(text: str | None) -> str | None:
    """Escape a text for Rich, and join the lines of each paragraph."""
    return (
        None if text is None else _literal("\n\n".join(" ".join(each.split()) for each in text.split("\n\n")))
    )
