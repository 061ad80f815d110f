"""What would leave a trace if it were run: each payload makes the file CANARY."""

from __future__ import annotations

import os
import pickle
import tempfile
from pathlib import Path

CANARY = Path(tempfile.gettempdir()) / f"genlab-canary-{os.getpid()}"


class _Reduced:
    def __init__(self, function: object, *args: object) -> None:
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def pickles() -> list[bytes]:
    """Pickled objects that run code as they are loaded, in each way that there is."""
    calls = [
        _Reduced(os.system, f"touch {CANARY}"),
        _Reduced(open, str(CANARY), "w"),
        _Reduced(eval, f"open({str(CANARY)!r}, 'w')"),
    ]
    return [pickle.dumps(call, protocol) for call in calls for protocol in (0, 2, 4)]


def objects() -> list[object]:
    """To be saved by ``torch.save`` and ``np.save``."""
    return [_Reduced(os.system, f"touch {CANARY}"), _Reduced(open, str(CANARY), "w")]


PYTHON_TAGS = [
    f"\nx: !!python/object/apply:os.system ['touch {CANARY}']\n",
    f"\nx: !!python/object/new:os.system ['touch {CANARY}']\n",
    f"\nx: !!python/object/apply:builtins.open ['{CANARY}', 'w']\n",
    f"\nx: !!python/name:os.system\ny: !!python/module:os\nz: {CANARY}\n",
    "\na: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n"
    "d: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d]\n"
    "f: &f [*e, *e, *e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f, *f, *f, *f, *f]\n",
    "\na: &a [*a]\n",
    "\nx: " + "[" * 500 + "\n",
    "\nx: 2001-99-99\ny: 0x\n",
]
TARGETS = [
    {"_target_": "os.system", "command": f"touch {CANARY}"},
    {"_target_": "builtins.open", "file": str(CANARY), "mode": "w"},
    {"_target_": "builtins.exec", "_args_": [f"open({str(CANARY)!r}, 'w')"]},
    {"_target_": "pathlib.Path.touch", "self": str(CANARY)},
    {"_target_": "subprocess.Popen", "args": ["touch", str(CANARY)]},
    {"_target_": "torch.load", "f": str(CANARY)},
    {"_target_": "genlab.runs.write_text", "path": str(CANARY), "text": ""},
    {
        "_target_": "genlab.metrics.features._learn",
        "path": str(CANARY),
        "data": {"_target_": "genlab.data.digits"},
    },
    {
        "_target_": "genlab.data.write_shards",
        "folder": str(CANARY),
        "data": {"_target_": "genlab.data.digits"},
    },
    {
        "_target_": "genlab.data.column_writer._File",
        "path": str(CANARY),
        "shape": [1],
        "dtype": "u1",
    },
]
