"""What does an ensemble of orderings score, as a mixture and as the average of logits that is no density?

  python benchmarks/ordering_ensemble.py            # trains for some minutes, needs GENLAB_DATA
  python benchmarks/ordering_ensemble.py RUN        # of a run of MADE with several orderings

Required: the mixture of ten orderings on the fixed binarisation of MNIST lies in 92.8 to 94.5 nats. The
averaged logits come out far lower, about 75 nats, and are no likelihood: they do not sum to one
(tests/likelihood/test_mixture.py). Public code has reported such numbers.
"""

from __future__ import annotations

import sys
import tempfile

import torch
from reporting import table, verdict

import genlab
from genlab.models.made import MADE
from genlab.nn.heads import Bernoulli

TRAIN = ["model=made", "data=mnist_binary", "model.masks=10", "model.order=random"]
EPOCHS = "stages.fit.max_epochs=30"


@torch.no_grad()
def scores(run: genlab.api.Run) -> list[tuple[str, float]]:
    """Mean test NLL (nats): of one ordering, of the mixture, and of the averaged logits."""
    model = run.model
    assert isinstance(model, MADE)
    run.data.setup("test")
    dataset = run.data.dataset("test")
    x = dataset[torch.arange(len(dataset))].x
    orderings = range(model.network.orderings)
    each = torch.stack([model.log_prob(x, k).double() for k in orderings])
    logits = torch.stack([model.network(x.flatten(1), k) for k in orderings]).mean(0)
    averaged = Bernoulli().log_prob(x.flatten(1), logits).double().sum(1)
    mixture = each.logsumexp(0) - torch.tensor(len(orderings)).log()
    return [
        ("one ordering, on average", -float(each.mean())),
        ("mixture of the orderings", -float(mixture.mean())),
        ("averaged logits (no likelihood)", -float(averaged.mean())),
    ]


def main() -> int:
    if sys.argv[1:]:
        found = scores(genlab.open(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            words = [*TRAIN, EPOCHS, "evaluate=[]", "gallery=false", f"folder={folder}"]
            found = scores(genlab.train(*words))
    table(["test NLL", "nats"], [[name, f"{nll:.2f}"] for name, nll in found])
    return verdict(92.8 <= found[1][1] <= 94.5, "the mixture in 92.8 to 94.5 nats")


if __name__ == "__main__":
    raise SystemExit(main())
