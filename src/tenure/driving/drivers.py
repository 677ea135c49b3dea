"""The two drivers of flows: one with blocking calls, one with `await`. They carry out the effects a flow yields."""

import asyncio
import inspect
import time
from typing import Any, TypeVar

from tenure.core.effects import Ask, Effect, Flow, Pause
from tenure.core.errors import ConfigurationError
from tenure.core.events import Event, Hook, tell
from tenure.stores.protocol import Store

T = TypeVar("T")


def drive(flow: Flow[T], store: Store, hook: Hook | None = None) -> T:
    """Run a flow with blocking calls and return its result. Exceptions of an effect are raised inside the flow."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = _performed(effect, store, hook)
            except Exception as problem:  # noqa: BLE001 - it is the flow's to handle, or to let through
                effect = flow.throw(problem)
            else:
                effect = flow.send(answer)
    except StopIteration as finished:
        result: T = finished.value
        return result


def _performed(effect: Effect, store: Store, hook: Hook | None) -> Any:
    if isinstance(effect, Event):
        tell(effect, hook)
        return None
    if isinstance(effect, Ask):
        return _answered(effect)
    if isinstance(effect, Pause):
        time.sleep(effect.seconds)
        return None
    return store.run(effect)


async def adrive(flow: Flow[T], store: Store, hook: Hook | None = None) -> T:
    """Run a flow with `await` and return its result. Exceptions of an effect are raised inside the flow."""
    try:
        effect = next(flow)
        while True:
            try:
                if isinstance(effect, Event):
                    tell(effect, hook)
                    answer = None
                elif isinstance(effect, Ask):
                    answer = await _answer_of(effect)
                elif isinstance(effect, Pause):
                    answer = await asyncio.sleep(effect.seconds, None)
                else:
                    answer = await store.arun(effect)
            except Exception as problem:  # noqa: BLE001 - it is the flow's to handle, or to let through
                effect = flow.throw(problem)
            else:
                effect = flow.send(answer)
    except StopIteration as finished:
        result: T = finished.value
        return result


def _answered(question: Ask) -> Any:
    answer = question.function(*question.arguments)
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        name = getattr(question.function, "__qualname__", type(question.function).__name__)
        raise ConfigurationError(f"{name} is asynchronous, but is asked by blocking code. Make it a plain function.")
    return answer


async def _answer_of(question: Ask) -> Any:
    if question.slow and not inspect.iscoroutinefunction(question.function):
        answer = await asyncio.to_thread(question.function, *question.arguments)
    else:
        answer = question.function(*question.arguments)
    return await answer if inspect.isawaitable(answer) else answer
