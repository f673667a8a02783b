#!/usr/bin/env python3
"""Serve a GGUF model through llama.cpp's own HTTP server, on loopback.

Run it with the Python that holds `xllamacpp` (`deploy/setup/setup.py llama` makes one).
One JSON line on stdout says that the engine answers: {"port": 8090, "model": ..., ...}.
Everything else, llama.cpp's own log included, goes to stderr.

It stops on SIGTERM, on SIGINT, and with --stop-on-eof when stdin ends,
so a parent that dies in any way takes the engine with it.
"""

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

# A spinning OpenMP pool on a busy machine is many times slower than a sleeping one.
# The library reads these once, when it is loaded: they must stand before its import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

HOST = "127.0.0.1"
START_SECONDS = 120


def main() -> int:
    options = arguments()
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    if options.stop_on_eof:
        threading.Thread(target=wait_for_eof, args=(stop,), daemon=True).start()

    fault = cannot_start(options)
    if fault:
        return say(fault)
    # llama.cpp's C++ side prints to stdout too: keep the real one for our single line.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    began = time.monotonic()
    try:
        server = serve(options)  # kept: the engine lives as long as this name
    except Exception as error:  # the extension raises bare RuntimeErrors
        return say(f"llama.cpp did not start: {error}")
    if not wait_healthy(options.port, stop):
        if stop.is_set():
            leave(0)
        return say(f"llama.cpp did not answer /health within {START_SECONDS} s")
    line = {
        "port": options.port,
        "url": f"http://{HOST}:{options.port}",
        "model": options.alias,
        "pid": os.getpid(),
        "start_seconds": round(time.monotonic() - began, 2),
    }
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(line), file=answer, flush=True)

    stop.wait()
    leave(0)  # not `del server`: its destructor waits until running generations have come to their end


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="serve a GGUF model with llama.cpp on loopback")
    parser.add_argument("--model", required=True, type=Path, help="path of the .gguf file")
    parser.add_argument("--alias", help="model name in answers (default: the file's stem)")
    parser.add_argument("--port", type=int, default=0, help="loopback port (default: a free one)")
    parser.add_argument("--n-ctx", type=int, default=4096, help="context of all slots together, in tokens")
    parser.add_argument("--n-parallel", type=int, default=2, help="slots: requests decoded at once")
    parser.add_argument("--threads", type=int, default=1, help="compute threads")
    parser.add_argument("--prompt-cache-mib", type=int, default=256, help="memory for kept prompts (0: none)")
    parser.add_argument("--embeddings", action="store_true", help="also answer /v1/embeddings (mean pooling)")
    parser.add_argument("--stop-on-eof", action="store_true", help="stop when stdin ends")
    parser.add_argument("--verbose", action="store_true", help="llama.cpp's log, one line per request and more")
    options = parser.parse_args()
    options.alias = options.alias or options.model.stem
    options.port = options.port or free_port()
    return options


def cannot_start(options: argparse.Namespace) -> str | None:
    if not options.model.is_file():
        return f"no model file at {options.model}: run deploy/setup/setup.py llama, or name another with --model"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, options.port))
        except OSError:
            return f"port {options.port} is taken: stop its owner, or choose another with --port"
    return None


def serve(options: argparse.Namespace):
    """Build the parameter object and start the server thread inside the extension."""
    try:
        import xllamacpp
    except ImportError as error:
        raise RuntimeError(f"{error}; run this with <home>/llama/bin/python (setup.py llama)") from error

    params = xllamacpp.CommonParams()
    params.model.path = str(options.model)
    params.model_alias = {options.alias}
    params.hostnames = [HOST]
    params.port = options.port
    params.n_ctx = options.n_ctx
    params.n_parallel = options.n_parallel
    for pool in (params.cpuparams, params.cpuparams_batch):
        pool.n_threads = options.threads
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.endpoint_props = True
    params.n_gpu_layers = 0
    params.cache_ram_mib = options.prompt_cache_mib
    params.ui = False
    params.verbosity = 3 if options.verbose else 2
    if options.embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return xllamacpp.Server(params)


def wait_healthy(port: int, stop: threading.Event) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and not stop.is_set():
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            pass
        finally:
            connection.close()
        stop.wait(0.05)
    return False


def wait_for_eof(stop: threading.Event) -> None:
    # os.read and not sys.stdin: a daemon thread that holds the buffered reader's lock aborts the exit.
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.set()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def say(fault: str) -> int:
    print(f"llama: {fault}", file=sys.stderr, flush=True)
    return 1


def leave(code: int) -> None:
    """End at once, without the library's destructors; clients in mid-stream see their connection close."""
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
