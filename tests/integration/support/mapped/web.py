"""A FastAPI service with dependencies; nothing here knows of telemetry."""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header
from pydantic import BaseModel


class Order(BaseModel):
    """What is judged."""

    symbol: str
    size: float


class Rules:
    """A dependency that is a class."""

    def __init__(self, limit: float = 5) -> None:
        self.limit = limit


async def desk(x_desk: Annotated[str, Header()] = "main") -> str:
    """A dependency that is a coroutine function."""
    return x_desk


def judge(order: Order, rules: Annotated[Rules, Depends()]) -> bool:
    """A dependency with dependencies, which the file maps by its name."""
    return order.size <= rules.limit


router = APIRouter(prefix="/orders")


@router.post("/{venue}/assess")
async def assess(
    venue: str,
    order: Order,
    good: Annotated[bool, Depends(judge)],
    desk: Annotated[str, Depends(desk)],
) -> dict[str, str | int]:
    """Judge an order."""
    verdict = "APPROVE" if good else "REJECT"
    return {"decision": verdict, "venue": venue, "desk": desk, "pid": os.getpid()}


app = FastAPI()
app.include_router(router)
