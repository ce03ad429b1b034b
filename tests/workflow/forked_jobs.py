"""Jobs of a workflow, each forked from this process, which has imported the libraries: that takes longer than a small job.

The command `python` of such a workflow is CLIENT. It hands its words, folder, environment and streams over to this process,
passes on signals, and ends as the forked job does. A job ends when its client does. Nothing of the project is imported
here. So each job takes the project's modules from its own folder.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

LIBRARIES = """
    numpy pandas pyarrow.parquet scipy.stats tabulate yaml jsonschema torch tokenizers safetensors.torch peft
    accelerate.data_loader transformers.trainer transformers.generation.utils transformers.models.auto.modeling_auto
    transformers.models.qwen2.modeling_qwen2
""".split()

# What every job has as rules/common.smk sets it. The libraries read these once, so a job with other values is not forked.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}

CLIENT = """#!{interpreter} -IS
import json, os, signal, socket, sys

settings = {settings!r}
if not sys.argv[1:2] or not sys.argv[1].startswith("scripts/") or not os.environ.items() >= settings.items():
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
server.sendall(request)
signal.signal(signal.SIGTERM, lambda number, frame: server.sendall(bytes([number])))
status = int.from_bytes(server.recv(4) or sys.exit("the process that forks jobs has ended"), "big", signed=True)
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


def run(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """What `python` does with these words. It ends the process by an exception, or returns."""
    for stream, given in enumerate(streams):
        os.dup2(given, stream)
        os.close(given)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = words
    sys.path[0] = os.path.dirname(os.path.abspath(words[0]))
    runpy.run_path(words[0], run_name="__main__")


def watch(client: socket.socket, job: int) -> None:
    """Pass signals on to a job and its status to the client, until it ends. Without a client, the job is killed."""
    ended = os.pidfd_open(job)
    while client in (ready := select.select([client, ended], [], [])[0]) and ended not in ready:
        number = client.recv(1)
        os.kill(job, number[0] if number else signal.SIGKILL)
        if not number:
            break
    status = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
    with suppress(BrokenPipeError):
        client.sendall(status.to_bytes(4, "big", signed=True))


def serve(address: str) -> None:
    """Answer clients for as long as standard input is open. In a job, this function returns after the job's script."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen(64)
    print("ready", flush=True)
    while server in select.select([server, sys.stdin], [], [])[0]:
        client = server.accept()[0]
        if os.fork():  # this process
            client.close()
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that have ended
                pass
            continue
        server.close()
        length, streams, *_ = socket.recv_fds(client, 8, 3)
        request = b""
        while len(request) < int.from_bytes(length, "big"):
            request += client.recv(1 << 16)
        if job := os.fork():  # the one that watches the job
            for stream in streams:
                os.close(stream)
            watch(client, job)
            os._exit(0)
        client.close()
        return run(*json.loads(request), streams)


if __name__ == "__main__":
    for library in LIBRARIES:
        import_module(library)
    serve(sys.argv[1])
