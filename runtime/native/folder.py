"""Where compiled programs are kept: one folder per user, or one per process where that cannot be written.

Takes the environment, gives a folder that exists and whose libraries can be loaded. Compiled programs are code that
this process runs, so a folder is made for its user alone.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path


def cache_folder() -> Path:
    """The user's folder, which need not exist: NNC_CACHE_DIR, else nnc in XDG_CACHE_HOME, else ~/.cache/nnc."""
    if chosen := os.environ.get("NNC_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base).absolute() / "nnc"
    return Path("~/.cache/nnc").expanduser().absolute()


def writable_folder() -> Path:
    """`cache_folder()`, made if need be; where it cannot be written or holds no programs, the process's own folder."""
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return temporary_folder(os.getpid())
    return temporary_folder(os.getpid()) if _refuses_programs(folder) else folder


def _refuses_programs(folder: Path) -> bool:
    """Mounted `noexec`: no library there can be loaded."""
    return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))


@lru_cache(maxsize=1)
def temporary_folder(process: int) -> Path:
    """A folder that goes with the process of this number, which is the caller's; a forked child makes its own."""
    folder = Path(tempfile.mkdtemp(prefix="nnc-"))
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
