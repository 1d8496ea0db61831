"""nginx and HAProxy as plain reverse proxies before one server: how strict others are about the
same bytes.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.support.ports import free_port, loopback_host
from tests.support.processes import Child

PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"

_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_header_timeout 1s;
    client_body_timeout 1s;
    keepalive_timeout 1s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {listen};
        server_name a;
        location / {{
            proxy_pass http://{server};
            proxy_http_version 1.1;
            proxy_set_header Host $host;
            proxy_set_header Connection "";
        }}
    }}
}}
"""

_HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 1s
    timeout server 5s
frontend in
    bind {listen}
    default_backend out
backend out
    server one {server}
"""


def installed(name: str) -> str | None:
    return shutil.which(name, path=PLACES)


@contextlib.contextmanager
def other_proxy(name: str, folder: Path, server: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Where `name` (nginx or haproxy) listens, forwarding to `server`."""
    program = installed(name)
    assert program is not None
    home = folder / name
    home.mkdir()
    host = loopback_host()
    address = (host, free_port(host=host))
    configuration = home / "configuration"
    text = _NGINX if name == "nginx" else _HAPROXY
    places = {
        "listen": f"{host}:{address[1]}",
        "server": f"{server[0]}:{server[1]}",
        "folder": home,
    }
    configuration.write_text(text.format(**places))
    nginx = [program, "-p", str(home), "-e", "stderr", "-c", str(configuration)]
    argv = nginx if name == "nginx" else [program, "-db", "-f", str(configuration)]
    with Child.start(argv, log=home / "log") as child:
        child.wait_for_port(address)
        yield address
