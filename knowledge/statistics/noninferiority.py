"""Did quality hold: token log-probabilities of the same text, paired token by token."""

from collections.abc import Sequence

import numpy as np

from knowledge.statistics.bootstrap import bootstrap_ratio
from knowledge.types import QualityVerdict


def non_inferior(
    reference_chunks: Sequence[Sequence[float]],
    candidate_chunks: Sequence[Sequence[float]],
    margin: float,
    seed: int,
) -> QualityVerdict:
    """Non-inferior iff the upper end of the 95 % interval of the loss lies below the margin.

    Loss is reference minus candidate in nats per token, over all tokens. Tokens of one chunk
    depend on one another, so chunks are drawn, not tokens (cluster bootstrap). Raises ValueError
    when the two did not score the same tokens.
    """
    ours = [len(chunk) for chunk in reference_chunks]
    theirs = [len(chunk) for chunk in candidate_chunks]
    if ours != theirs or not sum(ours):
        raise ValueError(f"the two scored different tokens: {sum(ours)} and {sum(theirs)}")
    losses = [
        float(np.sum(np.subtract(reference, candidate)))
        for reference, candidate in zip(reference_chunks, candidate_chunks, strict=True)
    ]
    pairs = [(loss, size) for loss, size in zip(losses, ours, strict=True) if size]
    loss = bootstrap_ratio(
        [loss for loss, _ in pairs], [float(size) for _, size in pairs], seed=seed, resamples=2000
    )
    # One chunk has no spread between chunks, so it can convince nobody.
    sure = len(pairs) > 1 and loss.high < margin
    return QualityVerdict(non_inferior=sure, loss_nats_per_token=loss, margin=margin)
