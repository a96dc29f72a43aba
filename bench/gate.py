"""Does the quality gate see faults and leave honest servers alone?

    python -m bench.gate [--json FILE] [--quick] [--engine transformers] [--keep DIR]

Checkpoints of the demo model with one fault each are served by a real engine and judged against
the untouched one, launched once before, as what claims to be the same model. Re-launches of the
untouched one must pass, as must an ordinary 8-bit checkpoint that is declared as such. The column
"as 8 bits" says which faults would also be seen in a checkpoint that is declared quantized: one
that does less harm than honest rounding does not. With --keep what was scored stays, and is not
scored again.
"""

import argparse
import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench._caching_proxy import CachingProxy
from knowledge.statistics import quality_verdict
from knowledge.types import EngineConfig, FlagValue, Hardware, ModelSpec, QualityPlan, QualityResult
from tools import demo_model, engines, envs
from tools.engines.transformers import ENV
from tools.hardware import inspect
from tools.home import Home
from tools.load import Target, Tokenizer, wait_ready
from tools.models import look_at
from tools.process import ServerProcess, clean_env, free_port, run_job
from tools.quality.assess import assess

_HERE = Path(__file__).parent / "_in_env"
_SERVER_FOLDER = Path(engines.__file__).parent / "_in_env"
_NAME = "demo"
_KV_BITS = "3"
_READY_S = 600.0
FULL = QualityPlan(chunks=16, grow_to=48)
QUICK = QualityPlan(chunks=8, chunk_tokens=96, grow_to=16)


@dataclass(frozen=True)
class Case:
    """One launch: which checkpoint, how served, and what the gate is to say of it."""

    name: str
    fault: str = "nothing"
    faulty: bool = True
    same_weights: bool = True
    kv_bits: str | None = None
    cached: bool = False


FAULTS = (
    *(
        Case(fault, fault)
        for fault in (
            *("scaled-layer", "scaled-norm", "dropped-layer", "smaller-model", "three-bits"),
            *("rope-theta", "swapped-tokens", "chat-template", "stop-token", "mixed-up-heads"),
        )
    ),
    Case("kv-cache-3-bits", kv_bits=_KV_BITS),
    Case("answers-cached", cached=True),
)
HONEST = (Case("eight-bits", "eight-bits", faulty=False, same_weights=False),)


@dataclass
class Bench:
    """Where everything lies, and the server that is under test."""

    home: Home
    hardware: Hardware
    engine: str
    plan: QualityPlan
    keep: Path
    python: Path
    model: Path
    tokenizer: Tokenizer
    threads: int | None = None

    async def scored(self, case: Case, reference: QualityResult | None) -> QualityResult:
        """What a case's server gave, from the kept files if it was asked before."""
        kept = self.keep / f"{case.name}.json"
        if kept.exists():
            return QualityResult.model_validate_json(kept.read_bytes())
        plan = self.plan.replace(same_weights=case.same_weights)
        folder = await self._checkpoint(case.fault)
        async with self._launched(case, look_at(folder, _NAME), folder) as url:
            target = Target(base_url=url, model=_NAME)
            seen = await assess(target, plan, self.tokenizer, reference)
        if case.fault != "nothing":
            shutil.rmtree(folder)
        kept.write_text(seen.model_dump_json())
        return seen

    async def _checkpoint(self, fault: str) -> Path:
        out = self.keep / fault
        if not (out / "model.safetensors").exists():
            job = {"model": str(self.model), "out": str(out), "fault": fault}
            log = self.keep / f"{fault}.log"
            await run_job(self.python, _HERE / "faults.py", job, log_path=log, deadline_s=_READY_S)
        return out

    @asynccontextmanager
    async def _launched(
        self, case: Case, model: ModelSpec, folder: Path
    ) -> AsyncGenerator[str, None]:
        engine = engines.load(self.engine)
        needs = engine.env_spec(self.hardware)
        environment = await envs.ensure(needs, self.home, print) if needs else None
        flags: dict[str, FlagValue] = {}
        if self.engine == "vllm":
            flags = {"enforce-eager": True, "max-model-len": 2048}
        elif self.threads:
            flags = {"threads": self.threads}
        plan = engine.launch_plan(
            environment,
            EngineConfig(engine=self.engine, flags=flags),
            model=model,
            model_path=folder,
            port=(port := free_port()),
            hardware=self.hardware,
        )
        argv = plan.argv
        if case.kv_bits:
            argv = (argv[0], str(_HERE / "rounded_kv.py"), case.kv_bits, str(_SERVER_FOLDER))
            argv += plan.argv[2:]
        log = self.keep / f"{case.name}.log"
        process = await ServerProcess.start(argv, clean_env(plan.env), log)
        url = f"http://127.0.0.1:{port}"
        try:
            await wait_ready(url, lambda: process.returncode is None, _READY_S)
            if not case.cached:
                yield url
                return
            async with CachingProxy(url) as proxy:
                yield proxy.url
        finally:
            await process.stop()


async def run(chosen: argparse.Namespace, keep: Path) -> dict[str, object]:
    home = Home.default(os.environ)
    began = time.monotonic()
    model = await demo_model.ensure(home, print)
    bench = Bench(
        home=home,
        hardware=inspect(home),
        engine=chosen.engine,
        plan=QUICK if chosen.quick else FULL,
        keep=keep,
        python=(await envs.ensure(ENV, home, print)).python,
        model=model,
        tokenizer=Tokenizer.from_folder(model),
        threads=chosen.threads,
    )
    reference = await bench.scored(Case("reference"), None)
    rows = []
    for case in _cases(chosen):
        seen = await bench.scored(case, reference)
        rows.append(_row(case, reference, seen, bench.plan))
        print(_line(rows[-1]), flush=True)
    return {**_summary(rows), "engine": chosen.engine, "seconds": round(time.monotonic() - began)}


def _cases(chosen: argparse.Namespace) -> list[Case]:
    # Only the reference server lets its cache be rounded.
    faults = [c for c in FAULTS if c.kv_bits is None or chosen.engine == "transformers"]
    again = [Case(f"again-{i + 1}", faulty=False) for i in range(chosen.relaunches)]
    cases = [*again[:1], *HONEST, *faults, *again[1:]]
    return [case for case in cases if chosen.only is None or case.name in chosen.only]


def _row(
    case: Case, reference: QualityResult, seen: QualityResult, plan: QualityPlan
) -> dict[str, object]:
    judged = quality_verdict(reference, seen, plan.replace(same_weights=case.same_weights), seed=0)
    lenient = quality_verdict(reference, seen, plan.replace(same_weights=False), seed=0)
    loss = judged.loss_nats_per_token
    return {
        "case": case.name,
        "faulty": case.faulty,
        "outcome": judged.outcome,
        "right": (judged.outcome != "non-inferior") == case.faulty,
        "outcome_as_8_bits": lenient.outcome,
        "tokens": seen.tokens,
        "seconds": round(seen.seconds, 1),
        "loss_nats": [loss.value, loss.low, loss.high],
        "worst_chunk_nats": judged.worst_chunk_nats,
        "flips": judged.flips.value if judged.flips else None,
        "kl_nats": judged.kl_nats.value if judged.kl_nats else None,
        "same_prefix": judged.same_prefix,
        "regret_nats": seen.answers.regret_nats if seen.answers else None,
        "power": judged.power,
        "findings": list(judged.findings),
    }


def _line(row: dict[str, object]) -> str:
    def shown(name: str, digits: int) -> str:
        value = row[name]
        return f"{value:.{digits}f}" if isinstance(value, float) else "-"

    loss = row["loss_nats"]
    assert isinstance(loss, list)
    mark = "  " if row["right"] else "!!"
    return (
        f"{mark} {row['case']:16} {row['outcome']:12} (as 8 bits: "
        f"{row['outcome_as_8_bits']:12}) loss {loss[0]:+.4f} [{loss[1]:+.4f}; "
        f"{loss[2]:+.4f}] worst {shown('worst_chunk_nats', 3)} flips {shown('flips', 4)} "
        f"KL {shown('kl_nats', 5)} prefix {shown('same_prefix', 2)} "
        f"regret {shown('regret_nats', 3)} tokens {row['tokens']} | {row['findings']}"
    )


def _summary(rows: list[dict[str, object]]) -> dict[str, object]:
    faults = [row for row in rows if row["faulty"]]
    again = [row for row in rows if str(row["case"]).startswith("again")]
    return {
        "faults": len(faults),
        "caught": sum(bool(row["right"]) for row in faults),
        "relaunches": len(again),
        "false_alarms": sum(not row["right"] for row in again),
        "honest_8_bit_passes": all(row["right"] for row in rows if row["case"] == "eight-bits"),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="Write the figures there")
    parser.add_argument("--quick", action="store_true", help="Less text per launch")
    parser.add_argument("--engine", default="transformers", help="transformers or vllm")
    parser.add_argument("--threads", type=int, help="Of the reference server; 1 on a busy machine")
    parser.add_argument("--relaunches", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="Folder that keeps what was scored")
    parser.add_argument("--only", nargs="*", help="These cases alone")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        keep = chosen.keep or Path(temporary)
        keep.mkdir(parents=True, exist_ok=True)
        found = asyncio.run(run(chosen, keep))
    print(
        f"caught {found['caught']} of {found['faults']} faults; false alarms "
        f"{found['false_alarms']} in {found['relaunches']} re-launches; 8 bits pass: "
        f"{found['honest_8_bit_passes']}; {found['seconds']} s"
    )
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
