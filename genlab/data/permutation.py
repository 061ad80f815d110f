"""A shuffle without a list: each place of it is computed when it is asked for.

A permutation of 0 … n − 1 is a cipher of the numbers below n under a random key. A generalised Feistel
network enciphers the numbers below a·b ≥ n: x is written as (l, r) with l = x mod a and r = ⌊x / a⌋, and
round j makes of it the pair (r, l + F_j(r)), modulo a and b in turn. What comes out at n or above is
enciphered again until it lies below (cycle walking), so that the map stays one to one. With a and b about
√n, fewer than one number in √n has to walk.

J. Black, P. Rogaway: Ciphers with arbitrary finite domains. CT-RSA 2002,
https://www.cs.ucdavis.edu/~rogaway/papers/subset.pdf
F_j is the finaliser of SplitMix64: G. Steele, D. Lea, C. Flood: Fast splittable pseudorandom number
generators. OOPSLA 2014, https://doi.org/10.1145/2660193.2660195
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

# with 8, 40,000 permutations of ten rows show that some pairs are likelier than others
ROUNDS = 16


class Permutation:
    """places: (B,) int64 in [0, n) → (B,) int64 in [0, n), one to one; O(B) in time and memory.

    It depends on n and the generator's state alone. Not for secrets.
    """

    def __init__(self, n: int, generator: torch.Generator) -> None:
        low, high = -(2**63), 2**63 - 1
        keys = torch.randint(low, high, (ROUNDS,), generator=generator)
        self.n, self._keys = n, keys.numpy().view(np.uint64)
        a = math.isqrt(max(0, n - 1)) + 1
        self._a, self._b = np.uint64(a), np.uint64(-(-n // a))

    def __call__(self, places: Tensor) -> Tensor:
        x = self._enciphered(places.numpy().view(np.uint64))
        while len(outside := np.flatnonzero(x >= np.uint64(self.n))):
            x[outside] = self._enciphered(x[outside])
        return torch.from_numpy(x.view(np.int64))

    def _enciphered(self, x: np.ndarray) -> np.ndarray:
        """One to one on the numbers below a·b."""
        left, right = x % self._a, x // self._a
        for j, key in enumerate(self._keys):
            modulus = self._b if j % 2 else self._a
            left, right = right, (left + _mixed(right + key)) % modulus
        return left + self._a * right


def _mixed(z: np.ndarray) -> np.ndarray:
    """(B,) uint64: each bit of z turns half of the bits over."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
