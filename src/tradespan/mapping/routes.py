"""Routes of FastAPI as stages: by method and path template, so that no function name is needed.

The handler itself is not touched, so neither are its signature, its dependencies and its schema:
the stage stands around the one place where FastAPI calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple

import wrapt

from tradespan.decorate import Block, inside
from tradespan.guard import guard

_FIND, _FOUND = guard("mapping.route.find"), guard("mapping.route.found")
_current: ContextVar[Block | None] = ContextVar("tradespan-route", default=None)


class _Route(NamedTuple):
    method: str
    template: str
    block: Block
    found: Callable[[], None]


_routes: list[_Route] = []


class Routes:
    """The mapped routes of this service."""

    def __init__(self) -> None:
        self._mapped: list[_Route] = []

    def add(self, method: str, path: str, block: Block, found: Callable[[], None]) -> None:
        """Map a route.

        Arguments:
            method: as GET.
            path: template, as /orders/{order_id}, with the prefixes of its routers; where its
                application is mounted in another, with or without the prefix of that too.
            block: stands around each call of the handler.
            found: is told when the application has such a route.
        """
        self._mapped.append(_Route(method, path, block, found))

    def install(self) -> None:
        """Stand around the handlers of these routes."""
        global _routes
        _routes = self._mapped
        wrapt.register_post_import_hook(_hook, "fastapi.routing")


def _hook(module: Any) -> None:
    if isinstance(module.run_endpoint_function, wrapt.ObjectProxy):
        return  # hooked before; the routes are the new ones
    wrapt.wrap_function_wrapper(module, "APIRoute.get_route_handler", _get_route_handler)
    wrapt.wrap_function_wrapper(module, "run_endpoint_function", _run_endpoint)


def _get_route_handler(wrapped: Callable[..., Any], route: Any, args: Any, kwargs: Any) -> Any:
    handler = wrapped(*args, **kwargs)
    alike = [mapped for mapped in _routes if mapped.template.endswith(route.path)]
    with _FOUND:
        for mapped in alike:
            if mapped.method in (route.methods or ()):
                mapped.found()
    return _remembering(handler, alike) if alike else handler


async def _run_endpoint(wrapped: Callable[..., Any], _: Any, args: Any, kwargs: Any) -> Any:
    block = _current.get()
    if block is None:
        return await wrapped(*args, **kwargs)
    return await inside(block.fresh((), kwargs.get("values")), wrapped, *args, **kwargs)


def _remembering(handler: Callable[..., Any], routes: list[_Route]) -> Callable[..., Any]:
    """The handler, during which the block of the mapped route that it answers is known."""

    async def handle(request: Any) -> Any:
        token = _current.set(_find(request.scope, routes))
        try:
            return await handler(request)
        finally:
            _current.reset(token)

    return handle


def _find(scope: Any, routes: list[_Route]) -> Block | None:
    """The block of the route that a request came by: by its whole path, else by its own."""
    with _FIND:
        from starlette.routing import compile_path

        for path in _paths(scope):
            for route in routes:
                regex, *_ = compile_path(route.template)
                if route.method == scope["method"] and regex.match(path):
                    return route.block
    return None


def _paths(scope: Any) -> tuple[str, str]:
    """The path in the outermost application, with all prefixes, and in that of the handler."""
    from starlette._utils import get_route_path

    root, path = scope.get("root_path", ""), get_route_path(scope)
    mounts = root.removeprefix(scope.get("app_root_path", root))  # without that of a proxy
    return mounts + path, path
