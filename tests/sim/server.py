# Copyright (c) 2026, vtops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet on sockets: the Kubernetes API with exec, port-forward, Pod proxy and watches, and every vtgate's MySQL port.

Faults of the wire are planned with Wire.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from . import shell
from .api import status
from .door import Door
from .kubernetes import Rejected
from .mysql_wire import MysqlServer
from .simulation import Simulation
from .store import matches
from .vtctldclient import Printed, failed
from .vtgate import Vtgate

LONGEST_COMMAND_S = 600.0
EXEC = re.compile(r"/api/v1/namespaces/[\w-]+/pods/(?P<pod>[\w.-]+)/(?P<what>exec|portforward)")


@dataclass
class Trouble:
    """What happens to a call that matches. status: that HTTP status (or exit code) instead; cut: the connection ends.

    after: although the call took effect. passes_s: so much time of the fleet passes first. cut_output: so many bytes of it arrive.
    skip: so many matching calls are left alone before. handshake: an exec takes effect, and the connection ends before it
    was answered at all.
    """

    pattern: str
    times: int = 1
    skip: int = 0
    handshake: bool = False
    status: int = 0
    message: str = "made to fail"
    cut: bool = False
    after: bool = False
    passes_s: float = 0.0
    cut_output: int | None = None
    happens: Callable[[], object] | None = None
    body: dict[str, Any] = field(default_factory=dict)


class Cut(Exception):
    """The connection ends here."""


class Wire:
    """All calls that arrive, and what goes wrong with them."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.calls: list[str] = []
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.troubles: list[Trouble] = []

    def count(self, kind: str, size: int, requests: int = 1) -> None:
        """What went over the wire, both ways: paths, bodies and packets, without HTTP's and the websockets' heads."""
        self.requests[kind] += requests
        self.bytes[kind] += size

    def counted(self) -> dict[str, dict[str, int]]:
        """Since the beginning, by kind."""
        return {"requests": dict(self.requests), "bytes": dict(self.bytes)}

    def trouble(self, pattern: str, **what: Any) -> Trouble:
        """Plan a fault for calls that match a regular expression."""
        planned = Trouble(pattern, **what)
        self.troubles.append(planned)
        return planned

    def before(self, pattern: str, happens: Callable[[], object], times: int = 1) -> None:
        """Something happens right before a call takes effect."""
        self.trouble(pattern, happens=happens, times=times)

    def meet(self, call: str, after: bool) -> Trouble | None:
        """The fault of a call at this point, with its happening done."""
        found: Trouble | None = None
        for planned in list(self.troubles):
            if planned.times > 0 and planned.after == after and re.search(planned.pattern, call):
                if planned.skip > 0:
                    planned.skip -= 1
                    continue
                planned.times -= 1
                if planned.passes_s:
                    self.simulation.pass_(planned.passes_s)
                if planned.happens is not None:
                    planned.happens()
                if planned.cut:
                    raise Cut
                found = planned
                if planned.status:
                    break
        return found


class Server:
    """Runs in a thread of its own beside a test (start, stop), or as the whole process (run)."""

    def __init__(self, simulation: Simulation, host: str = "127.0.0.1", door: Door | None = None) -> None:
        self.simulation, self.host, self.door = simulation, host, door or Door()
        self.wire = Wire(simulation)
        self.mysql = MysqlServer(
            simulation.timeline, self._settled, lambda size: self.wire.count("sql", size), self.door
        )
        self.port = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Of the Kubernetes API."""
        return f"{'https' if self.door.tls else 'http'}://{self.host}:{self.port}"

    # -- life

    def start(self) -> Server:
        """Serve from a thread."""
        started = threading.Event()

        async def main() -> None:
            await self.open()
            started.set()
            await self.run_until_stopped()

        self._thread = threading.Thread(target=lambda: asyncio.run(main()), name="simulated fleet", daemon=True)
        self._thread.start()
        if not started.wait(10):
            raise RuntimeError("the simulated fleet did not start")
        return self

    def stop(self) -> None:
        """End the thread."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join(10)

    async def open(self, port: int = 0) -> None:
        """Listen."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, port, ssl_context=self.door.tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.simulation.on_vtgate.append(self.listen_now)
        for vtgate in self.simulation.vtgates.values():
            await self.mysql.listen(vtgate, self.host)

    async def run_until_stopped(self) -> None:
        """Serve; where time is real, let the fleet live."""
        assert self._stop is not None
        life = asyncio.create_task(self._live()) if not self.simulation.virtual else None
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([task for task in (life, stopped) if task is not None], return_when="FIRST_COMPLETED")
        stopped.cancel()
        if life is not None and not life.cancel():
            life.result()  # a fleet that died is no fleet that stands still
        await self.mysql.close()
        await self._runner.cleanup()

    def end(self) -> None:
        """From the loop itself: stop."""
        if self._stop is not None:
            self._stop.set()

    def listen_now(self, vtgate: Vtgate) -> None:
        """A vtgate that was added while the server runs; may be called from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: asyncio.ensure_future(self.mysql.listen(vtgate, self.host)))

    async def _live(self) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        while True:
            self.simulation.note_stall(time.monotonic() - wall, time.process_time() - cpu)
            wall, cpu = time.monotonic(), time.process_time()
            self.simulation.timeline.advance(time.time())
            due = self.simulation.timeline.next_due
            await asyncio.sleep(min(0.01, max(0.0005, (due or 0) - time.time())))

    async def _settled(self, start: Callable[[Callable[[Any], object]], None]) -> Any:
        """Start something in the fleet and wait for its answer: in real time, or by letting virtual time pass."""
        answers: list[Any] = []
        timeline = self.simulation.timeline
        if self.simulation.virtual:
            with timeline.lock:
                start(answers.append)
                timeline.run_until(lambda: bool(answers), LONGEST_COMMAND_S)
            return answers[0]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def done(answer: Any) -> None:
            if not future.done():
                future.set_result(answer)

        with timeline.lock:
            timeline.advance(time.time())
            start(done)
        return await future

    # -- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if not self.door.knows(request.headers.get("Authorization")):
            return web.json_response(status(401, "Failure", "Unauthorized", "Unauthorized"), status=401)
        if match := EXEC.fullmatch(path):
            return await (self._exec if match["what"] == "exec" else self._port_forward)(request, match["pod"])
        if path.startswith("/simulation/"):
            return await self._control(request)
        if request.query.get("watch") in ("1", "true"):
            return await self._watch(request)
        raw = await request.read()
        body = json.loads(raw) if raw else None
        call = f"{request.method} {path}"
        try:
            code, answer = self._answer(call, request, body)
        except Cut:
            return self._cut(request)
        self.wire.count(self._kind(path), len(request.raw_path) + len(raw) + len(answer))
        return web.Response(status=code, body=answer, content_type="application/json")

    def _kind(self, path: str) -> str:
        if "/proxy/" not in path:
            return "kubernetes"
        pod = path.rpartition("/pods/")[2].partition(":")[0]
        return "vtgate page" if pod in self.simulation.vtgates else "vttablet page"

    def _answer(self, call: str, request: web.Request, body: Any) -> tuple[int, bytes]:
        with self.simulation.timeline.lock:
            code, answer = self._answered(call, request, body)
            return code, json.dumps(answer).encode()

    def _answered(self, call: str, request: web.Request, body: Any) -> tuple[int, Any]:
        simulation = self.simulation
        with simulation.timeline.lock:
            if not simulation.virtual:
                simulation.timeline.advance(time.time())
            self.wire.calls.append(call)
            trouble = self.wire.meet(call, after=False)
            if trouble is not None and trouble.status:
                return trouble.status, status(trouble.status, "Failure", "Failure", trouble.message, trouble.body)
            try:
                answer = simulation.api.answer(request.method, request.path, dict(request.query), body)
            except Rejected as error:
                return error.code, status(error.code, "Failure", error.reason, str(error), error.details)
            trouble = self.wire.meet(call, after=True)
            if trouble is not None and trouble.status:
                return trouble.status, status(trouble.status, "Failure", "Failure", trouble.message, trouble.body)
            return (201 if request.method == "POST" else 200), answer

    @staticmethod
    def _cut(request: web.Request) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    # -- exec

    async def _exec(self, request: web.Request, pod: str) -> web.StreamResponse:
        command = request.query.getall("command")
        words = command if command[:2] != ["sh", "-c"] else ["script", *command[4:8]]
        call = f"exec {pod}: {' '.join(words)}"
        self.wire.count("exec", len(request.raw_path))
        lock = self.simulation.timeline.lock
        with lock:
            self.wire.calls.append(call)
            try:
                trouble = self.wire.meet(call, after=False)
                known = pod in self.simulation.store.of("pods")
                self._authorize("pods/exec", pod)
            except Cut:
                return self._cut(request)
            except Rejected as error:
                return web.json_response(status(403, "Failure", error.reason, str(error)), status=403)
        if not known or (trouble is not None and trouble.status >= 400):
            code = trouble.status if trouble is not None and trouble.status >= 400 else 404
            return web.json_response(status(code, "Failure", "Failure", "made to fail"), status=code)
        channel = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        if trouble is not None and trouble.handshake:
            await self._settled(lambda done: shell.run(command, self.simulation.vtctldclient, done))
            return self._cut(request)
        await channel.prepare(request)
        if trouble is not None and trouble.status:
            printed = self._refused(trouble)
        else:
            printed = await self._settled(lambda done: shell.run(command, self.simulation.vtctldclient, done))
        with lock:
            try:
                late = self.wire.meet(call, after=True)
            except Cut:
                self._cut(request)
                return channel
        if late is not None and late.status:
            printed = self._refused(late)
        out = printed.out.encode()
        if late is not None and late.cut_output is not None:
            out = out[: late.cut_output]
        return await self._print(channel, Printed(out.decode("utf-8", "replace"), printed.err, printed.code))

    def _authorize(self, resource: str, pod: str) -> None:
        """As Kubernetes 1.35 does for a websocket. Raises Rejected."""
        for verb in ("get", "create"):
            self.simulation.api.authorizer.check(verb, resource, True, pod)

    def _refused(self, trouble: Trouble) -> Printed:
        """A command that vtctld refuses."""
        return failed(trouble.message, self.simulation.layout.vtgates[0].version, trouble.status)

    async def _print(self, channel: web.WebSocketResponse, printed: Printed) -> web.StreamResponse:
        self.wire.count("exec", len(printed.out) + len(printed.err), requests=0)
        for number, text in ((1, printed.out), (2, printed.err)):
            data = text.encode()
            for start in range(0, len(data), 32768):
                await channel.send_bytes(bytes([number]) + data[start : start + 32768])
        end: dict[str, Any] = {"metadata": {}, "status": "Success"}
        if printed.code:
            causes = [{"reason": "ExitCode", "message": str(printed.code)}]
            text = f"command terminated with non-zero exit code: exit status {printed.code}"
            end = {
                "metadata": {},
                "status": "Failure",
                "message": text,
                "reason": "NonZeroExitCode",
                "details": {"causes": causes},
            }
        await channel.send_bytes(b"\x03" + json.dumps(end).encode())
        await channel.close()
        return channel

    # -- port-forward

    async def _port_forward(self, request: web.Request, pod: str) -> web.StreamResponse:
        call = f"portforward {pod}"
        self.wire.count("port-forward", len(request.raw_path))
        with self.simulation.timeline.lock:
            self.wire.calls.append(call)
            try:
                trouble = self.wire.meet(call, after=False)
                self._authorize("pods/portforward", pod)
            except Cut:
                return self._cut(request)
            except Rejected as error:
                return web.json_response(status(403, "Failure", error.reason, str(error)), status=403)
        if trouble is not None and trouble.status:
            return web.json_response(
                status(trouble.status, "Failure", "Failure", trouble.message), status=trouble.status
            )
        if pod not in self.mysql.ports or pod not in self.simulation.store.of("pods"):
            return web.json_response(status(404, "Failure", "NotFound", f'pods "{pod}" not found'), status=404)
        channel = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
        await channel.prepare(request)
        port = int(request.query["ports"]).to_bytes(2, "little")
        for number in (0, 1):
            await channel.send_bytes(bytes([number]) + port)
        if self.simulation.vtgates[pod].down:
            await channel.send_bytes(b"\x01error forwarding port: connection refused")
            await channel.close()
            return channel
        reader, writer = await asyncio.open_connection(self.host, self.mysql.ports[pod])
        outward = asyncio.create_task(self._outward(reader, channel))
        try:
            async for message in channel:
                if message.type == WSMsgType.BINARY and message.data[:1] == b"\0":
                    writer.write(message.data[1:])
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            outward.cancel()
            writer.close()
        return channel

    @staticmethod
    async def _outward(reader: asyncio.StreamReader, channel: web.WebSocketResponse) -> None:
        while data := await reader.read(32768):
            await channel.send_bytes(b"\0" + data)
        await channel.close()

    # -- watch

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        resource = request.path.rpartition("/")[2]
        selector = request.query.get("labelSelector", "")
        changes: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def told(kind: str, change: str, item: Any) -> None:
            if kind == resource and matches(selector, item["metadata"].get("labels") or {}):
                loop.call_soon_threadsafe(changes.put_nowait, (change, item))

        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self.simulation.store.watchers.append(told)
        ends = time.monotonic() + float(request.query.get("timeoutSeconds") or 300)
        try:
            while (left := ends - time.monotonic()) > 0:
                try:
                    change, item = await asyncio.wait_for(changes.get(), left)
                except asyncio.TimeoutError:
                    break
                await response.write(json.dumps({"type": change, "object": item}).encode() + b"\n")
        finally:
            self.simulation.store.watchers.remove(told)
        return response

    # -- the simulation's own pages

    async def _control(self, request: web.Request) -> web.Response:
        what = request.path.removeprefix("/simulation/")
        if what == "vtctldclient" and request.method == "POST":
            words = await request.json()
            printed = await self._settled(lambda done: self.simulation.vtctldclient.run(words, done))
            return web.json_response({"out": printed.out, "err": printed.err, "code": printed.code})
        with self.simulation.timeline.lock:
            if what == "clock":
                return web.json_response(self.simulation.timeline.now)
            if what == "sleep" and request.method == "POST":
                self.simulation.pass_(float(request.query["seconds"]))
                return web.json_response(self.simulation.timeline.now)
            if what == "fail" and request.method == "POST":
                self.simulation.failures.break_it(*request.query["how"].split(","))
                return web.json_response(True)
            if what == "reboot" and request.method == "POST":
                self.simulation.kubernetes.reboot(request.query["node"], float(request.query["seconds"]))
                return web.json_response({})
            if what == "counted":
                return web.json_response(self.wire.counted())
            if what == "report":
                return web.json_response(self.simulation.report())
            if what == "acts":
                return web.json_response(self.simulation.fleet.acts)
            if what == "stop" and request.method == "POST":
                self.end()
                return web.json_response({})
        return web.json_response({"error": f"no {what}"}, status=404)
