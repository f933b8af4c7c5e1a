"""Prometheus and Alertmanager beside the local run: `OPS=1`. They are Debian's own programs.

Where they are not installed, `apt-get download` fetches their packages, once, into a cache outside the checkout, and
`dpkg -x` unpacks them there: nothing is installed, and nobody has to be root.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.local.config import HOST, ROOT, SERVICES, CannotRunError, Local

PROMETHEUS: Final = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RULES: Final = ROOT / "deploy" / "prometheus" / "rules"
ALERTMANAGER: Final = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
NAMES: Final = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),  # the second is Debian's
    "amtool": ("amtool",),
}
PARTS: Final = ("prometheus", "alertmanager")
PACKAGES: Final = (
    "prometheus",
    "prometheus-alertmanager",
    # what the pages of Prometheus' own screen load
    "fonts-glyphicons-halflings",
    "libjs-bootstrap4",
    "libjs-d3",
    "libjs-eonasdan-bootstrap-datetimepicker",
    "libjs-jquery",
    "libjs-jquery-hotkeys",
    "libjs-moment",
    "libjs-moment-timezone",
    "libjs-mustache",
    "libjs-popper.js",
    "libjs-rickshaw",
)
SCREEN: Final = Path("usr", "share", "prometheus", "web")
FIXED: Final = b"/usr/share/prometheus/alertmanager"
"""Where Debian's Alertmanager looks for its templates and pages, whatever it is told."""
LOOSE: Final = b"usr/share//prometheus/alertmanager"
"""The same, from the folder it is started in."""
KEPT: Final = "30d"
"""Longer than the four weeks that the alerts look back."""
QUICK: Final = "5s"
"""A local run lasts minutes: it is looked at more often than a house would."""


def tool(name: str) -> Path:
    """Return the path of `prometheus`, `promtool`, `alertmanager` or `amtool`: the one on the PATH, or the cache's.

    Raises `CannotRunError` where it is neither installed nor can be fetched.
    """
    for one in NAMES[name]:
        if found := shutil.which(one):
            return Path(found)
    programs = _unpacked() / "usr" / "bin"
    return next(programs / one for one in reversed(NAMES[name]) if (programs / one).exists())


def _unpacked() -> Path:
    """Return the folder with the unpacked packages, fetched the first time."""
    wanted = hashlib.sha256(" ".join((*PACKAGES, LOOSE.decode())).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lanjie"
    folder = cache / f"prometheus-{wanted}"
    if folder.is_dir():
        return folder
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            raise CannotRunError(
                f"Prometheus is not on the PATH, and {program}, which would fetch Debian's, is missing. Install "
                "prometheus, promtool, alertmanager and amtool, or run without OPS=1."
            )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        whole = Path(scratch) / "root"
        whole.mkdir()
        _fetch(Path(scratch))
        for package in sorted(Path(scratch).glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(whole)], check=True)  # noqa: S607 - the system's own
        alertmanager = whole / "usr" / "bin" / NAMES["alertmanager"][-1]
        alertmanager.write_bytes(alertmanager.read_bytes().replace(FIXED, LOOSE))
        if not folder.is_dir():  # another run may have been quicker
            whole.chmod(0o755)
            whole.rename(folder)
    return folder


def _fetch(folder: Path) -> None:
    words = ["apt-get", "--quiet", "download", *PACKAGES]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-1000:]
        raise CannotRunError(
            "Prometheus is not on the PATH, and apt-get cannot download Debian's packages. Bring its lists up to date "
            f"(apt-get update), or install prometheus and prometheus-alertmanager. It said:\n{said}"
        )


def prepare(local: Local) -> None:
    """Write what Prometheus and Alertmanager are told in this run; fetch them where they are missing."""
    tool("prometheus")
    _write(local, "prometheus.yml", _scraping(local))
    _write(local, "alertmanager.yml", _routing())


def commands(local: Local) -> dict[str, str]:
    """Return the command line of each of the two, by name."""
    folder, ports = local.folder / "ops", local.ports
    prometheus, alertmanager = tool("prometheus"), tool("alertmanager")
    screen = _root(prometheus) / SCREEN  # Debian's program looks where the package would have put its pages
    pages = f" --web.local-assets={screen}" if screen.is_dir() else ""
    return {
        "prometheus": f"{prometheus} --config.file={folder}/prometheus.yml --storage.tsdb.path={folder}/prometheus"
        f" --storage.tsdb.retention.time={KEPT} --web.listen-address={HOST}:{ports['prometheus']}{pages}"
        f" --rules.alert.resend-delay={QUICK}",
        "alertmanager": f"env --chdir={_root(alertmanager)} {alertmanager} --config.file={folder}/alertmanager.yml"
        f" --storage.path={folder}/alertmanager --web.listen-address={HOST}:{ports['alertmanager']}"
        " --cluster.listen-address=",
    }


def _root(program: Path) -> Path:
    """Return the folder under which the program's package lies: two above its own."""
    return program.parent.parent.parent


def _scraping(local: Local) -> dict[str, Any]:
    """Return the committed configuration with this run's addresses in place of those of a house."""
    told: dict[str, Any] = yaml.safe_load(PROMETHEUS.read_text(encoding="utf-8"))
    told["global"] |= {"scrape_interval": QUICK, "scrape_timeout": QUICK, "evaluation_interval": QUICK}
    told["rule_files"] = [f"{RULES}/*.yml"]
    told["alerting"] = {"alertmanagers": [_at(local, "alertmanager")]}
    told["scrape_configs"] = [{"job_name": service, **_at(local, service)} for service in SERVICES]
    return told


def _at(local: Local, part: str) -> dict[str, Any]:
    return {"static_configs": [{"targets": [f"{HOST}:{local.ports[part]}"]}]}


def _routing() -> dict[str, Any]:
    """Return the committed configuration with receivers that call nobody: alerts are on Alertmanager's screen."""
    told: dict[str, Any] = yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))
    told["receivers"] = [{"name": receiver["name"]} for receiver in told["receivers"]]
    return told


def _write(local: Local, name: str, content: dict[str, Any]) -> None:
    path = local.folder / "ops" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def main() -> None:
    """Print where the named tools are, fetching them first: `python -m deploy.local.prometheus promtool`."""
    for name in sys.argv[1:]:
        print(tool(name))


if __name__ == "__main__":
    try:
        main()
    except CannotRunError as error:
        sys.exit(str(error))
