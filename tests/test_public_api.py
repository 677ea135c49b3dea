"""The public interface is listed in public_api.txt. A change of it is a change of that file, which somebody reads.

`python -m tests.test_public_api` writes it anew.
"""

import dataclasses
import importlib
import inspect
from pathlib import Path

LISTED = Path(__file__).with_name("public_api.txt")
MODULES = (
    "tenure",
    "tenure.client",
    "tenure.integrations.asgi",
    "tenure.integrations.django.accounts",
    "tenure.integrations.django.conf",
    "tenure.integrations.django.rest_framework",
    "tenure.integrations.django.simplejwt.authentication",
    "tenure.integrations.django.simplejwt.serializers",
    "tenure.integrations.django.simplejwt.tokens",
    "tenure.integrations.django.simplejwt.views",
    "tenure.integrations.django.views",
    "tenure.integrations.fastapi",
    "tenure.integrations.fastapi_users",
    "tenure.integrations.flask",
    "tenure.integrations.starlette",
    "tenure.core.session",
    "tenure.core.calls",
    "tenure.stores.protocol",
)


def listed() -> str:
    import examples.django_notes  # noqa: F401 - sets up Django

    lines = []
    for name in MODULES:
        module = importlib.import_module(name)
        public = getattr(module, "__all__", None) or [
            own
            for own, value in vars(module).items()
            if not own.startswith("_") and getattr(value, "__module__", None) == name and callable(value)
        ]
        lines += [f"{name}.{own}{_signature(getattr(module, own))}" for own in sorted(public)]
        for own in sorted(public):
            value = getattr(module, own)
            if inspect.isclass(value):
                lines += [f"{name}.{own}.{line}" for line in _members(value)]
    return "\n".join(lines) + "\n"


def _members(value: type) -> list[str]:
    found = []
    for name, member in inspect.getmembers(value):
        if name.startswith("_") or not getattr(member, "__module__", "tenure").startswith("tenure"):
            continue
        if inspect.isfunction(member) or inspect.ismethod(member):
            found.append(f"{name}{_signature(member)}")
        elif isinstance(member, property):
            found.append(name)
    if dataclasses.is_dataclass(value):
        found += [f"{field.name}: {field.type}" for field in dataclasses.fields(value)]
    return found


def _signature(value: object) -> str:
    if not callable(value) or (inspect.isclass(value) and issubclass(value, BaseException)):
        return ""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return ""
    shown = []
    for parameter in parameters:
        mark = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        optional = "" if parameter.default is parameter.empty else "=…"
        only = "(keyword) " if parameter.kind is parameter.KEYWORD_ONLY else ""
        shown.append(f"{only}{mark}{parameter.name}{optional}")
    return f"({', '.join(shown)})"


def test_the_public_interface_is_what_is_listed() -> None:
    assert listed() == LISTED.read_text()


if __name__ == "__main__":
    LISTED.write_text(listed())
