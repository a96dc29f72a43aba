"""The generator against a server whose truth is known: how far off are its figures here?

`python -m tools.load.calibrate --streams 512` runs one case in a fresh process and prints JSON;
`advisor bench --calibrate` and bench/loadgen.py are built on it.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from knowledge.errors import NothingMeasured
from knowledge.types import ClosedLoop, Constant, Lengths, Poisson, RequestSample, Workload
from tools.load.generator import run_round
from tools.load.http import fetch
from tools.load.prompts import Prompt
from tools.load.target import Target

_SERVER = Path(__file__).with_name("exact_server.py")
_EDGE_S = 0.75


@dataclass(frozen=True)
class Case:
    """A load, and the delays of the server. `rate_per_s` makes it an open loop."""

    streams: int = 64
    seconds: float = 5.0
    ttft_ms: float = 50.0
    itl_ms: float = 10.0
    tokens: int = 64
    rate_per_s: float | None = None
    constant: bool = False
    processes: int = 1

    @property
    def ideal_tokens_per_s(self) -> float | None:
        """What the streams would get from a client that takes no time."""
        answer_ms = self.ttft_ms + self.itl_ms * (self.tokens - 1)
        if self.rate_per_s is not None or not answer_ms:
            return None
        return 1000 * self.streams * self.tokens / answer_ms


@dataclass(frozen=True)
class Truth:
    """The server's log of one case."""

    requests: dict[int, tuple[float, list[float]]]
    """By the number in the prompt: when the kernel had the request, when each token was sent."""
    late_s: list[float]

    def tokens_per_s(self, cycle_s: float, until_s: float) -> float | None:
        """Tokens sent in whole cycles of an answer, after the start and before the load ends: in
        parts of a cycle streams that began together would all be there, or none."""
        times = sorted(t for _, sent in self.requests.values() for t in sent)
        if not times:
            return None
        begin = times[0] + _EDGE_S
        cycles = int((times[0] + until_s - begin) / cycle_s) if cycle_s else 0
        if cycles < 1:
            return None
        return sum(begin <= t < begin + cycles * cycle_s for t in times) / (cycles * cycle_s)


@dataclass(frozen=True)
class Calibration:
    """How far off the client was. Milliseconds unless the name says otherwise."""

    case: Case
    requests: int
    failed: int
    tokens: int
    tokens_per_s: float
    share_of_ideal: float | None
    ttft_error_p50_ms: float
    ttft_error_p99_ms: float
    itl_error_p50_ms: float
    itl_error_p99_ms: float
    ttft_p50_ms: tuple[float, float]
    """Reported and true, and so on."""
    ttft_p99_ms: tuple[float, float]
    itl_p50_ms: tuple[float, float]
    itl_p99_ms: tuple[float, float]
    server_late_p50_ms: float
    server_late_p99_ms: float
    cpu_us_per_token: float
    rss_peak_mb: float
    clock: str
    valid: bool
    problems: tuple[str, ...]
    arrivals: dict[str, float] = field(default_factory=dict)
    """Open loop: rate, gap_cv and, for Poisson arrivals, ks, as the server saw them."""
    first_sent_at: float = 0.0
    """Seconds of time.perf_counter, to tell how long the start took."""
    server_start_s: float = 0.0
    """What of that was the server's."""


class NumberedPrompts:
    """Each prompt begins with its number, by which the server's log is matched."""

    tokenizer = None

    def __init__(self, tokens: int) -> None:
        self.requests_per_s: float | None = None
        self.processes = 1
        self.traced = True  # every answer of full length
        self._tokens = tokens
        self._number = -1

    def next(self) -> Prompt:
        self._number += 1
        return Prompt(f"#{self._number} is the number of this request", 16, self._tokens)

    def prepare(self, count: int, budget_s: float = 0.05) -> bool:
        return True


@contextmanager
def exact_server(ttft_ms: float, itl_ms: float) -> Iterator[str]:
    """A server in a process of its own; gives its URL."""
    command = [sys.executable, str(_SERVER), "--ttft-ms", str(ttft_ms), "--itl-ms", str(itl_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            port = process.stdout.readline().strip()
            if not port:
                raise NothingMeasured("сервер для калибровки не запустился", "Нужен Linux с epoll")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


async def truth_of(url: str) -> Truth:
    """The log since it was last asked for."""
    found = json.loads((await fetch(url, "/log", timeout_s=120)).content)
    requests = {
        int(name[1:]) if name[:1] == "#" and name[1:].isdecimal() else -1 - i: (received, times)
        for i, (name, received, times) in enumerate(found["requests"])
    }
    return Truth(requests, found["late_s"])


async def calibrate(case: Case) -> Calibration:
    """Run one case on this loop. Raises NothingMeasured, BadInput."""
    if sys.platform != "linux":
        raise NothingMeasured("калибровка работает только в Linux", "Запустите её на Linux")
    begun = time.perf_counter()
    with exact_server(case.ttft_ms, case.itl_ms) as url:
        server_start_s = time.perf_counter() - begun
        workload, prompts = _workload(case), NumberedPrompts(case.tokens)
        cpu = time.process_time()
        outcome = await run_round(
            Target(url, "exact"),
            workload,
            prompts,  # type: ignore[arg-type] # all that is asked of a source
            round_index=0,
            duration_s=case.seconds,
            drain_s=30.0,
            seed=1,
            processes=case.processes,
        )
        cpu = time.process_time() - cpu
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        truth = await truth_of(url)
    errors = _Errors.of(outcome.samples, truth)
    if not errors.ttft_ms:
        raise NothingMeasured("ни один запрос калибровки не удался", "Проверьте loopback")
    tokens = sum(s.output_tokens or 0 for s in outcome.samples)
    answer_s = (case.ttft_ms + case.itl_ms * (case.tokens - 1)) / 1000
    seen = truth.tokens_per_s(answer_s, case.seconds - case.ttft_ms / 1000)
    ideal = case.ideal_tokens_per_s
    late = [1000 * value for value in truth.late_s]
    first = min(received for received, _ in truth.requests.values())
    return Calibration(
        case=case,
        requests=len(outcome.samples),
        failed=sum(not s.ok for s in outcome.samples),
        tokens=tokens,
        tokens_per_s=seen or tokens / case.seconds,
        share_of_ideal=seen / ideal if seen and ideal else None,
        ttft_error_p50_ms=quantile(errors.ttft_ms, 0.5),
        ttft_error_p99_ms=quantile(errors.ttft_ms, 0.99),
        itl_error_p50_ms=quantile(errors.itl_ms, 0.5),
        itl_error_p99_ms=quantile(errors.itl_ms, 0.99),
        ttft_p50_ms=errors.pair("ttft", 0.5),
        ttft_p99_ms=errors.pair("ttft", 0.99),
        itl_p50_ms=errors.pair("itl", 0.5),
        itl_p99_ms=errors.pair("itl", 0.99),
        server_late_p50_ms=quantile(late, 0.5),
        server_late_p99_ms=quantile(late, 0.99),
        cpu_us_per_token=1e6 * cpu / max(1, tokens),
        rss_peak_mb=rss,
        clock=outcome.client.clock,
        valid=outcome.client.valid,
        problems=outcome.client.problems,
        arrivals=_arrivals(case, truth) if case.rate_per_s else {},
        first_sent_at=first,
        server_start_s=server_start_s,
    )


def _workload(case: Case) -> Workload:
    arrival: ClosedLoop | Constant | Poisson = ClosedLoop(concurrency=case.streams)
    if case.rate_per_s is not None:
        open_loop = Constant if case.constant else Poisson
        arrival = open_loop(rate_per_s=case.rate_per_s)
    return Workload(
        name="calibration",
        arrival=arrival,
        input_tokens=Lengths(low=16, high=16),
        output_tokens=Lengths(low=case.tokens, high=case.tokens),
    )


@dataclass
class _Errors:
    """Reported against true, request by request and gap by gap."""

    ttft_ms: list[float] = field(default_factory=list)
    itl_ms: list[float] = field(default_factory=list)
    reported: dict[str, list[float]] = field(default_factory=lambda: {"ttft": [], "itl": []})
    true: dict[str, list[float]] = field(default_factory=lambda: {"ttft": [], "itl": []})

    @classmethod
    def of(cls, samples: Sequence[RequestSample], truth: Truth) -> "_Errors":
        errors = cls()
        for sample in samples:
            if sample.ok and sample.index in truth.requests:
                errors._add(sample, *truth.requests[sample.index])
        return errors

    def _add(self, sample: RequestSample, received: float, sent: list[float]) -> None:
        assert sample.first_token_s is not None
        reported, true = 1000 * (sample.first_token_s - sample.sent_s), 1000 * (sent[0] - received)
        self.ttft_ms.append(abs(reported - true))
        self.reported["ttft"].append(reported)
        self.true["ttft"].append(true)
        gaps = [1000 * (b - a) for a, b in pairwise(sent)]
        if len(gaps) == len(sample.itl_ms):
            self.itl_ms += [abs(a - b) for a, b in zip(sample.itl_ms, gaps, strict=True)]
            self.reported["itl"] += sample.itl_ms
            self.true["itl"] += gaps

    def pair(self, name: str, share: float) -> tuple[float, float]:
        return quantile(self.reported[name], share), quantile(self.true[name], share)


def _arrivals(case: Case, truth: Truth) -> dict[str, float]:
    """Rate and gaps of the requests as the server's kernel had them."""
    assert case.rate_per_s is not None
    moments = sorted(received for received, _ in truth.requests.values())
    gaps = sorted(b - a for a, b in pairwise(moments))
    mean = statistics.fmean(gaps)
    found = {
        "rate_per_s": len(moments) / case.seconds,
        "gap_cv": statistics.pstdev(gaps) / mean,
    }
    if not case.constant:
        n = len(gaps)
        expected = [1 - math.exp(-gap * case.rate_per_s) for gap in gaps]
        found["ks"] = max(max((i + 1) / n - e, e - i / n) for i, e in enumerate(expected))
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def main() -> None:
    """One case from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in asdict(Case()).items():
        kind = bool if name == "constant" else float if name == "rate_per_s" else type(default)
        if kind is bool:
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    case = Case(**vars(parser.parse_args()))
    import uvloop

    print(json.dumps(asdict(uvloop.run(calibrate(case)))))


if __name__ == "__main__":
    main()
