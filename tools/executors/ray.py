"""A Ray cluster: every trial is a task with its GPUs or cores. Ray schedules, watches and scales.

What a task needs of a disk it finds under the same paths as the advisor: the model, the folders of
`Home` and the user's files lie on a volume that all nodes share. The package is installed on every
node in the same version.
"""

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from knowledge.errors import AdvisorError, BadInput, SetupFailed
from knowledge.types import Cause, Failure, Hardware, TrialResult, TrialSpec
from tools.arm import Measured
from tools.executors import _on_ray
from tools.executors._ray_head import HOW, of_this_machine, quiet, require_reachable
from tools.executors.base import Job, Needs, Step, T, needs_of, run_job
from tools.home import Home
from tools.load.ray_clients import RayClients
from tools.preparing import World

_EXTRA = "pip install 'inference-advisor[ray]'"
_RETRIES = 2
_TEAR_DOWN_S = 900.0
"""Beyond the deadlines of its trials a task may take so long: profile, tear-down, memory back."""
_TOLD_AFTER_S = 10.0
_COMPARED = ("repeat", "production")
"""Trials whose difference is the proof: two nodes of a kind are not quite alike."""
_CANCEL_S = 45.0
_ACCELERATOR = "accelerator_type:"
_SHARE_OF_IT = 0.001
"""So much of that resource Ray asks for where a task names its card: a place must have it too."""


class _Lost(Exception):
    """The worker or the node under a task is gone."""


class Shared:
    """A cluster for this session's trials beside each other, or for one alone: what takes its GPUs
    by itself would find those of the others taken."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._beside, self._waiting, self._alone = 0, 0, False

    @contextlib.asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: not (self._waiting or self._alone))
            self._beside += 1
        try:
            yield
        finally:
            self._beside -= 1
            await self._tell()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        self._waiting += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not (self._beside or self._alone))
                self._alone = True
        finally:
            self._waiting -= 1
            await self._tell()
        try:
            yield
        finally:
            self._alone = False
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class OnRay:
    """The driver's side. Ray is asked to retry nothing: who repeats a trial has to say so."""

    name = "ray"
    queue_s = 1800.0
    """So long a task may wait for a place: a cloud takes its time to start a node with a GPU."""

    def __init__(self, ray: Any, *, ours: bool) -> None:
        self._ray, self._ours = ray, ours
        self._task = ray.remote(max_retries=0)(_on_ray.work)
        self._compared: dict[str, str] = {}
        """By session: the node on which trials that are compared with each other run."""
        self._cluster = Shared()

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
        if needs.over_nodes:
            return 1
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
        turn = self._cluster.alone() if needs.over_nodes else self._cluster.beside()
        try:
            async with turn:
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
                if needs.over_nodes:
                    place = self._over_nodes(needs, card, world.progress)
                else:
                    place = self._place(needs, node, card)
                async with place as options:
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
        gpus = 0 if needs.over_nodes else needs.gpus
        asked = {"num_cpus": needs.cpus, "num_gpus": gpus} | (options or {})
        task = self._task.options(**asked)
        return task.remote(step, args, home, hardware, logs, needs.over_nodes)

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

    @contextlib.asynccontextmanager
    async def _over_nodes(
        self, needs: Needs, card: str | None, progress: Callable[[str], None]
    ) -> AsyncIterator[dict[str, Any]]:
        """The server will reserve its GPUs itself, so none is held for it: only that they are there
        is seen to, and that the job runs where one of them and the cores are. Raises
        SetupFailed."""
        groups = import_module("ray.util.placement_group")
        strategies = import_module("ray.util.scheduling_strategies")
        bundle = {"GPU": 1.0} | ({_ACCELERATOR + card: _SHARE_OF_IT} if card else {})
        rest = [bundle] * (needs.gpus - 1)
        group = groups.placement_group([bundle | {"CPU": needs.cpus}, *rest], strategy="PACK")
        try:
            begun, told = time.monotonic(), False
            while not await asyncio.to_thread(group.wait, 1):
                waited_s = time.monotonic() - begun
                if waited_s >= self.queue_s:
                    raise self._no_place(needs)
                if waited_s >= _TOLD_AFTER_S and not told:
                    progress(_waits(needs))
                    told = True
            there = groups.placement_group_table(group)["bundles_to_node_id"][0]
        finally:
            groups.remove_placement_group(group)
        near = strategies.NodeAffinitySchedulingStrategy
        yield {"scheduling_strategy": near(there, soft=False)}

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
                progress(_waits(needs))
                done, _ = await asyncio.wait({first}, timeout=self.queue_s)
            if done:
                return str(first.result()[1])
        finally:
            first.cancel()
        await self._cancel(asked)
        raise self._no_place(needs)

    def _no_place(self, needs: Needs) -> SetupFailed:
        return SetupFailed(
            f"в кластере за {self.queue_s / 60:.0f} мин не нашлось места: нужно {_shown(needs)}",
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
        """Let it tear its servers down; where that takes too long, without asking. Wardens kill
        what is left."""
        self._ray.cancel(asked)
        try:
            async with asyncio.timeout(_CANCEL_S):
                while True:
                    await self._next(asked)
        except (_Lost, AdvisorError, self._ray.exceptions.RayError):
            return  # it has ended, or will: Ray may say so before its worker is done
        except TimeoutError:
            self._ray.cancel(asked, force=True)

    def _nodes(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _fitted(self, needs: Needs) -> Needs:
        """No more cores than the largest node says it has, which may be less than the machine."""
        gpus = min(1, needs.gpus) if needs.over_nodes else needs.gpus
        having = [n for n in self._nodes() if n.get("GPU", 0) >= gpus and n.get("CPU", 0) > 0]
        most = max((node["CPU"] for node in having), default=needs.cpus)
        return replace(needs, cpus=min(needs.cpus, most))

    def _card(self, hardware: Hardware) -> str | None:
        """Ray's name of the session's card; None where no node has said that it has one."""
        known = {key.removeprefix(_ACCELERATOR) for node in self._nodes() for key in node
                 if key.startswith(_ACCELERATOR)}  # fmt: skip
        alike = [card for card in known if card.replace("-", " ") in hardware.device.name]
        return max(alike, key=len, default=None)


def _places(node: dict[str, float], needs: Needs) -> int:
    wanted = ((node.get("CPU", 0.0), needs.cpus), (node.get("GPU", 0.0), needs.gpus))
    return min(int(has / need) for has, need in wanted if need)


def _waits(needs: Needs) -> str:
    return f"ждёт места в кластере: нужно {_shown(needs)}"


def _shown(needs: Needs) -> str:
    where = " на любых узлах" if needs.over_nodes else ""
    return f"GPU {needs.gpus}{where}, CPU {needs.cpus:g}" if needs.gpus else f"CPU {needs.cpus:g}"


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
    address = address or of_this_machine()
    require_reachable(address)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with quiet():
            ray.init(address, log_to_driver=False, configure_logging=False, namespace="advisor")
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise BadInput(
            f"--executor ray: кластер {address} недоступен: {_last_line(error)}", HOW
        ) from error
    finally:
        with contextlib.suppress(ValueError):  # outside of the main thread Ray sets no handler
            signal.signal(signal.SIGTERM, before)
    return OnRay(ray, ours=True)
