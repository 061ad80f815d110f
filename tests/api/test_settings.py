"""Every setting of a run, also those that nobody gave."""

from __future__ import annotations

from enum import Enum, StrEnum

import numpy as np
import pytest
import yaml

import genlab
from genlab.api.settings import _defaults, every_setting, written_out
from genlab.contracts import PluginError


def test_defaults_of_a_part_are_written_out():
    found = written_out({"model": {"_target_": "genlab.models.made.MADE", "order": "random"}})
    assert next(iter(found["model"])) == "_target_"
    assert found["model"]["order"] == "random"
    assert found["model"]["hidden"] == [500]
    assert "spec" not in found["model"], "what a caller gives is no setting"


def test_a_part_within_a_part_and_one_that_is_a_default_are_written_out():
    node = {"_target_": "genlab.models.diffusion.Diffusion"}
    denoiser = written_out(node)["denoiser"]
    assert denoiser["_target_"].endswith(".Denoiser")
    assert denoiser["network"]["hidden"] == [512, 512, 512]
    given = {"_target_": denoiser["_target_"], "_partial_": True, "rank": 8}
    own = written_out(node | {"denoiser": given})["denoiser"]
    assert (own["rank"], own["network"]) == (8, denoiser["network"])


def test_a_default_that_no_configuration_may_name_is_named_and_no_more():
    assert written_out({"_target_": "os.PathLike"}) == {"_target_": "os.PathLike"}


class Pace(StrEnum):
    FAST = "fast"


class Plain(Enum):
    ONE = 1


class Odd:
    """Defaults of many kinds."""

    class Inner:
        pass

    def __init__(
        self,
        pace: Pace = Pace.FAST,
        plain: Plain = Plain.ONE,
        scale: float = np.log(2),
        many: tuple[int, ...] = (np.bool_(True), True, 2),
        part: type = Inner,
    ) -> None:
        pass


def test_defaults_are_written_as_plain_values(monkeypatch):
    monkeypatch.setattr("genlab.api.settings.resolve", lambda target, where: Odd)
    found = _defaults("odd.Odd")
    assert (found["pace"], found["plain"]) == ("fast", 1)
    assert found["scale"] == pytest.approx(0.6931, abs=1e-4)
    assert "many" not in found, "one of them is no plain value"
    assert yaml.safe_load(yaml.safe_dump(found)) == found


def test_a_default_that_is_no_component_is_left_as_it_is(monkeypatch):
    def broken(target, where):
        raise PluginError(f"{target} is broken")

    monkeypatch.setattr("genlab.api.settings.resolve", broken)
    assert written_out({"_target_": "odd.Odd", "scale": 2}) == {"_target_": "odd.Odd", "scale": 2}


def test_what_has_no_target_stays_as_it_is():
    config = {"seed": 3, "evaluate": ["val", "test"], "name": None, "stages": {"fit": {"ema": 0.5}}}
    assert written_out(config) == config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    words = "model=made data=digits_binary model.hidden=[8] optimizer=sgd evaluate=[]"
    stage = "stages.fit.max_epochs=1 stages.fit.ema=0.9"
    folder = tmp_path_factory.mktemp("runs")
    return genlab.train(*words.split(), *stage.split(), f"folder={folder}")


def test_a_run_keeps_its_stages_as_they_were_trained(run):
    found = yaml.safe_load((run.directory.figures / "settings.yaml").read_text())
    assert found == every_setting(run)
    assert found["model"]["hidden"] == [8]
    stage = found["stages"]["fit"]
    assert (stage["max_epochs"], stage["ema"], stage["lr_schedule"]) == (1, 0.9, "cosine")
    assert stage["optimizer"]["name"] == "SGD"
    assert stage["optimizer"]["lr"] == found["optimizer"]["lr"]
