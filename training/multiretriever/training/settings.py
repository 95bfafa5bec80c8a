"""What all settings have in common: they do not change, take no unknown names, and tell a wrong value by an error of ours."""

from __future__ import annotations

from typing import Any, TypeVar

import pydantic
from pydantic import ConfigDict

from multiretriever.core.errors import ParameterError

_Made = TypeVar("_Made", bound="Settings")


class Settings(pydantic.BaseModel):
    """Base of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def of(cls: type[_Made], **values: Any) -> _Made:
        """Makes settings.

        Raises:
            ParameterError: A value is not valid.
        """
        try:
            return cls(**values)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ParameterError(f"{where}: {first['msg'].removeprefix('Value error, ')} (got {first['input']!r})") from error
