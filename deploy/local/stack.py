"""The processes of the local run, under one supervisor that restarts what dies."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import psutil
from supervisor.xmlrpc import SupervisorTransport

from deploy.local import prometheus
from deploy.local.config import HOST, ROOT, SERVICES, CannotRunError, Local, packaged

KAFKA_BINARY: Final = packaged("noida_db", "noida-db")
STOP_SECONDS: Final = 25.0


def configuration(local: Local) -> str:
    """Return the supervisor's configuration."""
    folder = local.folder
    sections = [
        f"""[supervisord]
nodaemon=true
silent=true
logfile={folder}/logs/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}/logs

[unix_http_server]
file={folder}/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
    ]
    sections.append(
        _program(
            local,
            "postgres",
            f"{sys.executable} -m deploy.local.postgres",
            {},
            "stopsignal=INT\nautostart=true\nstopwaitsecs=15",
        )
    )
    for broker in local.brokers:
        kafka = (
            f"{sys.executable} -m deploy.local.apache {broker.number}"
            if local.apache
            else f"{KAFKA_BINARY} start --only kafka --kafka-port {broker.port} --data-dir {folder}/kafka --host {HOST}"
        )
        more = "stopsignal=TERM\nautostart=true\nstopwaitsecs=5"
        sections.append(_program(local, broker.name, kafka, _which(local), more))
    if local.ops:
        for part, command in prometheus.commands(local).items():
            sections.append(_program(local, part, command, {}, "stopsignal=TERM\nautostart=true\nstopwaitsecs=10"))
    for service in SERVICES:
        told = local.environment(service)
        command = f"{sys.executable} -m services.{service}"
        sections.append(_program(local, service, command, told, "stopsignal=TERM\nautostart=false\nstopwaitsecs=15"))
    return "\n".join(sections)


def _which(local: Local) -> dict[str, str]:
    return {"KAFKA": "apache" if local.apache else "embedded", "KAFKA_BROKERS": str(len(local.brokers))}


def _program(local: Local, name: str, command: str, told: dict[str, str], more: str) -> str:
    told = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "LANJIE_RUN_DIR": str(local.folder),
        **{f"LANJIE_{part.upper()}_PORT": str(port) for part, port in local.ports.items()},
        **told,
    }
    environment = ",".join(f'{key}="{value.replace("%", "%%")}"' for key, value in told.items())
    return f"""[program:{name}]
command={command.replace("%", "%%")}
directory={ROOT}
environment={environment}
autorestart=true
startsecs=1
priority={10 if name in SERVICES else 1}
startretries=1000000
stopasgroup={"false" if name == "postgres" else "true"}
killasgroup=true
redirect_stderr=true
stdout_logfile={local.folder}/logs/{name}.log
stdout_logfile_maxbytes=50MB
stdout_logfile_backups=2
{more}
"""


def running_pid(local: Local) -> int | None:
    """Return the pid of the supervisor of this folder, if it runs."""
    with suppress(OSError, ValueError):
        pid = int((local.folder / "supervisord.pid").read_text())
        with suppress(psutil.Error):
            if any("supervisord" in part for part in psutil.Process(pid).cmdline()):
                return pid
    return None


def refuse_second_run(local: Local) -> None:
    """Raise where this folder's run is up already."""
    if pid := running_pid(local):
        raise CannotRunError(f"A run with the data folder {local.folder} is up (pid {pid}); 'make stop' ends it.")


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The supervisor: its process, and its commands over XML-RPC."""

    process: subprocess.Popen[bytes]
    commands: Any


@contextmanager
def supervised(local: Local) -> Iterator[Supervisor]:
    """Start the supervisor and yield it; stop it and everything under it at the end."""
    path = local.folder / "supervisord.conf"
    path.write_text(configuration(local), encoding="utf-8")
    path.chmod(0o600)
    process = subprocess.Popen(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, no threads yet
    )
    try:
        yield Supervisor(process, _commands(local, process))
    finally:
        stop(process.pid)


def _end_with_parent() -> None:
    """Ask the kernel to stop the supervisor should we be killed (Linux; elsewhere `make stop` does it)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _commands(local: Local, process: subprocess.Popen[bytes]) -> Any:  # noqa: ANN401 - an XML-RPC proxy
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        transport = SupervisorTransport(None, None, f"unix://{local.folder}/supervisor.sock")
        proxy = xmlrpc.client.ServerProxy(f"http://{HOST}", transport=transport)
        with suppress(OSError, xmlrpc.client.Error):
            proxy.supervisor.getState()
            return proxy.supervisor
        time.sleep(0.05)
    raise CannotRunError(f"The supervisor did not start; see {local.folder}/logs/supervisord.log")


def stop(pid: int) -> None:
    """Stop a supervisor and all its descendants: politely first, then for good."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return
    with suppress(psutil.Error):
        family[0].terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
