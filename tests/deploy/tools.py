"""What manifests are checked with: kustomize, compose's own library, the schemas of the operators' resources.

They are built and fetched once, by their names and versions, into a cache outside the checkout. Where Go, Java or Maven
is missing, the checks fail with a sentence that says so.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

KUSTOMIZE: Final = "sigs.k8s.io/kustomize/kustomize/v5@v5.7.1"
COMPOSE: Final = "github.com/compose-spec/compose-go/v2/cmd@v2.10.0"
OPERATORS: Final = {
    "github.com/kedacore/keda/v2@v2.18.0": "config/crd/bases",
    "github.com/cloudnative-pg/cloudnative-pg@v1.27.1": "config/crd/bases",
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": "example/prometheus-operator-crd",
}
"""Go modules that hold resource definitions, and where."""

STRIMZI: Final = Path(__file__).parent / "strimzi" / "pom.xml"
GENERATOR: Final = (
    "io.strimzi.crdgenerator.CrdGenerator",
    "--yaml",
    "--target-kube",
    "1.27+",
    "--crd-api-version",
    "v1",
)
MODELS: Final = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")
FETCHING_SECONDS: Final = 600


def kustomize() -> Path:
    """Return the program that puts manifests together."""
    return _program(KUSTOMIZE, "kustomize")


def compose() -> Path:
    """Return compose's own loader: what `docker compose config` checks a file with."""
    return _program(COMPOSE, "cmd")


def definitions() -> list[Path]:
    """Return the files with the definitions of the operators' resources."""
    wanted = " ".join(OPERATORS) + STRIMZI.read_text(encoding="utf-8")
    return sorted(_kept("definitions", wanted, _fetch_definitions).glob("*.yaml"))


def run(*words: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a program that must end well; return what it printed. Fails with its own words."""
    told = {**os.environ, **environment}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=told,
        capture_output=True,
        text=True,
        check=False,
        timeout=FETCHING_SECONDS,
    )
    assert not done.returncode, f"{words[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"
    return done.stdout


def _program(package: str, name: str) -> Path:
    def build(folder: Path) -> None:
        run(needed("go", "Go"), "install", package, GOBIN=str(folder), GOFLAGS="-buildvcs=false")

    return _kept(name, package, build) / name


def needed(program: str, what: str) -> str:
    """Return a program's path, or say what to install."""
    found = shutil.which(program)
    assert found, f"{what} ({program}) is not on the PATH: the checks of manifests need Go 1.24, Java 17 and Maven"
    return found


def _fetch_definitions(folder: Path) -> None:
    for module, where in OPERATORS.items():
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "go.mod").write_text("module definitions\n", encoding="utf-8")
            said = run(needed("go", "Go"), "mod", "download", "-json", module, cwd=Path(scratch))
        for path in (Path(json.loads(said)["Dir"]) / where).glob("*.yaml"):
            (folder / path.name).write_bytes(path.read_bytes())
    jars = folder / "jars"
    run(needed("mvn", "Maven"), "-q", "-B", "-f", STRIMZI, "dependency:copy-dependencies", f"-DoutputDirectory={jars}")
    for model in MODELS:
        written = folder / f"{model}.yaml"
        run(needed("java", "Java"), "-cp", f"{jars}/*", *GENERATOR, f"io.strimzi.api.kafka.model.{model}={written}")
    shutil.rmtree(jars)


def _kept(name: str, wanted: str, make: Callable[[Path], None]) -> Path:
    """Return the cache's folder for what is wanted, made the first time: whole, or not at all."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lanjie"
    folder = cache / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=cache) as scratch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():  # another run may have made it while we waited
            made = Path(scratch) / "made"
            made.mkdir()
            make(made)
            made.rename(folder)
    return folder
