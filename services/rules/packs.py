"""The packs in force in this process: looked for four times a second, compiled aside, swapped in one piece."""

import asyncio
import ctypes
import gc
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog

from services.rules import pack_store
from services.rules.judging import InForce, Published
from services.rules.pack.compiled import CompiledPack
from services.rules.pack.compiling import compile_pack
from services.rules.pack.files import Files, PackRefusedError
from shared.postgres import Pool
from shared.tasks import forever

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 0.25
PATIENCE_SECONDS: Final = 3.0
MOST_TRIED: Final = 10


def _warn() -> None:
    log.warning("no_rule_pack", hint="publish one: lanjie rules publish FOLDER --author …")


def _compiled(files: Files) -> CompiledPack:
    """Compile a pack, and give back to the system what that took besides: some 15 MB, which glibc would keep."""
    pack = compile_pack(files)
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
    return pack


class Packs:
    """Follows what is released. Holds on to what it has when a release cannot be loaded."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._in_force: InForce | None = None
        self._there = asyncio.Event()
        self._refused: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(forever(self._look_again))

    async def stop(self) -> None:
        """Stop following."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def now(self) -> InForce | None:
        """What is in force, or nothing while no pack was published."""
        return self._in_force

    @property
    def refused(self) -> int:
        """How many released versions this process could not load."""
        return len(self._refused)

    async def in_force(self) -> InForce:
        """Return what is in force; wait for the first pack."""
        if self._in_force is None:
            warning = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, _warn)
            await self._there.wait()
            warning.cancel()
        assert self._in_force
        return self._in_force

    async def _look_again(self) -> None:
        await self.look()
        await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Take up what is released by now."""
        wanted = await pack_store.in_force(self._pool)
        before = self._in_force
        live = await self._loaded(wanted.get("live"), before.live if before else await self._last_loadable(wanted))
        if live is None:
            return
        shadow = await self._loaded(wanted.get("shadow"), before.shadow if before else None)
        now = InForce(live, shadow if "shadow" in wanted else None)
        if now != before:
            self._in_force = now
            self._there.set()
            log.info("rule_pack_in_force", live=live.label(), shadow=now.shadow.label() if now.shadow else None)

    async def _last_loadable(self, wanted: Mapping[str, int]) -> Published | None:
        """Return what was live last and can be loaded: a replica that starts must not judge by nothing."""
        if wanted.get("live") not in self._refused:
            return None
        for version in await pack_store.once_live(self._pool, MOST_TRIED):
            if loaded := await self._loaded(version, None):
                return loaded
        return None

    async def _loaded(self, version: int | None, before: Published | None) -> Published | None:
        if version is None or version in self._refused or (before and before.version == version):
            return before
        found = await pack_store.stored(self._pool, version)
        assert found, "a release names a version that is stored"
        try:
            return Published(version, await asyncio.to_thread(_compiled, found.files))
        except PackRefusedError as error:
            log.error("rule_pack_refused", version=version, faults=len(error.faults), first=str(error.faults[0]))  # noqa: TRY400
        except Exception:  # whatever another program wrote there: what is in force stays so
            log.exception("rule_pack_refused", version=version)
        self._refused.add(version)
        return before
