"""Reference data of rules: the rule pack to begin with."""

from pathlib import Path

from services.rules import pack_store
from services.rules.pack.compiling import compile_pack
from services.rules.pack.files import read_folder
from shared.postgres import AnyConnection


async def publish(connection: AnyConnection, folder: Path, author: str) -> int | None:
    """Publish a pack where none is live yet; return its version. From then on it is the analysts' to change."""
    files = read_folder(folder)
    pack = compile_pack(files)
    async with connection.transaction():
        await connection.execute("lock table pack_release in share row exclusive mode")
        if "live" in await pack_store.in_force(connection):
            return None
        version = await pack_store.store_pack(connection, pack.common.name, files, author, "to begin with")
        await pack_store.release(connection, "live", version, author, "to begin with")
        return version
