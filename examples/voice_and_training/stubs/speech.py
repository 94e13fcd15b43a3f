"""A stand-in for a speech-to-text server: no model inside, it reads the words out of the bytes.

What noise has made unreadable is missing in the text, and lowers its confidence.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import uvicorn
from fastapi import FastAPI, Request

LATENCY = 0.004, 0.0002  # seconds for a clip, and for each of its bytes

app = FastAPI(title="stand-in for speech to text")


@app.post("/v1/transcribe")
async def transcribe(request: Request) -> dict[str, Any]:
    audio = await request.body()
    await asyncio.sleep(LATENCY[0] + LATENCY[1] * len(audio))
    text = audio.decode(errors="ignore")
    return {"text": text, "confidence": round(len(text) / max(1, len(audio)), 3)}


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8070"))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", timeout_keep_alive=60)
