import pytest

from knowledge.errors import BadInput
from knowledge.types import EngineConfig, FlagValue
from tests.tools.engines.conftest import make_hardware
from tools.engines import load
from tools.home import Home

ATTACH = load("attach")
URL = "http://127.0.0.1:8000"


async def validate(home: Home, flags: dict[str, FlagValue]) -> None:
    catalog = await ATTACH.catalog(None, home, print)
    ATTACH.validate(EngineConfig(engine="attach", flags=flags), catalog)


@pytest.fixture
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("home")
    return Home(folder, folder)


async def test_takes_an_address_and_the_name_of_a_variable(nowhere: Home) -> None:
    await validate(nowhere, {"base-url": URL, "api-key-env": "MY_KEY", "endpoint": "chat"})


@pytest.mark.parametrize(
    "flags",
    [{}, {"base-url": "ftp://x"}, {"base-url": URL, "endpoint": "grpc"}],
    ids=["no address", "no HTTP", "no such endpoint"],
)
async def test_refuses_what_can_not_be_asked(nowhere: Home, flags: dict[str, FlagValue]) -> None:
    with pytest.raises(BadInput):
        await validate(nowhere, flags)


async def test_a_key_given_for_a_name_is_not_repeated(nowhere: Home) -> None:
    with pytest.raises(BadInput) as refusal:
        await validate(nowhere, {"base-url": URL, "api-key-env": "sk-secret"})
    assert "secret" not in str(refusal.value)


def test_launches_nothing_and_takes_nothing() -> None:
    hardware = make_hardware()
    assert not ATTACH.capabilities(hardware).launches
    assert ATTACH.env_spec(hardware) is None
