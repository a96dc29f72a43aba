"""The split behind the bench: no measurement stands on both sides, under whatever name."""

from collections import defaultdict

import numpy as np
import pytest

from advisor.prediction.cells import table_of
from advisor.prediction.train import folds_of
from knowledge.devices import find_device
from knowledge.known_models import require_architecture
from knowledge.prediction import Layout, Observation
from tools import silicon
from tools.silicon import SiliconRow, layout_of

needs_rows = pytest.mark.skipif(not silicon.available(), reason="needs the extra [predict]")


def row(
    tpot: float, *, tp: int = 8, version: str = "1", name: str = "a", streams: float = 4
) -> SiliconRow:
    seen = Observation(
        model=name, engine="vllm", device=find_device("h100").name, weight_dtype="fp8",
        layout=Layout(tp=tp), input_tokens=1024, output_tokens=1024, concurrency=streams,
        ttft_ms=100.0, tpot_ms=tpot, source="elsewhere", reference=f"{name}{version}",
        facts=require_architecture("llama-3.1-70b").facts,
    )  # fmt: skip
    return SiliconRow(observation=seen, harness="inferencex", version=version, named_group=name)


def test_versions_and_names_of_one_deployment_are_one_group_and_one_cell() -> None:
    rows = [row(10), row(11, version="2"), row(12, name="b"), row(20, streams=8), row(9, tp=4)]
    cells = table_of(rows).cells
    index = table_of(rows).index
    assert len(set(cells.group[index[:4]])) == 1
    assert len(set(cells.cell[index[:3]])) == 1
    assert cells.cell[index[3]] != cells.cell[index[0]]
    assert cells.group[index[4]] != cells.group[index[0]]


@pytest.mark.parametrize(
    ("columns", "meant"),
    [
        (("8", "1", "1", "1"), Layout(tp=8)),
        (("64", "1", "8", "8"), Layout(tp=8, ep=8)),
        (("1", "64", "8", "8"), Layout(tp=1, dp=8, ep=8)),
        (("4", "4", "1", "16"), Layout(tp=1, dp=4, ep=4)),
        (("1", "8", "1", "8"), Layout(tp=1, dp=8, ep=8)),
        (("8", "", "1", "8"), Layout(tp=8, ep=8)),
        (("2", "0", "0", "0"), Layout(tp=2)),
    ],
)
def test_multiplied_degrees_are_told_from_plain_ones(
    columns: tuple[str, str, str, str], meant: Layout
) -> None:
    names = ("tp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size")
    assert layout_of(dict(zip(names, columns, strict=True))) == meant


@needs_rows
def test_no_measurement_is_on_both_sides_of_any_fold() -> None:
    rows = silicon.rows()
    table = table_of(rows)
    fold_of_cell = np.full(len(table.cells), -1)
    for number, fold in enumerate(folds_of(table.cells, 5, seed=7)):
        assert (fold_of_cell[fold] == -1).all()
        fold_of_cell[fold] = number
    assert (fold_of_cell >= 0).all()
    sides = defaultdict(set)
    for k, one in enumerate(rows):
        seen = one.observation
        # A copy has the same figures for the same load, whatever group the file puts it in.
        same = (seen.engine, seen.device, seen.input_tokens, seen.output_tokens,
                seen.concurrency, seen.ttft_ms, seen.tpot_ms)  # fmt: skip
        sides[same].add(int(fold_of_cell[table.index[k]]))
    assert all(len(side) == 1 for side in sides.values())
    assert len(sides) < len(rows)  # there are copies to be caught


@needs_rows
def test_the_files_own_groups_would_leak() -> None:
    """Why aliases are put together: the same measurement stands under several names."""
    names = defaultdict(set)
    for one in silicon.rows():
        seen = one.observation
        names[seen.ttft_ms, seen.tpot_ms, seen.concurrency].add(one.named_group)
    assert sum(len(groups) > 1 for groups in names.values()) > 200


@needs_rows
def test_a_prediction_without_a_group_does_not_depend_on_its_figures() -> None:
    from advisor.prediction.fit import guesses
    from knowledge.prediction.gaussian import posterior
    from knowledge.prediction.trained import load

    table = table_of(silicon.rows())
    cells, trained = table.cells, load()
    guess = guesses(cells, (trained.efficiencies, trained.ttft_efficiencies))[0]
    inside = np.flatnonzero(cells.group == cells.group[0])
    outside = np.flatnonzero(cells.group != cells.group[0])
    poisoned = cells.log_tpot.copy()
    poisoned[inside] += 5.0
    means = [
        posterior(trained.tpot.kernel, cells.inputs.take(outside), (logs - guess)[outside],
                  cells.inputs.take(inside)).mean
        for logs in (cells.log_tpot, poisoned)
    ]  # fmt: skip
    assert np.array_equal(means[0], means[1])


@needs_rows
def test_the_kept_training_is_of_these_rows() -> None:
    from knowledge.prediction.trained import load

    assert load().origin["rows_sha256_16"] == table_of(silicon.rows()).digest
