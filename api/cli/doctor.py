"""`advisor doctor`: what this machine is and what is ready on it."""

import json

import typer

from api.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", help="Что за машина, какие движки готовы, чего не хватает.")(doctor)


def doctor(as_json: bool = typer.Option(False, "--json", help="Один объект JSON.")) -> None:
    """Hardware, memory, disk, and each engine's environment."""
    from knowledge.quantities import format_bytes
    from tools import engines, envs
    from tools._disk import free_disk_bytes
    from tools._nvml import fingerprints, not_free
    from tools.hardware import free_device_memory_bytes, inspect

    home = Settings().folders()
    hardware = inspect(home)
    state: dict[str, str] = {}
    for name in engines.names():
        engine = engines.load(name)
        needs = engine.env_spec(hardware)
        ready = needs is None or envs.find(needs, home) is not None
        state[name] = "готов" if ready else f"не установлен: advisor setup {name}"
        if missing := engine.capabilities(hardware).unavailable:
            state[name] = f"здесь не запустить: {missing}"
    cards = fingerprints()
    warnings = [said for card in cards if (said := not_free(card))]
    found = {
        "gpus": [card.model_dump(mode="json") for card in cards],
        "warnings": warnings,
        "hardware": hardware.model_dump(mode="json"),
        "free_memory_bytes": free_device_memory_bytes(hardware),
        "free_disk_bytes": free_disk_bytes(home.cache),
        "engines": state,
        "data": str(home.data),
        "cache": str(home.cache),
    }
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    device = hardware.device
    print(f"Устройство: {device.name}, {device.kind}, ядер CPU: {hardware.cores}")
    print(
        f"Память: {format_bytes(device.memory_bytes)}, "
        f"свободно {format_bytes(free_device_memory_bytes(hardware))}"
    )
    print(
        f"Пропускная способность: {device.bandwidth_bytes_per_s / 1e9:.1f} ГБ/с "
        f"({'измерено' if device.measured else device.source})"
    )
    print(f"Свободно на диске: {format_bytes(free_disk_bytes(home.cache))} ({home.cache})")
    for card in cards:
        print(
            f"GPU {card.name}: драйвер {card.driver}, CUDA до {card.cuda or '?'}, PCIe "
            f"{card.pcie or '?'}, NVLink {card.nvlinks}, лимит {card.power_limit_w or 0:.0f} Вт, "
            f"ECC {_word(card.ecc)}, MIG {_word(card.mig)}"
        )
    for warning in warnings:
        print(f"Внимание: {warning}")
    for name, text in state.items():
        print(f"Движок {name}: {text}")


def _word(switch: bool | None) -> str:
    return "?" if switch is None else "включён" if switch else "выключен"
