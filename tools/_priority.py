"""Ray starts its workers with a low priority, which what they start would inherit."""

import os


def normal_priority() -> str:
    """Take the usual one; why that can't be, in Russian, else empty."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return (
            f"Ray понизил приоритет воркера (nice {os.nice(0)}), и вернуть его нельзя: "
            "запускайте узлы с RAY_worker_niceness=0"
        )
    return ""
