"""The documentation says what is there: links lead somewhere, commands parse, overrides compose."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from genlab.cli.main import VERBS, build_parser
from genlab.config import compose
from genlab.options import Option, options
from genlab.sweeps.points import product
from genlab.sweeps.space import space

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def title(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link: lower case, hyphens for spaces, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def commands(page: Path) -> list[list[str]]:
    """Every genlab command of a page, in shell blocks and in code spans, without its comment."""
    text = page.read_text()
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE))
    spans = "\n".join(re.findall(r"`(genlab [^`\n]+)`", without_blocks(text)))
    lines = [line for line in f"{blocks}\n{spans}".splitlines() if line.startswith("genlab ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


COMMANDS = {
    shlex.join(words): words
    for page in PAGES
    if page.name != "plugins.md"  # whose commands are run, on the package that they write
    for words in commands(page)
    if not {"…", "VERB"} & set(words)
}


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS.keys())
def test_commands_are_understood(words):
    if words[0] in VERBS and len(words) == 1:
        return  # a verb that is talked about
    args = build_parser().parse_args(words)
    given = [*getattr(args, "overrides", []), *getattr(args, "words", [])]
    compose([word for word in given if "=" in word])
    for point in {
        "sweep": lambda: product(args.sweep),
        "tune": lambda: space(args.space).corners() if args.space else [],
    }.get(args.verb, list)():
        compose(point)


def test_the_readme_shows_every_verb():
    shown = {words[0] for words in commands(ROOT / "README.md")}
    assert set(VERBS) <= shown


def own(group: str) -> list[Option]:
    """Without those of plugins that happen to be installed."""
    return [option for option in options(group) if option.distribution == "genlab"]


def test_the_readme_shows_every_experiment():
    text = (ROOT / "README.md").read_text()
    assert all(f"experiment={option.name}" in text for option in own("experiment"))


def test_the_documentation_of_data_names_every_set():
    text = (ROOT / "docs" / "data.md").read_text()
    assert all(f"`{option.name}`" in text for option in own("data"))
