"""`nnc cache`: the compiled programs that are kept, and how to be rid of them."""

from __future__ import annotations

import argparse

from .console import narrate, result, result_json

NAME = "cache"
SUMMARY = "show how much room compiled programs take, or remove them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clear", action="store_true", help="remove them all; they are compiled again when needed")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.epilog = (
        "The folder is NNC_CACHE_DIR, else nnc in XDG_CACHE_HOME, else ~/.cache/nnc. At most 256 MiB are kept, those"
        " used last."
    )


def run(arguments: argparse.Namespace) -> int:
    from nnc.compiler.emit.summary import bytes_text
    from nnc.runtime.native.cache import clear
    from nnc.runtime.native.folder import cache_folder
    from nnc.runtime.store import LIMIT_BYTES, entries

    folder = cache_folder()
    removed = clear(folder) if arguments.clear else []
    found = entries(folder)
    size = sum(entry.size_bytes for entry in found)
    if arguments.json:
        facts = {"folder": str(folder), "entries": len(found), "bytes": size, "limit_bytes": LIMIT_BYTES}
        result_json({**facts, "removed": len(removed)} if arguments.clear else facts)
        return 0
    if arguments.clear:
        freed = bytes_text(sum(entry.size_bytes for entry in removed))
        narrate(f"removed {len(removed)} {'entry' if len(removed) == 1 else 'entries'}, {freed}")
    result(
        f"folder   {folder}\nentries  {len(found)}\nsize     {bytes_text(size)} of at most {bytes_text(LIMIT_BYTES)}"
    )
    return 0
