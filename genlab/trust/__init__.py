"""What a file from elsewhere may do: be read. The one way into genlab for everything that lies on a disk.

``admit`` is what every path goes through, and each reader of a kind of file calls it: a path names a plain
file, inside of its folder where it is part of one, and what the file says it needs is compared with what
there is before memory is taken. No reader unpickles, imports or calls anything that a file names. That
there is no other reader is tested by reading genlab's own source. docs/security.md says what is promised.

    files     admit, and bytes
    text      text, JSON, YAML
    tensors   checkpoints and safetensors
    arrays    .npz, and the header of .npy
    pictures  images
    packed    gzip, zlib and tar
"""

from genlab.trust.files import Refused, admit, require_plain, require_within
from genlab.trust.text import read_json, read_text, read_yaml

__all__ = [
    "Refused",
    "admit",
    "read_json",
    "read_text",
    "read_yaml",
    "require_plain",
    "require_within",
]
