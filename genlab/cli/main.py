"""``genlab VERB …``: finds the verb, runs it, and turns every error into one line and an exit code.

0 ok, 1 the run failed, 2 usage or configuration, 3 plugin, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from genlab import __version__
from genlab.errors import GenlabError, UsageError
from genlab.interrupts import Interrupted, handled

VERBS = (
    "train",
    "sweep",
    "tune",
    "evaluate",
    "sample",
    "export",
    "verify",
    "gallery",
    "compare",
    "list",
    "config",
    "info",
    "runs",
    "data",
    "plugins",
    "doctor",
)


TOGETHER = ("train", "evaluate")  # what several processes do as one


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    with handled():
        try:
            return _carry_out(build_parser().parse_args(argv))
        except Interrupted as stop:
            print(f"genlab: {stop}", file=sys.stderr)
            return stop.code


def _carry_out(args: argparse.Namespace) -> int:
    try:
        _require_alone(args.verb)
        _allow(args)
        return args.run(args) or 0
    except GenlabError as error:
        return _report(error, error.code, args.debug)
    except BrokenPipeError:
        return 0
    except Exception as error:
        return _report(error, 1, args.debug)


def _require_alone(verb: str) -> None:
    """Raise UsageError where several processes would each do the whole."""
    if "TORCHELASTIC_RUN_ID" in os.environ and verb not in TOGETHER:
        raise UsageError(
            f"genlab {verb} is one process, and torchrun started this: type it without"
        )


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"genlab: {message}; see {self.prog} --help\n")


class _Verb(_Parser):
    """Words and options of a verb in any order: ``train model=made --name a data=digits``."""

    _mixing = False  # argparse's own mixed parse calls parse_known_args again, for each kind

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[override]
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="genlab",
        description="Train, score, sample and show generative models.",
        epilog="genlab VERB --help explains a verb; genlab list shows what there is to choose from.",
    )
    parser.add_argument("--version", action="version", version=f"genlab {__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=_Verb)
    for name in VERBS:
        module = import_module(f"genlab.cli.{name}")
        text = (module.__doc__ or "").strip().split("\n", 1)[0]
        verb = verbs.add_parser(
            name,
            help=text,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        verb.add_argument("--debug", action="store_true", help="show the traceback of an error")
        verb.add_argument(
            "--allow-target",
            action="append",
            default=[],
            metavar="PREFIX",
            help="let configurations name components below this dotted prefix",
        )
        verb.add_argument("--no-plugins", action="store_true", help="use none of them")
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def _allow(args: argparse.Namespace) -> None:
    """What may be used. It is left in the environment, where other processes of a run find it."""
    if args.no_plugins:
        from genlab.plugins import EXCEPT

        os.environ[EXCEPT] = "*"
    if args.allow_target:
        from genlab.targets import allow_targets

        allow_targets(args.allow_target)


def _report(error: Exception, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
        return code
    text = " ".join(str(error).split()) or type(error).__name__
    if not isinstance(error, GenlabError):
        text = f"{type(error).__name__}: {text} (--debug shows where)"
    print(f"genlab: {text}", file=sys.stderr)
    return code
