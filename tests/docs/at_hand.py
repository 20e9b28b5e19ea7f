"""The command ``tailrace`` without the second that Python takes to import it, for pages that call it again and again.

A process imports everything once and forks for each call. What is called is the program's own ``main``, in a process
of its own, with the folder, environment, streams and umask of whoever calls; only that process does not begin with
nothing. polars starts its threads when it is first used, which is behind the fork.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
umask = os.umask(0)
os.umask(umask)
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
call = json.dumps([sys.argv, os.getcwd(), dict(os.environ), umask]).encode(errors="surrogateescape")
socket.send_fds(server, [len(call).to_bytes(8, "big")], [0, 1, 2])
server.sendall(call)
answers = server.makefile()
pid = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, _frame: os.kill(pid, number))
status = os.waitstatus_to_exitcode(int(answers.readline()))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""

SERVER = """
import atexit, gc, importlib, json, os, pkgutil, signal, socket, sys, threading

packages = [name for name in sys.argv[2:]]
for package in packages:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        # What runs when it is imported is for others to import.
        if not module.name.startswith(("tailrace.__main__", "tailrace._apart", "tailrace.store.migrations")):
            importlib.import_module(module.name)
# What is imported where it is used.
for name in ("alembic.command", "cronsim", "fastexcel", "fontTools.ttLib", "fpdf", "httpcore", "isal.igzip", "keyring",
             "matplotlib.backends.backend_agg", "nacl.pwhash", "plotnine", "polars", "sqlalchemy.dialects.sqlite",
             "typed_settings", "xlsxwriter", "adbc_driver_sqlite.dbapi", "rich.console"):
    importlib.import_module(name)
from tailrace.cli.app import main

listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
gc.freeze()
print("ready", flush=True)

def serve(client):
    head, streams, _flags, _address = socket.recv_fds(client, 8, 3)
    size, call = int.from_bytes(head, "big"), b""
    while len(call) < size:
        call += client.recv(size - len(call))
    (program, *words), folder, environment, umask = json.loads(call.decode(errors="surrogateescape"))
    pid = os.fork()
    if pid:
        client.sendall(b"%d\\n" % pid)
        client.sendall(b"%d\\n" % os.waitpid(pid, 0)[1])
        os._exit(0)
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    os.umask(umask)
    # The old ones still know of what they were opened for.
    sys.stdin = open(0, closefd=False)
    sys.stdout = open(1, "w", closefd=False)
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace", buffering=1)
    sys.argv[:] = [program, *words]
    code = main()
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    # Taking everything apart that was imported takes longer than most calls.
    os._exit(code)

while True:
    client, _ = listening.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        listening.close()
        serve(client)
    client.close()
"""


@contextlib.contextmanager
def command_at_hand(folder: Path, packages: list[str]) -> Iterator[Path]:
    """Have a command ``tailrace`` in a folder.

    Args:
        folder: An empty folder, for the command and the address of the process that answers it.
        packages: The packages to import all of.
    """
    address = folder / "address"
    command = folder / "tailrace"
    command.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    command.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(address), *packages],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder,
    )  # fmt: skip
    try:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
        yield folder
    finally:
        server.kill()
        server.communicate()
