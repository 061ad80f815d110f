"""The card of an export: what somebody reads who gets the folder and knows nothing of it."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from genlab import __version__
from genlab.api.run import Run
from genlab.gallery import answers, quality, scores, tables
from genlab.gallery.tables import escaped
from genlab.gallery.words import GUARANTEES, MEASURES, datum
from genlab.runs import train_command
from genlab.trust import read_json


def card(run: Run, folder: Path) -> str:
    """Markdown. folder: the export, which has everything but this card."""
    return "\n\n".join(part.strip() for part in _parts(run, folder)) + "\n"


def _parts(run: Run, folder: Path) -> Iterator[str]:
    model, spec = run.model, run.spec
    yield f"# {type(model).__name__}: {escaped(spec.name)} ({escaped(spec.variant)})"
    yield escaped((inspect.getdoc(type(model)) or "").split("\n\n")[0])
    if (folder / "samples/seed-0.png").is_file():
        yield "![Samples of the model](samples/seed-0.png)"
    yield "## What it was trained on"
    labels = f", {spec.classes} classes" if spec.classes else ""
    record = read_json(folder / "run.json")
    yield f"{escaped(spec.name)} ({escaped(spec.variant)}): {datum(record['spec'])}{labels}."
    yield "## How it was trained"
    weights = {
        "ema": "averages over the last stage's steps",
        "raw": "those of its last step or best epoch",
    }
    yield (
        f"{math.fsum(p.numel() for p in model.parameters()):,.0f} parameters, {len(record['stages'])} "
        f"stage(s): {escaped(', '.join(record['stages']))}. The weights are "
        f"{weights[record['export']['checkpoint']['weights']]}. These words train it again:"
    )
    yield f"```sh\n{train_command(record).replace('`', '')}\n```"
    yield "Its options, in full:"
    config = read_json(folder / "config.json")["model"]
    yield f"```json\n{json.dumps(config, indent=2).replace('`', '')}\n```"
    yield from _scored(folder)
    yield from _sources(run)
    yield "## How to use it"
    yield from _use(record["plugins"])


def _scored(folder: Path) -> Iterator[str]:
    """The tables of genlab compare, and what kind of number stands in each."""
    yield "## Scores"
    found = tables.Compared(
        *(kind.compare([folder], None)[0] for kind in (scores, answers, quality))
    )
    if not found:
        yield "None were computed."
        return
    yield "Negative log-likelihoods (NLL) are in nats a datum: less is better. ± is one standard error."
    yield tables.as_markdown(found)
    kinds = dict.fromkeys(group.guarantee for group in found.scores)
    measures = dict.fromkeys(group.measure for group in found.scores)
    lines = [GUARANTEES.get(kind, "") for kind in kinds]
    lines += [f"A {measure}: {MEASURES.get(measure, '')}" for measure in measures]
    yield "\n".join(f"- {line}" for line in lines)


def _sources(run: Run) -> Iterator[str]:
    """The paragraphs with an address in the mathematics that the model's package opens with."""
    module = type(run.model).__module__
    while module:
        text = inspect.cleandoc(getattr(sys.modules.get(module), "__doc__", None) or "")
        found = [part for part in text.split("\n\n") if "://" in part]
        if found:
            yield "## Source"
            yield "\n\n".join(escaped(part) for part in found)
            return
        module = module.rpartition(".")[0]


def _use(plugins: dict[str, str]) -> Iterator[str]:
    others = "".join(f" {name}=={version}" for name, version in plugins.items())
    yield f"It needs genlab{' and its plugins' if others else ''}: `genlab=={__version__}{others}`."
    yield (
        "```sh\nsha256sum -c SHA256SUMS   # or: genlab verify .\ngenlab info .\n"
        "genlab sample . --n 64 -o ../drawn\ngenlab evaluate . --split test   # needs the data\n```"
    )
    yield (
        '```python\nimport genlab\n\nrun = genlab.open(".")\nrun.sample(64, seed=0)  # (64, '
        "*run.spec.shape)\nrun.model  # a torch module, in eval mode\n```"
    )
    yield (
        "Nothing in this folder is code, and nothing in it is run when it is opened: the weights are "
        "numbers (safetensors), and `config.json` may name only parts of genlab and of plugins that are "
        "installed."
    )
