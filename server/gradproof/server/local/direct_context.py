"""The context of a run in the caller's thread: hooks, which it calls, and the saved values of its session."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from gradproof.engine.engine import Forward
from gradproof.engine.hooks import HookCall
from gradproof.engine.spec import Array
from gradproof.server.runs.forward_cache import ForwardCache
from gradproof.wire import encode_spec


class DirectHooks:
    """Hooks of a run by their ids, called in its thread. ``raised``: the exception of a hook, which ends the run."""

    def __init__(self, functions: Mapping[int, Callable[[Array], Array | None]]) -> None:
        self.functions = functions
        self.raised: BaseException | None = None

    @contextmanager
    def asking(self, call: HookCall) -> Iterator[_Question]:
        """A call of a hook."""
        yield _Question(self, call)


class _Question:
    def __init__(self, hooks: DirectHooks, call: HookCall) -> None:
        self._hooks, self._call = hooks, call

    async def answer(self) -> Array | None:
        """The new gradient, None for no change."""
        hooks = self._hooks
        try:
            result = hooks.functions[self._call.hook_id](self._call.gradient)
            if result is not None:
                encode_spec(result.shape, result.dtype)  # raises for a dtype that tensors do not have
        except BaseException as error:
            hooks.raised = error
            raise
        return result


class DirectContext:
    """The context of a run: its hooks, and the saved values of the ``session`` that it is on."""

    def __init__(self, hooks: DirectHooks, session: DirectSession) -> None:
        self.hooks, self._session = hooks, session

    def save(self, name: str, forward: Forward) -> int:
        """As `SessionContext.save`."""
        return self._session.save(name, forward)

    def saved(self, name: str) -> Forward:
        """As `SessionContext.saved`."""
        return self._session.saved(name)


class DirectSession:
    """The saved values of a session of local runs."""

    def __init__(self, forward_cache: ForwardCache, owner: int) -> None:
        self._cache, self._owner, self.closed = forward_cache, owner, False

    def save(self, name: str, forward: Forward) -> int:
        """Save values as ``name``; their bytes, or 0 if there is no room for so much, or the session is over."""
        saved = 0 if self.closed else self._cache.put(self._owner, name, forward)
        if self.closed:  # meanwhile, in another thread
            self.close()
        return saved

    def saved(self, name: str) -> Forward:
        """The values saved as ``name``. Raises NotFound."""
        return self._cache.get(self._owner, name)

    def release(self, name: str) -> None:
        """Free the values saved as ``name``, if there are any."""
        self._cache.release(self._owner, name)

    def close(self) -> None:
        """Free all saved values."""
        self.closed = True
        self._cache.release(self._owner)
