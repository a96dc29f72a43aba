"""The one settings class: built at the edge, handed down. No other module reads the environment."""

import os
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from tools.home import Home


class Settings(BaseSettings):
    """Environment variables with the prefix ADVISOR_."""

    model_config = SettingsConfigDict(env_prefix="ADVISOR_")

    home: Path | None = None
    """Puts data and cache under one folder; otherwise the XDG base directories."""

    def folders(self) -> Home:
        chosen = {"ADVISOR_HOME": str(self.home)} if self.home else {}
        return Home.default({**os.environ, **chosen})
