"""Every setting of the service, once: as a flag, as TENURE_… in the environment, and in a TOML file.

The fields below define all three; `cli` makes the flags from them. Flags override the environment, which overrides the
file. An error names the wrong setting and says what is valid.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tenure.core.errors import ConfigurationError
from tenure.core.origins import check_path, is_loopback, origin_of, path_of
from tenure.core.policy import DAY, HOUR, MINUTE, Lifetime, Policy
from tenure.http.cookies import CookieTransport
from tenure.http.service import PREFIX
from tenure.server.workers import processors

ENVIRONMENT_PREFIX = "TENURE_"
CONFIG_VARIABLE = "TENURE_CONFIG"
_UNITS = {"": 1.0, "s": 1.0, "m": MINUTE, "h": HOUR, "d": DAY}


def seconds(value: object) -> object:
    """A duration: a number of seconds, or a number with one of the units s, m, h, d."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", value.strip())
        if match is None:
            raise ValueError("is a number of seconds, or with a unit like 90s, 10m, 12h, 14d")
        return float(match[1]) * _UNITS[match[2]]
    return value


def several(value: object) -> object:
    """A list, or text with commas in it."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(seconds)]
Workers = Annotated[int, BeforeValidator(lambda value: processors() if value == "auto" else value)]
Several = Annotated[list[str], NoDecode, BeforeValidator(several)]


class LifetimeSettings(BaseModel):
    """One of `lifetimes`: a table of the TOML file."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    idle_ttl: Seconds
    absolute_ttl: Seconds
    outlives_browser: bool = True


class Settings(BaseSettings):
    """The settings of the service. See each field's description."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, extra="forbid", hide_input_in_errors=True)

    store: str = Field(
        "sqlite:///tenure.db",
        description="Where sessions are kept: sqlite:///PATH, postgresql://…, mysql://…, valkey://…, memory://.",
    )
    migrate: bool = Field(True, description="Create or upgrade PostgreSQL's tables at the start.")
    secret: SecretStr | None = Field(
        None,
        description="The root secret, at least 32 random bytes. By default one is made and kept beside the database.",
    )
    secret_fallbacks: Several = Field(
        [], repr=False, description="Older secrets that are still accepted, with commas between."
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on.")
    workers: Workers = Field(1, ge=1, le=64, description="The number of worker processes; auto: one a processor.")
    issuer: str = Field(
        "", description="The URL at which clients reach this service. By default http://HOST:PORT, on this machine."
    )
    audience: str = Field("api", description="The audience of access tokens.")
    algorithm: Literal["ES256", "Ed25519", "RS256", "HS256"] = Field("ES256", description="The signing algorithm.")
    access_ttl: Seconds = Field(10 * MINUTE, description="How long an access token lives (10m).")
    idle_ttl: Seconds = Field(14 * DAY, description="A session ends this long after its last refresh (14d).")
    absolute_ttl: Seconds = Field(90 * DAY, description="A session ends this long after login (90d).")
    lifetimes: dict[str, LifetimeSettings] = Field(
        {}, description="Lifetimes that a login or a client may choose, by name: tables [lifetimes.NAME] of the file."
    )
    leeway: Seconds = Field(30.0, description="How long a retry without an attempt key is accepted (30s).")
    binding: Literal["off", "offered", "required"] = Field(
        "offered", description="Bind sessions to a client's key (DPoP): to all that offer one, or none without."
    )
    at_missing_proof: Literal["refuse", "end_session"] = Field(
        "refuse", description="What to do about a token of a bound session that comes without its key."
    )
    clock_skew: Seconds = Field(0.0, description="How long after its expiry an access token is accepted (0s).")
    rollback: Literal["proof", "tag"] = Field(
        "proof", description="What a token newer than the store must show; tag: for the days after restoring a backup."
    )
    audit_ttl: Seconds = Field(
        30 * DAY, description="How long logins and ends of sessions stay in the audit trail (30d); 0 for no trail."
    )
    max_sessions: int | None = Field(None, ge=1, description="The most sessions one subject may have.")
    at_limit: Literal["end_oldest", "refuse_login"] = Field("end_oldest", description="What to do at that limit.")
    cookies: bool = Field(True, description="Allow browsers to keep the refresh token in a cookie.")
    cookie_prefix: str = Field("tenure", pattern=r"^[A-Za-z0-9_-]{1,50}$", description="The prefix of cookie names.")
    cookie_path: str | None = Field(
        None, description="The cookie's path, as browsers see it. By default below the issuer's path and --prefix."
    )
    prefix: str = Field(PREFIX, description="The path of the endpoints for users' apps, in place of /auth.")
    allowed_origins: Several = Field([], description="Other origins whose pages may use the cookie.")
    trusted_proxies: Several = Field(
        [], description="Addresses or networks of proxies whose X-Forwarded-For and -Proto are trusted."
    )
    rate_limit_store: str | None = Field(
        None, description="A Valkey or Redis in which all processes count logins together: valkey://…"
    )
    authenticator: str | None = Field(
        None, description="MODULE:NAME of an Authenticator, in place of the embedded accounts."
    )
    login_page: str | None = Field(
        None, description="Where a navigation without a session is redirected: a path beside this service."
    )
    devices: str | None = Field(
        None, description="MODULE:NAME of a DevicesPage: what to change of the page /auth/devices."
    )
    demo: bool = Field(
        False, description="Also serve the demo page at /, for this machine alone: it shows what must stay secret."
    )
    metrics_port: int | None = Field(None, ge=1, le=65535, description="A port that serves metrics for Prometheus.")
    metrics_host: str = Field("127.0.0.1", description="The address of that port.")
    console_port: int | None = Field(None, ge=1, le=65535, description="A port that serves the operators' console.")
    console_host: str = Field("127.0.0.1", description="The address of that port.")
    console_origin: str | None = Field(
        None, description="Where operators reach the console. By default http://HOST:PORT, on this machine."
    )
    console_header: str | None = Field(
        None,
        description="The header in which your own proxy names the operator, in place of API keys: X-Forwarded-User.",
    )
    console_read_only: bool = Field(False, description="The console changes nothing.")
    opentelemetry: bool = Field(
        False, description="Send traces and metrics by OTLP, configured by OpenTelemetry's variables OTEL_…."
    )
    webhook_url: str | None = Field(None, description="Where to send signed webhooks about thefts and ended sessions.")
    webhook_secret: SecretStr | None = Field(None, description="The webhooks' signing secret: 24 bytes or more.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The log level.")
    log_format: Literal["text", "json"] = Field("text", description="The log format: text or JSON.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @model_validator(mode="after")
    def _default_issuer(self) -> Self:
        if not self.issuer:
            host = f"[{self.host}]" if ":" in self.host else self.host
            self.issuer = f"http://{host}:{self.port}"
        return self

    def policy(self) -> Policy:
        """The lifetimes and limits. Raises ConfigurationError for a combination that makes no sense."""
        names = ("access_ttl", "idle_ttl", "absolute_ttl", "leeway", "clock_skew", "audit_ttl")
        return Policy(
            **{name: getattr(self, name) for name in names},
            lifetimes={name: Lifetime(**table.model_dump()) for name, table in self.lifetimes.items()},
            rollback=self.rollback,
            binding=self.binding,
            at_missing_proof=self.at_missing_proof,
            max_sessions=self.max_sessions,
            at_limit=self.at_limit,
        )

    def cookie_transport(self) -> CookieTransport | None:
        """How cookies are set, or None if they are off. Raises ConfigurationError for plain http to another machine."""
        if not self.cookies:
            return None
        if self.issuer.startswith("http://") and not is_loopback(self.host):
            raise ConfigurationError(
                f"host is {self.host}, so that others can reach this service, but the issuer is plain http, over "
                "which cookies are not safe. Give the https address of the proxy before it as the issuer "
                "(--issuer), or switch cookies off (--no-cookies)."
            )
        return CookieTransport(
            origin_of(self.issuer), self.cookie_prefix, frozenset(self.allowed_origins), self.cookie_path
        )

    def console_address(self) -> str:
        """Where operators reach the console."""
        host = f"[{self.console_host}]" if ":" in self.console_host else self.console_host
        return self.console_origin or f"http://{host}:{self.console_port}"

    def root_path(self) -> str:
        """The path that a proxy puts before this service: that of the issuer. Raises ConfigurationError."""
        check_path("prefix", self.prefix)
        return path_of(self.issuer)


def load(config: str | None, flags: Mapping[str, Any]) -> Settings:
    """Load settings from `flags`, the environment and the TOML file `config` (by default, the one TENURE_CONFIG names).

    Raises ConfigurationError with the name of each wrong setting and what is valid, never with its value.
    """
    file = config or os.environ.get(CONFIG_VARIABLE)
    if file and not Path(file).is_file():
        raise ConfigurationError(f"The configuration file {file} does not exist.")
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields} | {CONFIG_VARIABLE}
    unknown = sorted(name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX) and name not in known)
    if unknown:
        raise ConfigurationError(f"There is no setting {', '.join(unknown)}.")

    class Located(Settings):
        model_config = SettingsConfigDict(toml_file=file or None)

    try:
        return Located(**flags)
    except ValidationError as problem:
        raise ConfigurationError("\n".join(_sentence(error) for error in problem.errors())) from None
    except ValueError as problem:
        raise ConfigurationError(f"The configuration file {file} is not TOML: {problem}.") from None


def _sentence(error: Mapping[str, Any]) -> str:
    where = [str(part) for part in error["loc"]] or ["settings"]
    name = ".".join(where) if where[0] == "lifetimes" else where[0]
    if error["type"] == "extra_forbidden":
        return f"There is no setting {name}."
    said = error["msg"].removeprefix("Value error, ")
    sentence = f"{said[0].lower()}{said[1:]}."
    if where[0] == "lifetimes":
        return f"{name}: {sentence}"
    return f"{name} (--{name.replace('_', '-')}, {ENVIRONMENT_PREFIX}{name.upper()}): {sentence}"


def to_environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, to hand them to worker processes."""
    variables = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if value is None:
            continue
        variables[f"{ENVIRONMENT_PREFIX}{name.upper()}"] = _text_of(value)
    return variables


def _text_of(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return json.dumps({name: table.model_dump() for name, table in value.items()})
    return ",".join(value) if isinstance(value, list) else str(value)
