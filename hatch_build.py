"""Compiles the C files of recsys/kernels into one library, and the translations into what gettext reads.

C by the system's compiler, else by Zig's wheel; translations by Babel, so that no GNU gettext is needed.
"""

from __future__ import annotations

import os
import runpy
import shlex
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

LOCALE = "django_sessrec/locale"
KERNELS = "django_sessrec/recsys/kernels"
FEATURES, HEADER = "features.py", "features.h"  # the ranker's features, and the C enums made of them
LIBRARY = {"win32": "kernels.dll", "darwin": "kernels.dylib"}.get(sys.platform, "kernels.so")
ZIG = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]  # left alone it builds for this machine only
# No -march: the wheel must run on every machine of its platform, and the loops are bound by memory.
# No contraction into fused multiply-adds: every platform then ranks alike.
FLAGS = ("-std=c99", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-shared")


def system_compiler() -> list[str]:
    """$CC or the system's cc; empty where there is none (on Windows always: cl takes other flags)."""
    if sys.platform == "win32":
        return []
    if "CC" in os.environ:
        return shlex.split(os.environ["CC"])
    found = shutil.which("cc")
    return [found] if found else []


class CompilingBuildHook(BuildHookInterface):
    """Runs for wheels and editable installs; what it makes lies beside its sources, ignored by git."""

    def dependencies(self) -> list[str]:
        return ["babel>=2.16", *([] if system_compiler() else ["ziglang>=0.13"])]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.compile_translations(build_data)
        self.compile_kernels(build_data)

    def compile_translations(self, build_data: dict[str, Any]) -> None:
        from babel.messages.mofile import write_mo  # installed once `dependencies` was asked
        from babel.messages.pofile import read_po

        for source in sorted(Path(self.root, LOCALE).glob("*/LC_MESSAGES/*.po")):
            compiled = source.with_suffix(".mo")
            unfinished = source.with_suffix(f".mo.{os.getpid()}")
            try:
                with source.open("rb") as text, unfinished.open("wb") as binary:
                    write_mo(binary, read_po(text, abort_invalid=True))
                unfinished.replace(compiled)
            finally:
                unfinished.unlink(missing_ok=True)
            build_data["artifacts"].append(f"/{compiled.relative_to(self.root).as_posix()}")

    def compile_kernels(self, build_data: dict[str, Any]) -> None:
        compiler = system_compiler() or ZIG
        folder = Path(self.root) / KERNELS
        sources = sorted(folder.glob("*.c"))
        checksum = zlib.crc32(b"".join(path.read_bytes() for path in [*sources, folder / FEATURES]))
        (folder / HEADER).write_text(runpy.run_path(str(folder / FEATURES))["header"](), encoding="utf-8")
        unfinished = folder / f"{LIBRARY}.{os.getpid()}"
        position_independent = [] if sys.platform == "win32" else ["-fPIC"]
        command = [*compiler, *FLAGS, *position_independent, f"-DSESSREC_SOURCES={checksum}u"]
        try:
            subprocess.run([*command, *map(str, sources), "-o", str(unfinished)], check=True)  # noqa: S603
            unfinished.replace(folder / LIBRARY)  # a process that has the old one open keeps it
        except (OSError, subprocess.CalledProcessError) as error:
            remedy = (
                "name a C compiler in CC, or leave CC unset: without a cc on the PATH Zig's wheel compiles"
            )
            raise SystemExit(
                f"{shlex.join(compiler)!r} does not compile the C kernels ({error}); {remedy}"
            ) from error
        finally:
            unfinished.unlink(missing_ok=True)
        build_data["artifacts"].append(f"/{KERNELS}/{LIBRARY}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{next(platform_tags())}"
