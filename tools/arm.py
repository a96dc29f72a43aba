"""One candidate on its way through a trial: launched, loaded, judged, torn down."""

import asyncio
import os
import shutil
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import fmean

from knowledge.errors import (
    AdvisorError,
    ArtifactFailed,
    EngineFailed,
    QualityUnavailable,
    UnknownFlag,
)
from knowledge.measure import machine_changed, out_of_reach, round_points, summarize
from knowledge.measure.requests import fitting_round_s, kept_after_ramp, latencies
from knowledge.quantities import format_bytes
from knowledge.types import (
    Candidate,
    Cause,
    ClosedLoop,
    Failure,
    GpuFingerprint,
    Hardware,
    IntegrityResult,
    Launch,
    Lengths,
    Measurement,
    Metric,
    QualityResult,
    RequestSample,
    Slo,
    StepProfile,
    Telemetry,
    TrialResult,
    TrialSpec,
)
from tools import engines, highest
from tools._nvml import fingerprints, not_free
from tools.engines.base import Explaining, Profilable
from tools.hardware import free_device_memory_bytes
from tools.load import (
    Enough,
    PromptSource,
    RoundOutcome,
    Target,
    Tokenizer,
    models,
    run_round,
    wait_ready,
)
from tools.load.sample import Recount
from tools.loaded_gauges import LoadedGauges
from tools.preparing import World, environment_of, prepare
from tools.process import ServerProcess, clean_env, free_port
from tools.profilers import torch_profiler
from tools.quality.assess import assess
from tools.quality.gains import gain_checks
from tools.quality.integrity import check, with_quality
from tools.telemetry import Sampler, of_one_node

_MEMORY_SLACK_BYTES = 512 * 2**20
_MEMORY_WAIT_S = {"cpu": 10.0, "cuda": 60.0}
"""A driver takes its time to give back 75 GiB of a process that was killed."""
_DRAIN_S = 60.0
_LOG_LINES = 40
_WHOLE_LOG_LINES = 200
_WARM_UP_TOKENS = 16
_PROFILE_LEAD_S = 3.0
_PROFILE_DEADLINE_S = 240.0


@dataclass(frozen=True)
class Measured:
    """A result and the requests it was computed from."""

    result: TrialResult
    samples: tuple[RequestSample, ...]


@dataclass
class Arm:
    """One candidate on its way through a trial."""

    spec: TrialSpec
    world: World
    slos: tuple[Slo, ...]
    reference: QualityResult | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=time.monotonic)
    """The deadline's clock: a host whose date is set meanwhile must not end a trial."""
    samples: list[RequestSample] = field(default_factory=list)
    recounts: list[Recount] = field(default_factory=list)
    lags_ms: list[float] = field(default_factory=list)
    server: ServerProcess | None = None
    sampler: Sampler | None = None
    base_url: str = ""
    target: Target = field(default_factory=lambda: Target(base_url="", model=""))
    launch: Launch | None = None
    measurement: Measurement | None = None
    telemetry: Telemetry | None = None
    quality: QualityResult | None = None
    quality_skipped: str | None = None
    profile: StepProfile | None = None
    integrity: IntegrityResult | None = None
    failure: Failure | None = None
    highest_load: dict[str, float] | None = None
    round_s: float = 0.0
    ended_early_s: float | None = None
    free_before: int = 0
    machine: tuple[GpuFingerprint, ...] = ()
    busy: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.engine = engines.load(self.spec.candidate.config.engine)
        self.gauges = LoadedGauges(lambda: self.engine.scrape(self.base_url))
        self.round_s = self.spec.load.round_s
        self.log = self.world.logs / f"{self.spec.trial_id}.log"
        self.tokenizer = _tokenizer(Path(self.spec.model.path))
        self.traces = self.world.logs / f"{self.spec.trial_id}-trace"
        self.prompts = PromptSource(self.spec.workload, self.tokenizer, self.spec.load.seed)

    async def attempt(self, step: Coroutine[None, None, None]) -> None:
        """Run a step unless the arm has failed; what goes wrong becomes its failure."""
        if self.failure:
            step.close()
            return
        elapsed_s = time.monotonic() - self.started_s
        try:
            async with asyncio.timeout(max(1.0, self.spec.deadline_s - elapsed_s)):
                await step
        except EngineFailed as error:
            self._fail(error.cause, error.message, error.log_tail)
        except ArtifactFailed as error:
            self._fail(Cause.ARTIFACT, str(error))
        except UnknownFlag as error:
            self._fail(Cause.BAD_FLAG, str(error))
        except AdvisorError as error:
            self._fail(self._cause_of_death() or Cause.SETUP, str(error))
        except TimeoutError:
            self._fail(Cause.TIMEOUT, f"не уложился в {self.spec.deadline_s:.0f} с")
        except OSError as error:
            self._fail(self._cause_of_death() or Cause.CRASH, f"{type(error).__name__}: {error}")

    async def start(self) -> None:
        """Prepare and launch; returns when the server answers."""
        model_path = await prepare(self.spec, self.world)
        environment = await environment_of(self.engine, self.world)
        self._look_at_cards()
        self.free_before = free_device_memory_bytes(self.world.hardware)
        self._refuse_without_room()
        plan = self.engine.launch_plan(
            environment,
            self.spec.candidate.config,
            model=self.spec.model,
            model_path=model_path,
            port=(port := free_port()),
            hardware=self.world.hardware,
        )
        self.base_url = f"http://127.0.0.1:{port}"
        can = self.engine.capabilities(self.world.hardware)
        served = str(model_path) if can.named_by_path else self.spec.model.name
        self.target = Target(base_url=self.base_url, model=served, endpoint=can.endpoint)
        if self.spec.load.profile_s and isinstance(self.engine, Profilable):
            self.traces.mkdir(parents=True, exist_ok=True)
            plan = self.engine.with_profiler(plan, self.traces)
        begun = asyncio.get_running_loop().time()
        self.server = server = await ServerProcess.start(plan.argv, clean_env(plan.env), self.log)
        try:
            await wait_ready(
                self.base_url,
                lambda: server.returncode is None,
                self.spec.deadline_s,
                can.ready_path,
            )
        except EngineFailed as error:
            cause = self._cause_of_death() or error.cause
            message = error.message
            if isinstance(self.engine, Explaining):
                root = self.engine.root_error(server.log_tail(_WHOLE_LOG_LINES))
                message += f"; в журнале: {root}" if root else ""
            raise EngineFailed(cause, message, server.log_tail(_LOG_LINES)) from error
        catalog = await self.engine.catalog(environment, self.world.home, self.world.progress)
        self.launch = Launch(
            argv=plan.argv,
            env=dict(sorted(plan.env.items())),
            ready_s=asyncio.get_running_loop().time() - begun,
            engine_version=catalog.version,
            in_force=self.engine.in_force(self.log.read_text(errors="replace")),
        )
        self.sampler = Sampler(server.pid)

    def _look_at_cards(self) -> None:
        """Who the GPUs are, and whether anybody else is on them."""
        if self.world.hardware.device.kind != "cuda":
            return
        self.machine = fingerprints()
        self.busy = tuple(said for card in self.machine if (said := not_free(card)))
        for said in self.busy:
            self.world.progress(said)

    def _refuse_without_room(self) -> None:
        """A launch that can't fit would only be killed, perhaps with others beside it."""
        needed = self.engine.memory_needed_bytes(
            self.spec.candidate.config, self.spec.model, self.world.hardware
        )
        if needed > self.free_before:
            raise EngineFailed(
                Cause.OUT_OF_MEMORY,
                f"нужно {format_bytes(needed)} памяти, свободно {format_bytes(self.free_before)}",
            )

    async def warm_up(self) -> None:
        """Load that is thrown away: caches, lazily built kernels, first-touch memory.

        Its answers are short: the round waits for the last of them.
        """
        if not self.spec.load.warmup_s:
            return
        measured, prompts = self.spec.workload, self.prompts
        short = min(_WARM_UP_TOKENS, measured.output_tokens.low)
        if not measured.trace_path:
            light = measured.replace(output_tokens=Lengths(low=short, high=short))
            prompts = PromptSource(light, self.tokenizer, self.spec.load.seed)
        outcome = await self._round(-1, self.spec.load.warmup_s, prompts)
        request_s = _request_s(outcome.samples, measured.output_tokens.mean)
        self.round_s = fitting_round_s(self.round_s, request_s)

    async def measure(self, index: int) -> None:
        assert self.sampler
        enough = self._hopeless if self._may_end_early else None
        async with self.sampler, self.gauges.beside(self.round_s):
            outcome = await self._round(index, self.round_s, enough=enough)
        if outcome.ended_s:
            self.world.progress(
                f"{self.spec.trial_id}: раунд закончен на {outcome.ended_s:.0f}-й секунде из "
                f"{self.round_s:.0f}, обогнать эталон вариант уже не мог"
            )
            self.round_s = self.ended_early_s = outcome.ended_s
        self.samples += outcome.samples
        self.recounts += outcome.recounts
        self.lags_ms.append(outcome.loop_lag_p99_ms)

    @property
    def _may_end_early(self) -> bool:
        """One round of a closed loop against a bar; what is compared in turns ends by itself."""
        load, plan = self.spec.workload, self.spec.load
        # A trace is no sample of one kind of requests: its second half may be another.
        steady = isinstance(load.arrival, ClosedLoop) and not load.trace_path
        return steady and plan.rounds == 1 and self.spec.worth_checking is not None

    def _hopeless(self, samples: Sequence[RequestSample]) -> bool:
        bar, arrival = self.spec.worth_checking, self.spec.workload.arrival
        assert bar
        assert isinstance(arrival, ClosedLoop)
        return out_of_reach(
            samples, bar.metric,
            streams=arrival.concurrency, at_least=bar.at_least, at_most=bar.at_most,
        )  # fmt: skip

    async def _round(
        self,
        index: int,
        seconds: float,
        prompts: PromptSource | None = None,
        enough: Enough | None = None,
    ) -> RoundOutcome:
        outcome = await run_round(
            self.target,
            self.spec.workload,
            prompts or self.prompts,
            round_index=index,
            duration_s=seconds,
            drain_s=_DRAIN_S,
            seed=self.spec.load.seed,
            enough=enough,
        )
        if self.server and self.server.returncode is not None:
            cause = self._cause_of_death() or Cause.CRASH
            raise EngineFailed(cause, "сервер умер под нагрузкой", self.server.log_tail(_LOG_LINES))
        return outcome

    def points(self) -> list[dict[Metric, float]]:
        """The figures of every round so far."""
        rounds = sorted({sample.round for sample in self.samples})
        return [
            round_points(
                [sample for sample in self.samples if sample.round == index],
                round_s=self.round_s,
                slos=self.slos,
            )
            for index in rounds
        ]

    async def judge(self, speeds: tuple[float, ...]) -> None:
        """Sum up, check that the figures are what they claim to be, and score quality."""
        measured = summarize(
            self.samples,
            round_s=self.round_s,
            slos=self.slos,
            seed=self.spec.load.seed,
        )
        self.measurement = measured.replace(
            client_lag_p99_ms=max(self.lags_ms),
            machine_speed=speeds,
            ended_early_s=self.ended_early_s,
        )
        if not any(sample.ok for sample in self.samples):
            waited_s = self.round_s + _DRAIN_S
            raise EngineFailed(
                Cause.NO_MEASUREMENT, f"за {waited_s:.0f} с ни один запрос не завершился успешно"
            )
        assert self.sampler
        seen = self.sampler.result()
        if _on_other_nodes(self.spec.candidate):
            seen = of_one_node(seen)
        self.telemetry = seen.replace(
            engine=self.gauges.over(await self.engine.scrape(self.base_url)),
            energy_mj_per_token=_per_token(seen.energy_j, self.samples),
            warnings=(*self.busy, *seen.warnings),
        )
        warned = (*self.measurement.warnings, machine_changed(speeds), *self.telemetry.warnings)
        self.measurement = self.measurement.replace(warnings=tuple(filter(None, warned)))
        self.integrity = check(
            self.samples,
            self.spec.workload,
            model_name=self.target.model,
            served_models=await self._listed(),
            in_force=self.launch.in_force if self.launch else {},
            config=self.spec.candidate.config,
            tokenizer_known=self.tokenizer is not None,
            recounts=None if self.spec.model.dummy_weights else self.recounts,
            dummy_weights=self.spec.model.dummy_weights,
        )
        self.integrity = self.integrity.replace(
            checks=(
                *self.integrity.checks,
                *gain_checks(self.spec.workload, self.spec.candidate.config, self.telemetry),
            )
        )
        await self._score()
        if self.spec.load_search and self.slos:
            with suppress(AdvisorError):  # a server that dies of overload was measured before it
                self.highest_load = await highest.search(
                    self.spec, self.spec.load_search, self.target, self.prompts, self.slos
                )

    async def _listed(self) -> list[str] | None:
        """Ids of the served models; None where the server lists none in OpenAI's way."""
        can = self.engine.capabilities(self.world.hardware)
        return await models(self.base_url) if can.ready_path == "/v1/models" else None

    async def profile_steps(self) -> None:
        """A trace of the same load, after everything else: profiling slows the server down.

        What goes wrong with it is said and is no failure of the trial.
        """
        if self.failure or not self.traces.is_dir():
            return
        try:
            async with asyncio.timeout(_PROFILE_DEADLINE_S):
                self.profile = await self._record(self.spec.load.profile_s or 0.0)
        except (AdvisorError, OSError, TimeoutError) as error:
            self.world.progress(f"профиль не снят: {error or 'не уложился в срок'}")
        finally:
            shutil.rmtree(self.traces, ignore_errors=True)

    async def _record(self, seconds: float) -> StepProfile:
        return await torch_profiler.profile(
            self.target,
            self.spec.workload,
            self.prompts,
            self.traces,
            lead_s=_PROFILE_LEAD_S,
            seconds=seconds,
            seed=self.spec.load.seed,
            progress=self.world.progress,
        )

    async def _score(self) -> None:
        plan = self.spec.quality
        if plan is None:
            self.quality_skipped = "не запрошена"
        elif self.spec.model.dummy_weights:
            self.quality_skipped = "веса случайные, судить по ним о качестве нельзя"
        elif not self._worth_checking():
            self.quality_skipped = "по скорости вариант уже проиграл"
        elif not self.engine.capabilities(self.world.hardware).prompt_logprobs:
            self.quality_skipped = "движок не отдаёт log-вероятности промпта"
        else:
            try:
                self.quality = await assess(
                    self.target, plan, self.tokenizer, self.reference, seed=self.spec.load.seed
                )
            except QualityUnavailable as error:
                self.quality_skipped = str(error)
        if self.quality and self.integrity:
            self.integrity = with_quality(self.integrity, self.quality, self.reference)

    def _worth_checking(self) -> bool:
        bar = self.spec.worth_checking
        if self.ended_early_s:
            return False
        if bar is None or self.measurement is None:
            return True
        seen = self.measurement.metrics.get(bar.metric)
        if seen is None:
            return False
        fast_enough = bar.at_least is None or seen.high >= bar.at_least
        return fast_enough and (bar.at_most is None or seen.low <= bar.at_most)

    async def stop(self) -> None:
        """Tear down and see that the memory came back."""
        if self.server is None:
            return
        ceased_s = await self.server.stop()
        if self.launch:
            self.launch = self.launch.replace(
                ceased_s=ceased_s,
                memory_returned=await _memory_back(self.free_before, self.world.hardware),
            )

    def finish(self, pair: str | None) -> Measured:
        result = TrialResult(
            spec=self.spec,
            started_at=self.started_at,
            finished_at=self.started_at + timedelta(seconds=time.monotonic() - self.started_s),
            launch=self.launch,
            measurement=None if self.failure else self.measurement,
            telemetry=self.telemetry,
            profile=self.profile,
            quality=self.quality,
            quality_skipped=self.quality_skipped,
            integrity=self.integrity,
            failure=self.failure,
            highest_load=self.highest_load,
            machine=self.machine,
            pair=pair if pair != self.spec.trial_id else None,
        )
        return Measured(result, tuple(self.samples))

    def _fail(self, cause: Cause, message: str, tail: tuple[str, ...] = ()) -> None:
        if not tail and self.server:
            tail = self.server.log_tail(_LOG_LINES)
        self.failure = Failure(cause=cause, message=message, log_tail=tail)

    def _cause_of_death(self) -> Cause | None:
        if self.server is None or self.server.returncode is None:
            return None
        tail = self.server.log_tail(_WHOLE_LOG_LINES)
        return self.engine.diagnose(self.server.returncode, tail)


def _on_other_nodes(candidate: Candidate) -> bool:
    """Whether some of its cards may be where nothing here can see them."""
    joined = engines.joins_cluster(candidate.config) and "RAY_ADDRESS" in os.environ
    return joined and engines.devices_of(candidate.config) > 1


def _tokenizer(folder: Path) -> Tokenizer | None:
    with suppress(AdvisorError, OSError):
        return Tokenizer.from_folder(folder)
    return None


def _request_s(samples: Sequence[RequestSample], output_tokens: float) -> float:
    """What a whole request would take, by the short ones of the warm-up; 0 when none was served."""
    seen = latencies(kept_after_ramp([sample for sample in samples if sample.ok]))
    first_ms, step_ms = (fmean(seen[stem]) if seen[stem].size else 0.0 for stem in ("ttft", "tpot"))
    return (first_ms + step_ms * output_tokens) / 1e3


def _per_token(energy_j: float | None, samples: Sequence[RequestSample]) -> float | None:
    """Of the whole load, its beginning and end included, as the meter counted it."""
    tokens = sum(sample.output_tokens or 0 for sample in samples)
    return energy_j * 1e3 / tokens if energy_j is not None and tokens else None


async def _memory_back(free_before: int, hardware: Hardware) -> bool:
    """True once the free memory is where it was before the launch, within a slack."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _MEMORY_WAIT_S[hardware.device.kind]
    while free_device_memory_bytes(hardware) < free_before - _MEMORY_SLACK_BYTES:
        if loop.time() > deadline:
            return False
        await asyncio.sleep(0.2)
    return True
