"""The compiled loops of the engine, loaded once through ctypes, which releases the GIL during a call.

Plain C because numba, measured, costs a web worker 112 MB of memory, 208 MB of disk and 0.28 s at start.
`hatch_build.py` compiles the C files of this folder into one library beside them.
"""

from __future__ import annotations

import ctypes
import sys
import zlib
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = FOLDER / {"win32": "kernels.dll", "darwin": "kernels.dylib"}.get(sys.platform, "kernels.so")
REMEDY = "run `pip install -e .` in the checkout, or install a wheel of django-sessrec for this platform"


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(LIBRARY))
    except OSError as error:
        raise ImportError(f"the compiled kernels do not load ({error}); {REMEDY}") from error
    library.sessrec_sources.restype = ctypes.c_uint32
    sources = [*sorted(FOLDER.glob("*.c")), FOLDER / "features.py"]
    if library.sessrec_sources() != zlib.crc32(b"".join(source.read_bytes() for source in sources)):
        raise ImportError(f"{LIBRARY} was compiled from other sources than those beside it; {REMEDY}")
    return library


library = _load()
