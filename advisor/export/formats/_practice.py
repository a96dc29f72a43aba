"""What the formats of production practice share."""

from advisor.export.deployment import Deployment


def basis(what: Deployment) -> str:
    """Where the limits come from: Russian, for the head of a file."""
    limits = what.practice
    if limits.measured_timeouts:
        return f"Тайм-ауты: удвоенная верхняя граница p99 из испытания {what.trial_id}."
    return "p99 в этой сессии не измерен: тайм-ауты взяты с запасом, поправьте их под себя."


def queue_limit(what: Deployment) -> int:
    """Waiting requests per replica that are worth another one: a quarter of what runs."""
    return max(1, round((what.practice.concurrency or 16) / 4))
