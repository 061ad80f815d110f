from genlab.data import Bernoulli, Threshold, digits, fingerprint


def test_the_same_numbers_have_the_same_fingerprint():
    data = digits(preprocess=Bernoulli())
    before = fingerprint(data, "train")
    data.dataset("train").set_epoch(4)
    assert (
        fingerprint(data, "train") == before == fingerprint(digits(preprocess=Bernoulli()), "train")
    )


def test_different_numbers_have_different_fingerprints():
    prints = [
        fingerprint(data, split)
        for data in (digits(), digits(preprocess=Threshold(8)), digits(preprocess=Bernoulli(1)))
        for split in ("train", "val", "test")
    ]
    assert len(set(prints)) == 9


def test_the_digits_keep_their_fingerprint():
    """A change here changes every score on the digits: it must be meant."""
    digest = fingerprint(digits(preprocess=Threshold(8)), "test")
    assert digest == "ed2a20ac755d275d2ff42bc4111c0f89e22e90130133c51af2329a3e51f2657a"
