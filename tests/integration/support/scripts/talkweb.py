"""A uvicorn service that logs, with uvicorn's own log configuration."""

import logging
import os

import uvicorn
from fastapi import FastAPI

app = FastAPI()
desk = logging.getLogger("desk")


@app.get("/price")
def price() -> dict[str, int]:
    desk.warning("a warning line")
    return {"price": 97000}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]))
