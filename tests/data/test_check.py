import pytest

from genlab.contracts import UsageError
from genlab.data import State, built_in_sets, set_status


def test_all_built_in_sets_are_known_without_files(folder):
    assert len(built_in_sets()) == 13 + 20 + 7
    for name in built_in_sets():
        status = set_status(name)
        assert status.shape
        assert status.ready == name.startswith("digits")
        assert all(file.state is State.MISSING and file.path is None for file in status.files)


def test_an_altered_file_is_called_so(folder):
    (folder / "debd").mkdir()
    (folder / "debd" / "nltcs.npz").write_bytes(b"something else")
    (folder / "debd" / "kdd.npz").write_bytes(b"no checksum is known of this one")
    assert set_status("debd/nltcs").files[0].state is State.ALTERED
    assert not set_status("debd/nltcs").ready
    assert set_status("debd/nltcs", verify=False).files[0].state is State.PRESENT
    assert set_status("debd/kdd").files[0].state is State.PRESENT


def test_an_unknown_set_gets_a_suggestion():
    with pytest.raises(UsageError, match="did you mean 'debd/plants'"):
        set_status("debd/plant")


@pytest.mark.usefixtures("real_files")
@pytest.mark.parametrize(
    "name",
    [
        "mnist",
        "fashion_mnist",
        "mnist_binary",
        "debd/nltcs",
        "omniglot",
        "caltech_silhouettes",
        "cifar10_subset",
    ],
)
def test_the_published_files_verify(name):
    status = set_status(name)
    assert status.ready
    assert all(file.state is State.VERIFIED for file in status.files)
