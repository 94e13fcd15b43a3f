"""Routes of FastAPI as stages, without the name of a function."""

from __future__ import annotations

from typing import Any

import pytest

SOURCE = '''
from __future__ import annotations
from typing import Annotated
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel

class Order(BaseModel):
    symbol: str
    size: float = 1.0

class Verdict(BaseModel):
    decision: str
    score: float

def desk(x_desk: Annotated[str, Header()] = "main"):
    yield x_desk

app = FastAPI()
router = APIRouter(prefix="/risk")

@router.post("/assess/{venue}", response_model=Verdict)
def assess(venue: str, order: Order, desk: Annotated[str, Depends(desk)], limit: int = 5):
    """Assess an order."""
    if order.size > limit:
        raise HTTPException(422, "too large")
    verdict = "REJECT" if order.symbol == "DOGE-USD" else "APPROVE"
    return {"decision": verdict, "score": 0.5, "internal": f"{venue} {desk}"}

@app.get("/price/{symbol}")
async def price(symbol: str):
    return JSONResponse({"status": "error", "symbol": symbol}, status_code=200)

@app.api_route("/both", methods=["GET", "PUT"], include_in_schema=False)
async def both():
    return {}

app.include_router(router, prefix="/v1")
'''
MAPPING = """
    stages:
      risk:
        route: POST /v1/risk/assess/{venue}
        set: {symbol: args.order.symbol, venue: args.venue, score: response.score, desk: args.desk}
        outcome: {rejected: response.decision == "REJECT"}
      validation:
        route: ["GET /price/{symbol}", GET /both]
        set: {symbol: args.symbol}
        outcome: {error: response.status == "error"}
    """


@pytest.fixture
def client(svc: Any) -> Any:
    from starlette.testclient import TestClient

    return TestClient(svc.map(MAPPING, SOURCE).app)


def test_a_route_of_a_router_with_prefixes(client: Any, telemetry: Any, svc: Any) -> None:
    """Path parameters, body, dependencies and headers reach the handler as before."""
    answer = client.post(
        "/v1/risk/assess/coinbase?limit=9",
        json={"symbol": "DOGE-USD", "size": 7},
        headers={"x-desk": "two"},
    )
    assert answer.status_code == 200
    assert answer.json() == {"decision": "REJECT", "score": 0.5}
    got = telemetry.span("risk").attributes
    assert got["trading.outcome"] == "rejected"
    assert got["trading.symbol"] == "DOGE-USD"
    assert got["trading.venue"] == "coinbase"
    assert got["trading.risk.score"] == 0.5
    assert got["desk"] == "two"
    assert svc.why("POST /v1/risk/assess/{venue}") == "wrapped: "


def test_validation_and_http_exceptions(client: Any, telemetry: Any) -> None:
    """A body that FastAPI refuses is no stage; an HTTPException is an error, and the answer."""
    assert client.post("/v1/risk/assess/coinbase", json={}).status_code == 422
    assert not telemetry.metric("trading.stage.duration", stage="risk")
    answer = client.post("/v1/risk/assess/coinbase", json={"symbol": "A", "size": 99})
    assert (answer.status_code, answer.json()) == (422, {"detail": "too large"})
    assert telemetry.span("risk").attributes["trading.outcome"] == "error"


def test_an_answer_that_the_handler_made(client: Any, telemetry: Any) -> None:
    """HTTP 200 with status error is an error."""
    assert client.get("/price/BTC-USD").json()["status"] == "error"
    got = telemetry.span("validation").attributes
    assert got["trading.outcome"] == "error"
    assert got["trading.symbol"] == "BTC-USD"


def test_the_schema_of_the_service_is_the_same(client: Any) -> None:
    """OpenAPI shows parameters, description and answer of the handler itself."""
    schema = client.get("/openapi.json").json()
    post = schema["paths"]["/v1/risk/assess/{venue}"]["post"]
    assert post["description"] == "Assess an order."
    assert post["operationId"] == "assess_v1_risk_assess__venue__post"
    assert {p["name"] for p in post["parameters"]} == {"venue", "limit", "x-desk"}
    answers = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert answers == {"$ref": "#/components/schemas/Verdict"}


def test_a_route_of_several_methods(client: Any, telemetry: Any) -> None:
    """One that is mapped by one of its methods is the stage."""
    assert client.get("/both").status_code == 200
    telemetry.span("validation")


MOUNTED = """
from fastapi import FastAPI, APIRouter
inner, middle, app = FastAPI(), FastAPI(), FastAPI()

@inner.post("/assess")
def assess(): return {"decision": "REJECT"}

@app.post("/assess")
def own(): return {"decision": "APPROVE"}

middle.mount("/risk", inner)
app.mount("/v1", middle)
"""


@pytest.mark.parametrize("proxy", ["", "/proxy"])
@pytest.mark.parametrize(
    ("route", "own", "mounted"),
    [
        ("POST /v1/risk/assess", 0, 1),
        ("POST /assess", 1, 1),
        ("POST /risk/assess", 0, 0),
        ("[POST /assess, POST /v1/risk/assess]", 1, 1),
    ],
)
def test_a_mounted_application(
    svc: Any, telemetry: Any, route: str, own: int, mounted: int, proxy: str
) -> None:
    """Its routes are known by their whole path and by their own, behind a proxy too."""
    from starlette.testclient import TestClient

    client = TestClient(
        svc.map(f"stages: {{risk: {{route: {route}}}}}", MOUNTED).app, root_path=proxy
    )
    assert client.post(f"{proxy}/v1/risk/assess").json() == {"decision": "REJECT"}
    assert telemetry.total("trading.stage.duration", stage="risk") == mounted
    assert client.post(f"{proxy}/assess").json() == {"decision": "APPROVE"}
    assert telemetry.total("trading.stage.duration", stage="risk") == own + mounted


def test_the_whole_path_of_a_mounted_route_wins(svc: Any, telemetry: Any) -> None:
    """Where its own path is mapped too, to another stage, in whatever order."""
    from starlette.testclient import TestClient

    mapping = "stages: {validation: {route: POST /assess}, risk: {route: POST /v1/risk/assess}}"
    client = TestClient(svc.map(mapping, MOUNTED).app)
    assert client.post("/v1/risk/assess").status_code == 200
    telemetry.span("risk")
    assert not telemetry.metric("trading.stage.duration", stage="validation")


def test_a_route_that_the_application_does_not_have(svc: Any) -> None:
    """It waits, and the summary names it."""
    svc.map("stages: {risk: {route: GET /nowhere}}", SOURCE)
    assert svc.why("GET /nowhere") == "waiting: no application has this route"
    assert "GET /nowhere (no app" in svc.record.summary("svc", "tradespan.yaml")
