"""A Ray cluster: every trial is a task with its GPUs or cores. Ray schedules, watches and scales.

What a task needs of a disk it finds under the same paths as the advisor: the model, the folders of
`Home` and the user's files lie on a volume that all nodes share. The package is installed on every
node in the same version.
"""

import asyncio
import contextlib
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from knowledge.errors import AdvisorError, BadInput, SetupFailed
from knowledge.types import Cause, Failure, Hardware, TrialResult, TrialSpec
from tools.arm import Measured
from tools.executors import _on_ray
from tools.executors.base import Job, Needs, Step, T, needs_of, run_job
from tools.home import Home
from tools.load.ray_clients import RayClients
from tools.preparing import World

_EXTRA = "pip install 'inference-advisor[ray]'"
_RETRIES = 2
_TEAR_DOWN_S = 900.0
"""Beyond the deadlines of its trials a task may take so long: profile, tear-down, memory back."""
_TOLD_AFTER_S = 10.0
_QUEUE_S = 1800.0
"""So long a task may wait for a place: a cloud takes its time to start a node with a GPU."""
_COMPARED = ("repeat", "production")
"""Trials whose difference is the proof: two nodes of a kind are not quite alike."""
_CANCEL_S = 45.0
_ACCELERATOR = "accelerator_type:"
_SHARE_OF_IT = 0.001
"""So much of that resource Ray asks for where a task names its card: a place must have it too."""
_REACH_S = 5.0


class _Lost(Exception):
    """The worker or the node under a task is gone."""


class OnRay:
    """The driver's side. Ray is asked to retry nothing: who repeats a trial has to say so."""

    name = "ray"

    def __init__(self, ray: Any, *, ours: bool) -> None:
        self._ray, self._ours = ray, ours
        self._task = ray.remote(max_retries=0)(_on_ray.work)
        self._compared: dict[str, str] = {}
        """By session: the node on which trials that are compared with each other run."""

    async def inspect(self, home: Home, progress: Callable[[str], None]) -> Hardware:
        needs = Needs(cpus=1, gpus=1 if self._ray.cluster_resources().get("GPU") else 0)
        asked = self._submit(_on_ray.look, (home,), None, home, Path(), needs)
        try:
            _, found = await self._follow(asked, needs, progress, _TEAR_DOWN_S)
        except _Lost as lost:
            raise SetupFailed(f"машину кластера не удалось осмотреть: {lost}") from lost
        hardware: Hardware = found
        return hardware

    def room(self, spec: TrialSpec, hardware: Hardware) -> int:
        needs = self._fitted(needs_of((spec,), hardware))
        return max(1, sum(_places(node, needs) for node in self._nodes()))

    async def call(self, step: Step[T], *args: Any, world: World) -> T:
        """On a machine like the trials': an artifact is made where its quantizer has a GPU."""
        hardware = world.hardware
        gpus = 1 if hardware.device.kind == "cuda" else 0
        needs = self._fitted(Needs(cpus=max(1, hardware.cores / hardware.device_count), gpus=gpus))
        try:
            _, found = await self._run(step, args, world, needs, math.inf)
        except _Lost as lost:
            raise SetupFailed(f"подготовка на кластере прервалась: {lost}") from lost
        value: T = found
        return value

    async def measure(self, job: Job, world: World) -> tuple[Measured, ...]:
        needs = self._fitted(needs_of(job.specs, world.hardware))
        limit_s = sum(spec.deadline_s for spec in job.specs) + _TEAR_DOWN_S
        session = job.specs[0].session
        compared = job.specs[0].purpose in _COMPARED
        node = self._compared.get(session) if compared else None
        try:
            node, found = await self._run(run_job, (job,), world, needs, limit_s, node)
        except _Lost as lost:
            return _all_failed(job, Cause.LOST, f"{lost}, попыток {_RETRIES + 1}")
        except AdvisorError as error:
            return _all_failed(job, Cause.SETUP, str(error))
        except self._ray.exceptions.OutOfMemoryError as error:
            said = str(error).strip().splitlines()
            return _all_failed(job, Cause.OUT_OF_MEMORY, f"память узла кончилась: {said[0]}")
        if compared:
            self._compared[session] = node
        measured: tuple[Measured, ...] = found
        return measured

    def clients(self) -> RayClients:
        return RayClients(self._ray)

    async def close(self) -> None:
        if self._ours:
            await asyncio.to_thread(self._ray.shutdown)

    async def _run(
        self,
        step: Step[Any],
        args: tuple[Any, ...],
        world: World,
        needs: Needs,
        limit_s: float,
        node: str | None = None,
    ) -> tuple[str, Any]:
        """(node, value). Once, and again on another worker as often as one is lost, within limits.
        Raises _Lost after that."""
        for left in range(_RETRIES, -1, -1):
            try:
                card = self._card(world.hardware) if needs.gpus else None
                async with self._place(needs, node, card) as options:
                    hardware, logs = world.hardware, world.logs
                    asked = self._submit(step, args, hardware, world.home, logs, needs, options)
                    return await self._follow(asked, needs, world.progress, limit_s)
            except _Lost as lost:
                if not left:
                    raise
                world.progress(f"{lost}: потеряно только это испытание, повтор (ещё {left})")
        raise AssertionError

    def _submit(
        self,
        step: Step[Any],
        args: tuple[Any, ...],
        hardware: Hardware | None,
        home: Home,
        logs: Path,
        needs: Needs,
        options: dict[str, Any] | None = None,
    ) -> Any:
        asked = {"num_cpus": needs.cpus, "num_gpus": needs.gpus} | (options or {})
        return self._task.options(**asked).remote(step, args, home, hardware, logs)

    @contextlib.asynccontextmanager
    async def _place(
        self, needs: Needs, node: str | None, card: str | None
    ) -> AsyncIterator[dict[str, Any]]:
        """Several GPUs are reserved together and on one node, which the server runs on. `node`:
        where it should run, as long as that one is there. `card`: of which kind."""
        strategies = import_module("ray.util.scheduling_strategies")
        of_kind = {"accelerator_type": card} if card else {}
        if needs.gpus < 2:
            near = strategies.NodeAffinitySchedulingStrategy
            yield of_kind | ({"scheduling_strategy": near(node, soft=True)} if node else {})
            return
        groups = import_module("ray.util.placement_group")
        bundle = {"CPU": needs.cpus, "GPU": needs.gpus}
        bundle |= {_ACCELERATOR + card: _SHARE_OF_IT} if card else {}
        group = groups.placement_group([bundle], strategy="STRICT_PACK")
        together = strategies.PlacementGroupSchedulingStrategy(group)
        try:
            yield of_kind | {"scheduling_strategy": together}
        finally:
            groups.remove_placement_group(group)

    async def _follow(
        self, asked: Any, needs: Needs, progress: Callable[[str], None], limit_s: float
    ) -> tuple[str, Any]:
        """Pass its lines on until there is a result: (node, value)."""
        try:
            node = await self._begun(asked, needs, progress)
            async with asyncio.timeout(None if limit_s == math.inf else limit_s):
                while True:
                    kind, value = await self._next(asked)
                    if kind == _on_ray.DONE:
                        return node, value
                    if kind == _on_ray.FAILED:
                        raise value
                    progress(value)
        except TimeoutError as error:
            await self._cancel(asked)
            raise _Lost(f"узел не отвечает дольше {limit_s:.0f} с") from error
        except asyncio.CancelledError:
            await self._cancel(asked)
            raise

    async def _begun(self, asked: Any, needs: Needs, progress: Callable[[str], None]) -> str:
        """Wait for a place: on which node. Raises SetupFailed when there is none for long."""
        first = asyncio.ensure_future(self._next(asked))
        try:
            done, _ = await asyncio.wait({first}, timeout=_TOLD_AFTER_S)
            if not done:
                progress(f"ждёт места в кластере: нужно {_shown(needs)}")
                done, _ = await asyncio.wait({first}, timeout=_QUEUE_S)
            if done:
                return str(first.result()[1])
        finally:
            first.cancel()
        await self._cancel(asked)
        raise SetupFailed(
            f"в кластере за {_QUEUE_S / 60:.0f} мин не нашлось места: нужно {_shown(needs)}",
            "Добавьте узлы или дайте автомасштабированию такие завести",
        )

    async def _next(self, asked: Any) -> _on_ray.Said:
        errors = self._ray.exceptions
        try:
            said: _on_ray.Said = await (await anext(asked))
            return said
        except errors.OutOfMemoryError:
            raise
        except (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.LocalRayletDiedError,
            errors.ObjectLostError,
            errors.TaskUnschedulableError,
            errors.TaskPlacementGroupRemoved,
        ) as error:
            raise _Lost(f"воркер или узел Ray потерян ({type(error).__name__})") from error
        except errors.RayTaskError as error:
            raise SetupFailed(
                f"узел кластера не смог выполнить испытание: {_last_line(error)}",
                "На всех узлах нужна та же версия inference-advisor и те же пути к модели",
            ) from error
        except StopAsyncIteration as error:
            raise _Lost("воркер Ray ничего не вернул") from error

    async def _cancel(self, asked: Any) -> None:
        """Let it tear its servers down; then without asking. Wardens kill what is left."""
        self._ray.cancel(asked)
        with contextlib.suppress(TimeoutError, _Lost, AdvisorError, self._ray.exceptions.RayError):
            async with asyncio.timeout(_CANCEL_S):
                while True:
                    await self._next(asked)
        self._ray.cancel(asked, force=True)

    def _nodes(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _fitted(self, needs: Needs) -> Needs:
        """No more cores than the largest node says it has, which may be less than the machine."""
        having = [n for n in self._nodes() if n.get("GPU", 0) >= needs.gpus and n.get("CPU", 0) > 0]
        most = max((node["CPU"] for node in having), default=needs.cpus)
        return Needs(cpus=min(needs.cpus, most), gpus=needs.gpus)

    def _card(self, hardware: Hardware) -> str | None:
        """Ray's name of the session's card; None where no node has said that it has one."""
        known = {key.removeprefix(_ACCELERATOR) for node in self._nodes() for key in node
                 if key.startswith(_ACCELERATOR)}  # fmt: skip
        alike = [card for card in known if card.replace("-", " ") in hardware.device.name]
        return max(alike, key=len, default=None)


def _places(node: dict[str, float], needs: Needs) -> int:
    wanted = ((node.get("CPU", 0.0), needs.cpus), (node.get("GPU", 0.0), needs.gpus))
    return min(int(has / need) for has, need in wanted if need)


def _shown(needs: Needs) -> str:
    return f"GPU {needs.gpus}, CPU {needs.cpus:g}" if needs.gpus else f"CPU {needs.cpus:g}"


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _all_failed(job: Job, cause: Cause, message: str) -> tuple[Measured, ...]:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    failure = Failure(cause=cause, message=message)
    return tuple(
        Measured(TrialResult(spec=spec, started_at=now, finished_at=now, failure=failure), ())
        for spec in job.specs
    )


def connect(address: str | None = None) -> OnRay:
    """Join the cluster as its driver. `address`: HOST:PORT of its head; else the one that this
    machine is a node of. Raises BadInput."""
    try:
        ray = import_module("ray")
        import_module("ray.exceptions")
    except ImportError as error:
        raise BadInput("--executor ray: пакет ray не установлен", f"Поставьте: {_EXTRA}") from error
    if ray.is_initialized():
        return OnRay(ray, ours=False)
    address = address or _of_this_machine()
    require_reachable(address)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with _quiet():
            ray.init(address, log_to_driver=False, configure_logging=False, namespace="advisor")
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise BadInput(
            f"--executor ray: кластер {address} недоступен: {_last_line(error)}", _HOW
        ) from error
    finally:
        with contextlib.suppress(ValueError):  # outside of the main thread Ray sets no handler
            signal.signal(signal.SIGTERM, before)
    return OnRay(ray, ours=True)


def _of_this_machine() -> str:
    """The head of the cluster that this machine is a node of, by the note that Ray keeps of it,
    which may have outlived it."""
    services = import_module("ray._private.services")
    try:
        return str(services.get_ray_address_from_environment("auto", None))
    except ConnectionError as error:
        raise BadInput(
            "--executor ray: на этой машине нет узла Ray, и RAY_ADDRESS не задан", _HOW
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Ray's core has to say of a cluster that does not let us in goes past every logger, a
    line a second; the error says it once."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_HOW = (
    "Запускайте на узле кластера с той же версией ray (ray start --head; RAY_ADDRESS=ХОСТ:6379; "
    "где нужен токен, RAY_AUTH_MODE=token) или возьмите --executor local"
)


_SETTINGS = b"\x04"
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
"""The preface of gRPC, which a head speaks: it is answered with settings (RFC 9113, 3.4)."""


def require_reachable(address: str) -> None:
    """Ray itself would try for minutes."""
    if "://" in address:
        raise BadInput(f"--executor ray: адрес {address} не подходит, нужен ХОСТ:ПОРТ", _HOW)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise BadInput(f"--executor ray: адрес {address!r} не понять, нужен ХОСТ:ПОРТ", _HOW)
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S) as there:
            there.sendall(_HTTP2)
            answer = there.recv(9)
    except OSError as error:
        raise BadInput(
            f"--executor ray: кластер {address} не отвечает ({error.strerror or error})", _HOW
        ) from error
    if answer[3:4] != _SETTINGS:
        raise BadInput(f"--executor ray: по адресу {address} отвечает не Ray", _HOW)
