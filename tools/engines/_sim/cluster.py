"""The simulated server on a Ray cluster: it joins as vLLM does and holds its GPUs there."""

import json
from collections import Counter
from importlib import import_module

_READY_S = 60.0


def hold_gpus(count: int) -> None:
    """One bundle a GPU, packed, the first on this node; prints how many each node gives.

    The cluster is the one of RAY_ADDRESS. They come back when this process ends.
    """
    ray, groups = import_module("ray"), import_module("ray.util.placement_group")
    ray.init("auto", log_to_driver=False, configure_logging=False)
    here = import_module("ray.util").get_node_ip_address()
    bundles: list[dict[str, float]] = [{"GPU": 1.0} for _ in range(count)]
    bundles[0][f"node:{here}"] = 0.001
    group = groups.placement_group(bundles, strategy="PACK")
    if not group.wait(_READY_S):
        raise TimeoutError(f"no {count} GPUs in the cluster")
    nodes = groups.placement_group_table(group)["bundles_to_node_id"].values()
    print("GPUs by node:", json.dumps(Counter(nodes)), flush=True)
