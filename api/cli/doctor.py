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
    from tools.hardware import free_device_memory_bytes, inspect

    home = Settings().folders()
    hardware = inspect(home)
    state: dict[str, str] = {}
    for name in engines.names():
        needs = engines.load(name).env_spec(hardware)
        ready = needs is None or envs.find(needs, home) is not None
        state[name] = "готов" if ready else f"не установлен: advisor setup {name}"
    found = {
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
    for name, text in state.items():
        print(f"Движок {name}: {text}")
