"""Fetching the files of a set from their public source, only when asked to.

A file is kept once it is known to be the published one: what fails leaves nothing behind. $GENLAB_MIRROR
names a web server to ask in place of the public sources; it is laid out as a data folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import IO, NamedTuple
from urllib.request import Request, urlopen

from genlab.contracts import DataError, GenlabError, UsageError
from genlab.data.check import built_in_sets, set_status
from genlab.data.checksums import SHA256, origin_of
from genlab.data.cifar import Cifar10
from genlab.data.files import destination, is_intact
from genlab.data.images import BinarizedMnist, IdxImages
from genlab.data.names import check_name
from genlab.data.silhouettes import Silhouettes
from genlab.data.source import SPLITS
from genlab.data.tables import DebdTable
from genlab.progress import progress
from genlab.runs import atomic
from genlab.trust import Refused
from genlab.trust.packed import members

CHUNK = 2**20  # bytes read at a time
PATIENCE = 30.0  # seconds to wait for a server
MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
FASHION_MNIST = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
BINARIZED_MNIST = "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"
SILHOUETTES = "https://people.cs.umass.edu/~marlin/data"
CIFAR10 = "https://www.cs.toronto.edu/~kriz"
DEBD = (
    "https://raw.githubusercontent.com/arranger1044/DEBD/"
    "80a4906dcf3b3463370f904efa42c21e8295e85c/datasets"
)


class Download(NamedTuple):
    """name: relative, where it is kept; url: its public address.

    Where no sha256 is known: md5, or check, which raises DataError for a file that is not as published.
    members: of a tar archive, which are kept in its place; else none.
    """

    name: str
    url: str
    md5: str = ""
    check: Callable[[Path], object] | None = None
    members: tuple[str, ...] = ()


def fetch(name: str, to: Path | None = None) -> list[Path]:
    """Fetch a built-in set into ``to`` (by default where ``destination`` says); the paths of its files.

    Files that are there already, and are the published ones, are left alone.
    Raises UsageError for a set that is unknown or has no public source in a form that genlab reads,
    GenlabError where the network fails or a file is not the published one.
    """
    check_name("data set", name, built_in_sets())
    folder = destination() if to is None else to
    wanted = downloads(name)
    for download in wanted:
        if not all(_is_there(folder / file, file, download.check) for file in _files(download)):
            _fetch(download, folder)
    return [folder / file for download in wanted for file in _files(download)]


def downloads(name: str) -> list[Download]:
    """What has to be fetched for a set; empty for one that is inside the package.

    Raises UsageError, saying where to get it, for a set that genlab cannot fetch.
    """
    if name.startswith("debd/"):
        return [_debd(DebdTable(name.removeprefix("debd/")), split) for split in SPLITS]
    if name == "mnist_binary":
        return [_in(BINARIZED_MNIST, file) for file in BinarizedMnist.TEXT.values()]
    if name == "fashion_mnist":
        return [_in(FASHION_MNIST, file) for file in IdxImages("fashion_mnist").files()]
    if name.startswith("mnist"):
        return [_in(MNIST, file) for file in IdxImages("mnist").files()]
    if name == "caltech_silhouettes":
        return [_in(SILHOUETTES, Silhouettes.ORIGINAL)]
    if name == "cifar10":
        archive, md5 = "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
        return [Download(archive, f"{CIFAR10}/{archive}", md5, members=Cifar10().files())]
    files = set_status(name, verify=False).files
    if not files:
        return []
    raise UsageError(
        f"genlab cannot fetch {name}: put {files[0].name} under $GENLAB_DATA or ./data yourself "
        f"(source: {origin_of(files[0].name)})"
    )


def _in(base: str, name: str) -> Download:
    return Download(name, f"{base}/{Path(name).name}")


def _debd(table: DebdTable, split: str) -> Download:
    """No checksum of these is known: rows and variables must be as many as published."""
    file = table.text_of(split)
    url = f"{DEBD}/{file.removeprefix('debd/')}"
    return Download(file, url, check=partial(table.read_text, split))


def _files(download: Download) -> tuple[str, ...]:
    return download.members or (download.name,)


def _is_there(path: Path, name: str, check: Callable[[Path], object] | None) -> bool:
    """Whether this is the published file, as far as one can tell."""
    if not path.is_file():
        return False
    try:
        return (check is None or bool(check(path))) and is_intact(name, path)
    except DataError:
        return False


def _fetch(download: Download, folder: Path) -> None:
    with tempfile.NamedTemporaryFile(prefix="genlab-") as content:
        _download(download, content)
        content.flush()
        content.seek(0)
        if download.members:
            _unpack(content, download, folder)
        else:
            _check(download, Path(content.name))
            _keep(content, folder / download.name)


def _keep(content: IO[bytes], path: Path) -> None:
    with atomic(path) as file:
        shutil.copyfileobj(content, file, CHUNK)


def _check(download: Download, path: Path) -> None:
    if download.check is not None:
        try:
            download.check(path)
        except DataError as error:
            raise GenlabError(f"{_address(download)} is not the published file: {error}") from error


def _address(download: Download) -> str:
    mirror = os.environ.get("GENLAB_MIRROR")
    return f"{mirror.rstrip('/')}/{download.name}" if mirror else download.url


def _download(download: Download, file: IO[bytes]) -> None:
    """Write the content to file. Raises GenlabError unless it is whole and the published one."""
    url = _address(download)
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    for chunk in _chunks(url, download.name):
        sha256.update(chunk)
        md5.update(chunk)
        file.write(chunk)
    known = SHA256.get(download.name)
    found, expected = (md5, download.md5) if known is None else (sha256, known)
    if expected and found.hexdigest() != expected:
        raise GenlabError(
            f"{url} is not the published file: its {found.name} is {found.hexdigest()[:12]}…, expected "
            f"{expected[:12]}…; nothing was kept"
        )


def _chunks(url: str, name: str) -> Iterator[bytes]:
    """The content at an address, with progress. Raises GenlabError where it cannot be had, or not all."""
    done = 0
    try:
        request = Request(url, headers={"User-Agent": "genlab"})
        with closing(urlopen(request, timeout=PATIENCE)) as answer:
            total = int(answer.headers.get("Content-Length") or 0)
            with progress(f"fetch {name}", total) as advance:
                while chunk := answer.read(CHUNK):
                    done += len(chunk)
                    advance(done, "bytes")
                    yield chunk
    except (OSError, HTTPException, ValueError) as error:  # URLError is an OSError
        raise GenlabError(f"{url} cannot be fetched: {error}") from error
    if done < total:
        raise GenlabError(f"{url} cannot be fetched: it ended after {done} of {total} bytes")


def _unpack(archive: IO[bytes], download: Download, folder: Path) -> None:
    """Keep the expected members of a tar archive, and nothing else that may be in it."""
    try:
        for name, content in members(archive, download.members):
            _keep(content, folder / name)
    except Refused as error:
        raise GenlabError(f"{download.name} is no archive of CIFAR-10: {error}") from error
