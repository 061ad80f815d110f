"""What the published files are: their sha256, and the name under which the public knows them."""

from __future__ import annotations

_SUMS = """
e8f506ef608196c8e1894acd95621ff249c1b0d0ffc1956041b45320e4522216  binarized_mnist/binarized_mnist.npz
ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d  binarized_mnist/binarized_mnist_train.amat
1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2  binarized_mnist/binarized_mnist_valid.amat
e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c  binarized_mnist/binarized_mnist_test.amat
bf807d5f28fe29cd7f3db6da286043ac175c6401660913e8e7f66346ede22f65  caltech101_silhouettes/caltech101_silhouettes_28.npz
eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a  caltech101_silhouettes/caltech101_silhouettes_28_split1.mat
a93230d2ccb6adc7abe7824a798db957cf9fc08fe2aa3a1b7a4135953347d295  cifar10_subset/cifar10_subset.npz
727441553286415084e447262dfb9725ee209eab16dd81bc0dfb35c95d88d0e9  debd/accidents.npz
6c95466eea1a138be15b0a979c37d424240bf25464ab82c77f2cfe050f03f120  debd/bnetflix.npz
997e0acb3a08a0171549819da4aa6347fc9370696a9651db1598b5a06e573eab  debd/dna.npz
846588a764c6fa7317a552e07b8b3c4068b1bb4f335a2d0596d9d0bb18bce914  debd/nltcs.npz
bfdb231b0f2e93fb6050272bdd6c2619f7e9fc20f5010585b26d573ad42eef29  debd/plants.npz
346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073  fashion_mnist/t10k-images-idx3-ubyte.gz
67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5  fashion_mnist/t10k-labels-idx1-ubyte.gz
3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84  fashion_mnist/train-images-idx3-ubyte.gz
a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845  fashion_mnist/train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6  mnist/t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6  mnist/t10k-labels-idx1-ubyte.gz
440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609  mnist/train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c  mnist/train-labels-idx1-ubyte.gz
f09365238fde6afbfb815c9c630c83fbd0ea620256a351b48dcc98e076964b0c  nade_uci/adult.npz
279a4e7a2a0f425bd91925d79b2ca3fdbbba416db8dbbf13324ecd8198763098  nade_uci/mushrooms.npz
6dd176626bab0c240e7ad6c9ff402543c3885c3b7c20d58aacd938d12bab5a9a  nade_uci/nips-0-12.npz
17c377663bee54076d5c2527d9a9c51e1560d12ad528941cc81e9d19f1198cb5  nade_uci/web_resplit.npz
3f255d815f9af0fd33862209cad21faee5ca4a7792b24db3509013d8fcedd7a5  omniglot/omniglot_28.npz
"""  # noqa: E501

SHA256 = {name: digest for digest, name in map(str.split, _SUMS.strip().splitlines())}

ORIGINS = {
    "mnist": "MNIST, yann.lecun.com/exdb/mnist; genlab data fetch mnist",
    "fashion_mnist": "github.com/zalandoresearch/fashion-mnist; genlab data fetch fashion_mnist",
    "binarized_mnist": "binarized MNIST of H. Larochelle; genlab data fetch mnist_binary",
    "caltech101_silhouettes": "people.cs.umass.edu/~marlin/data.shtml; "
    "genlab data fetch caltech_silhouettes",
    "cifar-10-batches-bin": "cs.toronto.edu/~kriz/cifar.html, binary version; genlab data fetch cifar10",
    "cifar10_subset": "genlab's own choice of CIFAR-10 pictures; data=cifar10 has all of them",
    "omniglot": "genlab's own area average of github.com/brendenlake/omniglot",
    "debd": "github.com/arranger1044/DEBD, folder datasets; genlab data fetch debd/NAME",
    "nade_uci": "the NADE and MADE sets of H. Larochelle, packed with np.packbits",
}


def origin_of(name: str) -> str:
    """The public source of a file, by its relative name."""
    folder, _, file = name.partition("/")
    return ORIGINS[folder].replace("NAME", file.split("/")[0].split(".")[0])
