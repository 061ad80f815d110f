"""Carrying out a plan in a run directory, from where the run stands to its end."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from genlab.api.differences import differences, sentence
from genlab.api.plan import Plan
from genlab.api.run import Run
from genlab.api.selection import train_the_best
from genlab.api.show import show_run
from genlab.components import build
from genlab.config import identity
from genlab.contracts import GenlabError, UsageError
from genlab.interrupts import Interrupted, asked, handled
from genlab.launch import Loss, loss, misses, orphaned, when_stuck, write_also_into, write_into
from genlab.plugins import used_plugins
from genlab.rank import rank
from genlab.records import require_resumable
from genlab.runs import (
    SCHEMA,
    TRAINING,
    RunDirectory,
    create,
    environment,
    now,
    train_command,
    unfinished,
    write_json,
    write_text,
)
from genlab.sketch import difference, sketch
from genlab.targets import trusted_prefixes
from genlab.training import TrainerSettings, Validation, fit
from genlab.trust import require_plain


def choose_directory(plan: Plan, resume: str | None) -> RunDirectory:
    """The directory to work in: an unfinished run that this plan continues, or a new one.

    A new one is made once the data have been read: a test file that is missing is not found out after
    the training, and leaves no run behind.
    """
    folder = Path(plan.composed.resolved["folder"])
    run = None if resume is None else _resumed(resume, folder, plan)
    if run is not None:
        _require_same_run(run, plan)
        return run
    plan.read_data()
    run = create(folder, plan.name, plan.fingerprint)
    _begin_record(run, plan)
    return run


def _resumed(resume: str, folder: Path, plan: Plan) -> RunDirectory | None:
    """The run that is meant; None where "auto" finds none."""
    if resume != "auto":
        return RunDirectory(Path(resume))
    run = unfinished(
        folder,
        plan.fingerprint,
        lambda why: print(f"genlab: passed over: {why}", file=sys.stderr),
    )
    if run is None:
        print(f"no unfinished run of these settings in {folder}: starting a new one")
    return run


def _require_same_run(run: RunDirectory, plan: Plan) -> None:
    run.require_run()
    record = run.read()
    require_plain(run.path)  # what is written into it stays there
    require_resumable(record, run.record)
    if record["fingerprint"] == plan.fingerprint:
        _require_same_data(run, record, plan)
        return
    found = differences(identity(run.read_config()), plan.composed.identity)
    again = train_command(record, "--resume", str(run.path))
    made = sentence(found) if found else "made with another configuration"
    raise UsageError(f"{run.path} was {made}: give the same words as then: {again}")


def _require_same_data(run: RunDirectory, record: Mapping[str, Any], plan: Plan) -> None:
    found = difference(record["sketch"], sketch(plan.data)) if "sketch" in record else ""
    if found:
        raise UsageError(
            f"{run.path} was trained on {found}: bring those back, or leave --resume out to train anew"
        )


def _begin_record(run: RunDirectory, plan: Plan) -> None:
    write_text(run.config, yaml.safe_dump(plan.composed.record, sort_keys=False))
    record = {
        "schema": SCHEMA,
        "status": "running",
        "fingerprint": plan.fingerprint,
        "overrides": plan.words,
        "trusted": trusted_prefixes(),
        "seed": plan.seed,
        "spec": dataclasses.asdict(plan.data.spec),
        "sketch": sketch(plan.data),
        **plan.about_model,
        "threads": plan.settings.choose_threads(),
        "world_size": plan.settings.processes,
        "plugins": {p.distribution: p.version for p in used_plugins()},
        "sessions": [],
    }
    write_json(run.record, record | {"heartbeat": now()})


SHOWN = ("train", "val", "test")  # a page shows data of the last of these that was scored


class Session:
    """One process's work on a run, from where it stands to its end."""

    def __init__(
        self, plan: Plan, tried: Sequence[tuple[dict[str, Any], Plan]], run: RunDirectory
    ) -> None:
        self.plan, self.tried, self.run = plan, tried, run

    def carry_out(self) -> Run:
        with handled():
            return self._lead() if rank() == 0 else self._follow()

    def _follow(self) -> Run:
        """What a process above rank 0 says goes into a log of its own."""
        write_into(self.run.log(rank()))
        try:
            return self._work()
        except GenlabError:
            raise
        except Exception as error:
            if asked():
                raise Interrupted(asked()) from error
            missed = "rank 0 has ended" if orphaned() else misses(error)
            if missed:
                raise GenlabError(missed) from error
            raise

    def _lead(self) -> Run:
        record = self.run.read()
        if record["sessions"] and self.run.condition(record) == "running":
            raise UsageError(
                f"{self.run.path} is being trained on {record['sessions'][-1]['host']}"
            )
        with self.run.lock(), write_also_into(self.run.log(0)), when_stuck(self._lost):
            sessions = [*record["sessions"], environment()]
            self.run.update(status="running", error=None, sessions=sessions)
            self.run.sweep()
            try:
                run = self._work()
            except Interrupted:
                self._leave(status="interrupted")
                raise
            except UsageError as error:
                if record["sessions"]:  # it goes on by other words
                    self._leave(status=record["status"], error=record.get("error"))
                else:
                    self._failed(str(error))
                raise
            except GenlabError as error:
                self._failed(str(error))
                raise
            except BaseException as error:
                self._broken(error, loss())
                raise
            self.run.update(status="completed", finished=now())
            run.record = self.run.read()
            return run

    def _broken(self, error: BaseException, lost: Loss) -> None:
        """Write down what went wrong. Where a signal has asked this process or a lost one to stop, that is
        why: what they used has ended first.
        """
        signum = asked() or lost.signum
        if signum:
            self._leave(status="interrupted")
            raise Interrupted(signum) from error
        missed = lost.words or misses(error)
        self._failed(missed or str(error) or repr(error))
        if missed:
            raise GenlabError(f"{missed}: see {self.run.log(1).parent}") from error

    def _lost(self, lost: Loss) -> None:
        """What is written down where one that is lost leaves this process no other end."""
        if lost.signum:
            self._leave(status="interrupted")
        else:
            self._failed(lost.words)

    def _failed(self, why: str) -> None:
        self._leave(status="failed", error=why)

    def _leave(self, **state: Any) -> None:
        """Write down how it ends; what ends it may be that nothing can be written."""
        with suppress(GenlabError):
            self.run.update(**state)

    def _work(self) -> Run:
        self._do(TRAINING)
        plan = self._train()
        run = Run(self.run, model=plan.model, data=plan.data)
        settings = self._settings(plan)
        scorer = run.scorer(settings=settings) if plan.generative and plan.splits else None
        self._do("scoring")
        for split in plan.splits:
            if scorer is not None:
                scorer.split(split)
        for split in plan.splits:
            run.measure(plan.answers, split, settings=settings)
        self._compare_samples(plan, run, settings)
        if plan.composed.resolved["gallery"]:
            self._do("drawing")
            show_run(
                run, settings, scorer=scorer, split=max(plan.splits or ["test"], key=SHOWN.index)
            )
        return run

    def _do(self, what: str) -> None:
        if rank() == 0:
            self.run.update(doing=what)

    def _compare_samples(self, plan: Plan, run: Run, settings: TrainerSettings) -> None:
        """Sample quality, last, as rank 0 alone works on it once all have drawn the samples."""
        for split in plan.splits if plan.quality else ():
            if split != "train":
                sampler = plan.composed.resolved.get("sampler")
                asked = {"n": plan.samples, "sampler": sampler, "settings": settings}
                run.measure(plan.quality, split, **asked)

    def _train(self) -> Plan:
        """Fit the plan, or the best of its candidates; the plan whose weights the run now holds."""
        if len(self.tried) > 1:
            return train_the_best(self.tried, self.run, self._fit)
        _, plan = self.tried[0]
        self._fit(plan, self.run)
        return plan

    def _fit(self, plan: Plan, run: RunDirectory) -> Validation | None:
        return fit(
            plan.model,
            plan.data,
            plan.stages,
            run,
            self._settings(plan),
            seed=plan.seed,
            callbacks=self._callbacks(),
            logger=False if plan.logger is None else plan.logger(str(run.path)),
            record=self.run,
        )

    def _settings(self, plan: Plan) -> TrainerSettings:
        """A resumed run keeps its number of threads: another would round differently."""
        threads = plan.settings.threads or self.run.read()["threads"]
        return dataclasses.replace(plan.settings, threads=threads)

    def _callbacks(self) -> list[Any]:
        nodes = self.plan.composed.resolved.get("callbacks") or {}
        return [build(node, where=f"callbacks.{key}") for key, node in nodes.items()]
