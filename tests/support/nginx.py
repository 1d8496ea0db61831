"""A real nginx as a workload: HTTP/1 and, on a second port, HTTP/2 without TLS."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port, loopback_host
from tests.support.processes import Child

_CONFIGURATION = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type text/plain;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    client_max_body_size 64m;
    server {{
        {listens}
        location / {{ root {folder}/files; }}
        location = /hello {{ return 200 "hello\\n"; }}
        location = /empty {{ return 204; }}
        location = /moved {{ return 301 /hello; }}
        location = /closing {{ keepalive_timeout 0; return 200 "bye\\n"; }}
        {locations}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """Where it listens, and the folder whose files it serves below `/`."""

    http1: tuple[str, int]
    http2: tuple[str, int]
    files: Path
    child: Child


@contextlib.contextmanager
def nginx(folder: Path, *, locations: str = "") -> Iterator[Nginx]:
    """Run nginx until the block ends; `locations` are extra lines for its server block."""
    host = loopback_host()
    http1, http2 = (host, free_port(host=host)), (host, free_port(host=host))
    listens = f"listen {host}:{http1[1]}; listen {host}:{http2[1]} http2;"
    argv = prepare(folder, listens=listens, locations=locations)
    with Child.start(argv, log=folder / "nginx" / "log") as child:
        child.wait_for_port(http1)
        yield Nginx(http1, http2, folder / "nginx" / "files", child)


def prepare(folder: Path, *, listens: str, locations: str = "") -> list[str]:
    """Write a configuration below `folder`; the words that run nginx with it. `listens` are its `listen`
    lines.
    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    assert program, "nginx is not installed: run `./mesh test`, which names the package"
    home = folder / "nginx"
    files = home / "files"
    files.mkdir(parents=True)
    home.chmod(0o755)
    configuration = home / "nginx.conf"
    configuration.write_text(
        _CONFIGURATION.format(folder=home, listens=listens, locations=locations)
    )
    return [program, "-p", str(home), "-e", "stderr", "-c", str(configuration)]
