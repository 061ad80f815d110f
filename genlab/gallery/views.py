"""What a page shows of one run, as the templates take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genlab.gallery import selection
from genlab.gallery.copying import Copying
from genlab.gallery.curves import Chart
from genlab.gallery.likely import Histogram
from genlab.gallery.pixels import Grid
from genlab.gallery.selection import Selection

ON_NLL = {"lower bound": "upper bound on NLL", "upper bound": "lower bound on NLL"}
UNREADABLE = "unreadable"  # the status of a run whose record cannot be used


@dataclass(frozen=True)
class Shown:
    """A picture of the page, or the reason why there is none."""

    href: str = ""
    width: int = 0
    height: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Draws:
    """A set of samples or completions. grid: how its picture can be taken apart."""

    kind: str
    picture: Shown
    thumbnail: Shown
    words: Mapping[str, Any]
    note: str
    grid: Grid | None = None


@dataclass(frozen=True)
class FigureView:
    """still, and where the figure moves: animation (APNG), downloads of other kinds by their names, and
    frames in a sheet.
    """

    title: str
    caption: str
    still: Shown
    animation: Shown | None
    downloads: Mapping[str, Shown]
    note: str
    frames: Shown | None = None
    sheet: Grid | None = None


@dataclass(frozen=True)
class ScoreView:
    """nll: for ranking; None where the mean is not to be trusted.

    low, high: between which it lies, its sampling error (stderr) aside; infinite where nothing is known.
    subject: equal for the same quantity of the same data; group: for the same kind of number, too.
    """

    split: str
    n: int
    number: str
    spoken: str
    original_scale: str
    bits: str
    floor: str
    floor_bits: str
    method: str
    guarantee: str
    weights: str
    sentence: str
    promise: str
    comparison: str
    density: bool
    nll: float | None
    low: float
    high: float
    stderr: float
    subject: tuple[Any, ...]
    group: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """The guarantee. A lower bound of the likelihood is an upper one of the number shown."""
        return ON_NLL.get(self.guarantee, self.guarantee)


@dataclass(frozen=True)
class AnswerView:
    """values: title, number with its unit, and the floor of each. facts: title and number."""

    name: str
    split: str
    n: int
    values: list[tuple[str, str, str]]
    facts: list[tuple[str, str]]
    floor_of: str
    sentence: str
    remarks: str

    @property
    def short(self) -> str:
        """The value that ranks, for the index."""
        title, number, _ = self.values[0]
        words = (self.name + ":", *([] if title == self.name.lower() else [title]), number)
        return " ".join(words)


@dataclass(frozen=True)
class QualityView:
    """Samples against n data of a split. values: title, number, and that of training data.

    seen_by: what of them was compared. sentences: what the metrics say. verdict: whether samples can
    be told from data. copying: what their distances to training data say.
    """

    split: str
    n: int
    seen_by: str
    values: list[tuple[str, str, str]]
    sentences: list[str]
    verdict: str
    copying: str


@dataclass(frozen=True)
class StageView:
    """The training of one stage. number: "2/4", where there are several; loss: what it is, in words.

    values: what was validated of a stage that was solved, which has nothing to draw.
    """

    name: str
    number: str
    loss: str
    charts: list[Chart]
    values: str


@dataclass
class RunView:
    """Everything that the templates write about a run. files: what its page shows, by relative name."""

    slug: str
    name: str
    model: str = "unknown model"
    data: str = "unknown data"
    variant: str = ""
    datum: str = ""
    status: str = UNREADABLE
    reason: str = ""
    summary: str = ""
    experiment: str = ""
    parameters: int | str = ""
    seconds: float | str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    versions: list[tuple[str, str]] = field(default_factory=list)
    command: str = ""
    headline: ScoreView | None = None
    scores: list[ScoreView] = field(default_factory=list)
    generative: bool = True
    answers: list[AnswerView] = field(default_factory=list)
    quality: list[QualityView] = field(default_factory=list)
    draws: list[Draws] = field(default_factory=list)
    reference: Shown = Shown(reason="no picture of test data was written")
    reference_words: Mapping[str, Any] = field(default_factory=dict)
    nearest: Shown | None = None
    copying: Copying | None = None
    likely: Histogram | None = None
    figures: list[FigureView] = field(default_factory=list)
    selection: Selection | None = None
    selection_table: selection.Table | None = None
    selection_figure: selection.Figure | None = None
    stages: list[StageView] = field(default_factory=list)
    config: str = ""
    problems: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        return self.status != UNREADABLE

    @property
    def samples(self) -> Draws | None:
        """The set that stands for the run: unconditional, by its own sampler, with the smallest seed."""
        own = (draws for draws in self.draws if not draws.words.get("sampler"))
        usable = [draws for draws in own if draws.kind == "samples"]
        return min(usable, key=_order, default=None)

    @property
    def was_tested(self) -> bool:
        return any(score.split == "test" for score in self.scores)

    @property
    def thumbnail(self) -> Shown | None:
        """What stands for the run on the index: samples, or the first figure of a model that draws none."""
        if self.samples is not None:
            return self.samples.thumbnail
        return next((figure.still for figure in self.figures if not figure.still.reason), None)

    @property
    def headlines(self) -> list[str]:
        """The answers about test data, for the index."""
        return [answers.short for answers in self.answers if answers.split == "test"]

    @property
    def collapse(self) -> str:
        """That all samples are alike, if they are."""
        return self.copying.collapse if self.copying else ""

    @property
    def copies(self) -> str:
        """Whether samples are copies: by a measurement of many, unless some of those shown are, or all are
        alike.
        """
        if self.copying is None:
            return ""
        measured = [quality.copying for quality in self.quality if quality.copying]
        few = self.copying.certain or self.collapse or not measured
        return self.copying.verdict if few else measured[0]

    @property
    def tile_facts(self) -> list[tuple[str, str]]:
        return [(n.lower(), v) for n, v in self.facts if n in ("Parameters", "Training time")]

    @property
    def quality_fact(self) -> str:
        """The first number of sample quality on test data, for the index."""
        for quality in self.quality:
            if quality.split == "test" and quality.values:
                title, number, _ = quality.values[0]
                return f"{title} {number}"
        return ""

    @property
    def enlarged(self) -> list[str]:
        """What is known of each sample, in words; nothing where its picture cannot be taken apart."""
        grid = self.samples.grid if self.samples else None
        if grid is None:
            return []
        nats = self.likely.nats if self.likely and self._of_shown(self.likely.seed) else ()
        far = self.nearest_distances
        found = []
        for i in range(grid.n):
            known = [f"log p = {nats[i]:.2f} nats"] if i < len(nats) else []
            known += [f"nearest training datum: {far[i]}"] if i < len(far) else []
            found.append("; ".join(known))
        return found

    @property
    def nearest_distances(self) -> tuple[str, ...]:
        """Of the samples that are shown, in words."""
        return self.copying.distances if self.copying and self._of_shown(self.copying.seed) else ()

    def _of_shown(self, seed: int) -> bool:
        """Whether what is known of the samples of a seed, without a label, is known of those shown."""
        words = self.samples.words if self.samples else {}
        return words.get("seed", 0) == seed and words.get("label") is None

    @property
    def one_more(self) -> str:
        """The command that draws the samples up to one, whose number takes the place of {n}."""
        words = self.samples.words if self.samples else {}
        label = "" if words.get("label") is None else f" --label {words['label']}"
        return f"genlab sample RUN --n {{n}} --seed {words.get('seed', 0)}{label}"

    @property
    def further(self) -> list[Draws]:
        return [draws for draws in self.draws if draws is not self.samples]


def _order(draws: Draws) -> tuple[bool, int]:
    return draws.words.get("label") is not None, int(draws.words.get("seed", 0))
