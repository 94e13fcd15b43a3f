"""A called service: its stage holds the journey for a while."""

import os
import time

import uvicorn
from fastapi import FastAPI

import tradespan

app = FastAPI()


@app.get("/assess")
def assess() -> dict[str, str]:
    with tradespan.risk() as risk:
        time.sleep(float(os.environ["SECONDS"]))
        risk.approve()
    return {"decision": "APPROVE"}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
