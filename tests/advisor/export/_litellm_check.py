"""Runs in LiteLLM's own environment: does it take this file, and is every key one it knows?"""

import copy
import inspect
import sys
from pathlib import Path

import yaml


def main(path: str) -> None:
    import litellm
    from litellm import Router
    from litellm.caching.caching import Cache
    from litellm.proxy._types import ConfigGeneralSettings, ConfigYAML
    from litellm.types.router import GenericLiteLLMParams

    config = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    ConfigYAML(**copy.deepcopy(config))
    unknown = set(config["router_settings"]) - set(inspect.signature(Router.__init__).parameters)
    unknown |= set(config["general_settings"]) - set(ConfigGeneralSettings.model_fields)
    cache = config["litellm_settings"].pop("cache_params")
    unknown |= {k for k in config["litellm_settings"] if not hasattr(litellm, k)}
    unknown |= set(cache) - set(inspect.signature(Cache.__init__).parameters)
    # The router reads these two out of litellm_params itself; its model does not declare them.
    undeclared = {"order", "max_parallel_requests"}
    known = {*GenericLiteLLMParams.model_fields, "model"} | undeclared
    for model in config["model_list"]:
        unknown |= set(model["litellm_params"]) - known
    assert not unknown, unknown
    text = yaml.safe_dump({"models": config["model_list"]}).replace(
        "os.environ/BIG_MODEL", "openai/big"
    )
    models = yaml.safe_load(text.replace("os.environ/", "http://127.0.0.1:1/"))["models"]
    router = Router(model_list=models, **config["router_settings"])
    print(sorted(router.get_model_names()))


main(sys.argv[1])
