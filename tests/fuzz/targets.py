"""What is fuzzed: a function for each kind of input, which draws a case and runs it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import yaml
from hypothesis import strategies as st

from genlab import options, plugins, targets
from genlab.data.readers import read_idx
from genlab.errors import UsageError
from genlab.sums import file_digest, side
from tests.fuzz.canary import objects
from tests.fuzz.mutation import bytes_like, edited, odd, text_like
from tests.fuzz.outcome import limit, run
from tests.fuzz.place import Place, files, read, sign
from tests.training.running import SHORT

Case = Callable[[st.DataObject, Place], None]

KEYS = [
    "model",
    "model.hidden",
    "model.masks",
    "model.order",
    "model._target_",
    "model.head",
    "model.dropout",
    "model.activation",
    "data",
    "data.name",
    "data.n",
    "data.preprocess",
    "data.batch_size",
    "optimizer",
    "optimizer.lr",
    "stages",
    "stages.fit",
    "stages.fit.max_epochs",
    "stages.fit.lr_schedule",
    "stages.fit.optimizer",
    "seed",
    "folder",
    "name",
    "evaluate",
    "samples",
    "gallery",
    "select",
    "trainer",
    "trainer.devices",
    "trainer.precision",
    "likelihood",
    "likelihood.k",
    "metric",
    "callbacks",
    "logger",
    "experiment",
    "schedule",
    "denoiser",
    "sampler",
    "modle",
    "x",
]
VALUES = [
    "1",
    "-1",
    "0",
    "0.5",
    "1e999",
    "nan",
    "null",
    "true",
    "[]",
    "[8]",
    "[8,8]",
    "[[8]]",
    "{}",
    "{a:1}",
    "{1:0.1}",
    "made",
    "rbm",
    "diffusion",
    "digits",
    "digits_binary",
    "toy2d",
    "adam",
    "sgd",
    "exact",
    "ais",
    "all",
    "os.system",
    "genlab.models.made.MADE",
    "genlab.models.made.MADE.sample",
    "torch.load",
    "genlab.data.write_shards",
    "../../etc/passwd",
    "/dev/zero",
    "${seed}",
    "${oc.env:HOME}",
    "${oc.decode:x}",
    "${x.y}",
    "${${a}}",
    "'a",
    "b'",
    '"a"',
    "a=b",
    "choice(1,2)",
    "glob(*)",
    "interval(1,2)",
    "?",
    "???",
    "a/b",
    "acme/made",
    "@x:",
    "~",
]


def overrides(data: st.DataObject, place: Place) -> None:
    """Words of a command line."""
    value = st.one_of(st.sampled_from(VALUES), st.text(max_size=12))
    word = st.one_of(
        st.builds(
            "{}{}={}".format,
            st.sampled_from(["", "", "", "+", "++", "~"]),
            st.sampled_from(KEYS),
            value,
        ),
        st.text(max_size=20),
        st.sampled_from(KEYS),
    )
    words = [w for w in data.draw(st.lists(word, min_size=1, max_size=3)) if not w.startswith("-")]
    run("config", data.draw(st.sampled_from(["check", "show"])), "model.hidden=[8]", *words)


def configurations(data: st.DataObject, place: Place) -> None:
    """A tree of somebody's own configurations, in the folder where genlab is started."""
    whole = (place.tree / "model/mine.yaml").read_text()
    content = st.one_of(
        text_like(whole),
        edited(yaml.safe_load(whole)).map(lambda v: yaml.safe_dump(v, sort_keys=False)),
    )
    text = data.draw(content)
    with place.empty() as folder, started_in(folder):
        path = folder / "configs/model/mine.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text, errors="replace")
        run("list", "models")
        run("config", data.draw(st.sampled_from(["check", "show"])), "model=mine")


def plugin_folders(data: st.DataObject, place: Place) -> None:
    """An installed plugin with one file spoiled."""
    with place.copy(place.plugin) as folder, installed(folder):
        name = data.draw(st.sampled_from([n for n in files(folder) if not n.endswith(".py")]))
        text = data.draw(text_like((folder / name).read_text()))
        (folder / name).write_text(text, errors="replace")
        run("plugins", "list")
        run("list", "models")
        run(
            "config",
            "check",
            data.draw(st.sampled_from(["model=fuzzed", "experiment=fuzzed", "seed=1"])),
        )


def arrays(data: st.DataObject, place: Place) -> None:
    """.npz files as data, and as evidence."""
    kind = data.draw(st.sampled_from(["data", "packed", "evidence", "objects"]))
    if kind == "objects":
        content = _with_objects(data)
    else:
        whole = {"data": place.npz, "packed": place.packed, "evidence": place.evidence}[kind]
        content = data.draw(bytes_like(whole))
    with place.empty() as folder:
        path = folder / "x.npz"
        path.write_bytes(content)
        if kind == "evidence":
            words = ["--complete", path, "--evidence", "observed:left"]
            run("sample", place.run, "--n", "1", *words, "-o", folder / "out")
        else:
            run("config", "check", "data=npz", f"data.path={path}", "model.hidden=[8]")


def _with_objects(data: st.DataObject) -> bytes:
    buffer = io.BytesIO()
    held = np.array(data.draw(st.sampled_from(objects())), dtype=object)
    np.savez(buffer, x=np.array([held, held], dtype=object))
    return buffer.getvalue()


def pictures(data: st.DataObject, place: Place) -> None:
    """Images as data, as evidence and as a mask."""
    content = data.draw(
        st.one_of(bytes_like(place.png), bytes_like(place.gif), st.just(POSTSCRIPT))
    )
    with place.empty() as folder:
        path = folder / "data" / "x.png"
        path.parent.mkdir()
        path.write_bytes(content)
        kind = data.draw(st.sampled_from(["data", "evidence", "mask"]))
        if kind == "data":
            for i in range(20):
                (path.parent / f"{i}.png").write_bytes(place.png)
            words = [
                "data=image_folder",
                f"data.path={path.parent}",
                "data.size=8",
                "data.mode=grey",
            ]
            run("data", "shard", *words, "-o", folder / "out")
            return
        good = folder / "good.png"
        good.write_bytes(place.png)
        shown, mask = (path, "left") if kind == "evidence" else (good, path)
        words = ["--complete", shown, "--evidence", f"observed:{mask}", "--resize"]
        run("sample", place.run, "--n", "1", *words, "-o", folder / "out")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\n"


def idx_files(data: st.DataObject, place: Place) -> None:
    """Gzipped idx files, packed again after something was changed inside, or changed as they are."""
    import gzip

    inside = bytes_like(place.idx_header).map(lambda b: gzip.compress(b, 1, mtime=0))
    content = data.draw(st.one_of(inside, bytes_like(place.idx)))
    with place.empty() as folder:
        path = folder / "x.gz"
        path.write_bytes(content)
        with limit(), contextlib.suppress(UsageError):
            read_idx(path)


def checkpoints(data: st.DataObject, place: Place) -> None:
    """The weights of a run: their bytes, or what lies in them."""
    with place.copy(place.run) as folder:
        path = folder / "checkpoints/fit/best.ckpt"
        if data.draw(st.booleans()):
            path.with_name("best.ckpt.sha256").unlink()
        if data.draw(st.booleans()):
            path.write_bytes(data.draw(bytes_like(path.read_bytes())))
        else:
            held = torch.load(path, weights_only=True)
            key = data.draw(st.sampled_from(sorted(held)))
            held[key] = data.draw(st.one_of(odd, st.sampled_from(objects())))
            torch.save(held, path)
        run("sample", folder, "--n", "1", "-o", folder / "out")
        run("verify", folder)


def runs(data: st.DataObject, place: Place) -> None:
    """A run directory of which one file of text is another."""
    with place.copy(place.run) as folder:
        _spoil(data, folder, ["run.json", "config.yaml", "metrics.csv"])
        _look(data, folder)


def exports(data: st.DataObject, place: Place) -> None:
    """An export of which one file is another, with checksums that fit or not."""
    with place.copy(place.export) as folder:
        _spoil(data, folder, [])
        if data.draw(st.integers(0, 3)):
            with contextlib.suppress(OSError, UsageError):
                sign(folder)
        _look(data, folder)


def _spoil(data: st.DataObject, folder: Path, likely: list[str]) -> None:
    texts = [n for n in files(folder) if n.endswith((".json", ".yaml"))]
    name = data.draw(st.sampled_from([*likely, *texts, *files(folder)]))
    path = folder / name
    kind = data.draw(st.sampled_from(["value", "value", "value", "bytes", "gone", "link", "pipe"]))
    if kind == "gone":
        path.unlink()
    elif kind == "link":
        path.unlink()
        path.symlink_to(data.draw(st.sampled_from(["/etc/passwd", "/dev/zero", "/", "..", name])))
    elif kind == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif kind == "value" and name in texts:
        if name.endswith(".json"):
            path.write_text(json.dumps(data.draw(edited(read(path)))))
        else:
            value = data.draw(edited(yaml.safe_load(path.read_text())))
            path.write_text(yaml.safe_dump(value, sort_keys=False))
    elif name.endswith(".yaml"):
        path.write_text(data.draw(text_like(path.read_text())), errors="replace")
    else:
        path.write_bytes(data.draw(bytes_like(path.read_bytes())))


def _look(data: st.DataObject, folder: Path) -> None:
    """By two of the verbs that open a folder."""
    out = folder.parent / "out"
    verbs = [
        ("info", folder),
        ("info", folder, "--json"),
        ("runs", folder.parent),
        ("compare", folder),
        ("compare", folder, "--format", "html"),
        ("gallery", folder, "-o", out),
        ("verify", folder),
        ("sample", folder, "--n", "1", "-o", out),
        ("evaluate", folder, "--split", "val", "-o", out),
        ("export", folder, "-o", out / "export"),
    ]
    for words in data.draw(st.lists(st.sampled_from(verbs), min_size=2, max_size=2)):
        run(*words)


def resumed(data: st.DataObject, place: Place) -> None:
    """An interrupted run to go on with, of which one file is another, with a checksum that fits or not."""
    with place.copy(data.draw(st.sampled_from(place.interrupted))) as folder:
        inside = data.draw(st.booleans())
        if inside:
            _spoil_inside(data, data.draw(st.sampled_from(sorted(folder.rglob("last.ckpt")))))
        else:
            _spoil(data, folder, ["run.json", "config.yaml", "metrics.csv"] * 3)
        if inside or data.draw(st.booleans()):
            _sign_checkpoints(folder)
        resume = data.draw(st.sampled_from(["auto", folder, folder]))
        words = [*SHORT, f"folder={folder.parent}", "--resume", resume]
        run("train", *words, codes=(0, 1, 2))  # 1: a loss or weights that are not finite


def _spoil_inside(data: st.DataObject, path: Path) -> None:
    """Another value, or none, somewhere in a checkpoint."""
    held = torch.load(path, weights_only=True)
    torch.save(data.draw(edited(held)), path)


def _sign_checkpoints(folder: Path) -> None:
    """Write the checksums of checkpoints anew, as whoever means harm would."""
    for path in folder.rglob("*.ckpt"):
        with contextlib.suppress(
            UsageError, OSError
        ):  # it may be a pipe by now, or its sum a folder
            digest = file_digest(path)
            side(path).unlink(missing_ok=True)
            side(path).write_text(digest + "\n")


def shard_indexes(data: st.DataObject, place: Place) -> None:
    """A folder of shards: its index, or one of its files."""
    with place.copy(data.draw(st.sampled_from(place.shards))) as folder:
        path = folder / "index.json"
        kind = data.draw(st.sampled_from(["value", "value", "bytes", "file", "link"]))
        if kind == "value":
            path.write_text(json.dumps(data.draw(edited(read(path)))))
        elif kind == "bytes":
            path.write_bytes(data.draw(bytes_like(path.read_bytes())))
        else:
            shard = folder / data.draw(
                st.sampled_from([n for n in files(folder) if n != "index.json"])
            )
            whole = shard.read_bytes()
            shard.unlink()
            if kind == "file":
                shard.write_bytes(data.draw(bytes_like(whole)))
            else:
                shard.symlink_to(
                    data.draw(st.sampled_from(["/etc/passwd", "/dev/zero", shard.name]))
                )
        words = ["data=shards", f"data.path={folder}"]
        run(*data.draw(st.sampled_from([("data", "check", folder), ("verify", folder)])))
        run("data", "shard", *words, "-o", folder.parent / "out")


@contextlib.contextmanager
def started_in(folder: Path) -> Iterator[None]:
    """As if genlab had been started there."""
    before = Path.cwd()
    os.chdir(folder)
    _forget()
    try:
        yield
    finally:
        os.chdir(before)
        _forget()


@contextlib.contextmanager
def installed(folder: Path) -> Iterator[None]:
    """As if the packages in a folder were installed."""
    sys.path.append(str(folder))
    sys.path_importer_cache.clear()
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [n for n in sys.modules if n.startswith("genlab_fuzzed")]:
            del sys.modules[name]
        _forget()


def _forget() -> None:
    """What genlab looks up once in a process."""
    for each in (options.trees, options.options, plugins.plugins, targets.named_targets):
        each.cache_clear()


ALL: dict[str, Case] = {
    "overrides": overrides,
    "configurations": configurations,
    "plugins": plugin_folders,
    "arrays": arrays,
    "pictures": pictures,
    "idx": idx_files,
    "checkpoints": checkpoints,
    "runs": runs,
    "exports": exports,
    "shards": shard_indexes,
    "resumed": resumed,
}
