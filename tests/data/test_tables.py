import numpy as np
import pytest
import torch

from genlab.contracts import DataError, Support, UsageError
from genlab.data import debd, nade_uci
from genlab.data.tables import DEBD, NADE_UCI, Size

SPLITS = ("train", "val", "test")


def test_every_spec_is_known_without_files(folder):
    assert len(DEBD) == 20
    for name, size in DEBD.items():
        spec = debd(name).spec
        assert (spec.name, spec.variant, spec.shape) == (name, "fixed", (size.variables,))
        assert spec.support is Support.BINARY
    for name, size in NADE_UCI.items():
        assert nade_uci(name).spec.shape == (size.variables,)


def test_a_mistyped_name_gets_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'plants'"):
        debd("plant")
    with pytest.raises(UsageError, match="did you mean 'nips-0-12'"):
        nade_uci("nips")


def test_the_dna_of_the_nade_papers_is_debds(folder):
    assert nade_uci("dna").source.files() == ("debd/dna.npz",)


@pytest.mark.usefixtures("real_files")
@pytest.mark.parametrize(
    ("name", "density"),
    [
        ("nltcs", 0.332),
        ("plants", 0.180),
        ("bnetflix", 0.541),
        ("accidents", 0.291),
        ("dna", 0.253),
    ],
)
def test_debd_has_its_published_density(name, density):
    data = debd(name)
    values = torch.cat([data.dataset(split).values for split in SPLITS])
    assert values.float().mean().item() == pytest.approx(density, abs=5e-4)


@pytest.mark.usefixtures("real_files")
@pytest.mark.parametrize("name", ["adult", "mushrooms", "nips-0-12", "web_resplit"])
def test_nade_sets_have_their_published_sizes(name):
    data = nade_uci(name)
    assert tuple(len(data.dataset(split)) for split in SPLITS) == NADE_UCI[name][1:]


@pytest.mark.usefixtures("real_files")
def test_independent_variables_reach_the_reference_on_nltcs():
    """-9.234 nats: proves the rows, the split and the sign."""
    data = debd("nltcs")
    p = (data.dataset("train").values.double().sum(0) + 0.5) / (len(data.dataset("train")) + 1)
    test = data.dataset("test").values.double()
    nats = (test * p.log() + (1 - test) * (1 - p).log()).sum(1).mean()
    assert nats.item() == pytest.approx(-9.234, abs=0.002)


@pytest.fixture
def tiny(monkeypatch):
    """A DEBD set of 3 variables and 4, 2, 2 rows."""
    monkeypatch.setitem(DEBD, "ad", Size(3, 4, 2, 2))
    return np.random.default_rng(0).integers(0, 2, (8, 3), dtype=np.uint8)


def write_text(folder, rows):
    (folder / "debd" / "ad").mkdir(parents=True)
    for split, part in zip(("train", "valid", "test"), np.split(rows, [4, 6]), strict=True):
        text = "\n".join(",".join(map(str, row)) for row in part)
        (folder / "debd" / "ad" / f"ad.{split}.data").write_text(text)


def test_the_public_text_form_is_read(folder, tiny):
    write_text(folder, tiny)
    assert debd("ad").source.files()[1] == "debd/ad/ad.valid.data"
    for split, part in zip(SPLITS, np.split(tiny, [4, 6]), strict=True):
        assert (debd("ad").dataset(split).values.numpy() == part).all()


def write_packed(folder, rows):
    (folder / "debd").mkdir(exist_ok=True)
    train, valid, test = (np.packbits(part, axis=1) for part in np.split(rows, [4, 6]))
    np.savez(folder / "debd" / "ad.npz", train=train, valid=valid, test=test, n_vars=3)


def test_the_packed_form_comes_first(folder, tiny):
    write_text(folder, 1 - tiny)
    write_packed(folder, tiny)
    assert debd("ad").source.files() == ("debd/ad.npz",)
    assert (debd("ad").dataset("test").values.numpy() == tiny[6:]).all()


@pytest.mark.parametrize("write", [write_text, write_packed])
def test_another_number_of_rows_is_refused(folder, tiny, write):
    write(folder, tiny[1:])
    with pytest.raises(DataError, match=r"\(1, 3\) test rows and variables"):
        debd("ad").dataset("test")
