"""A service whose validation asks models of OpenAI, Anthropic or Ollama, and notes it or not."""

import asyncio
import os
import sys

import tradespan

base = f"http://127.0.0.1:{os.environ['MODELS']}"
say = [{"role": "user", "content": "approve?"}]
notes = "notes" in sys.argv


def note(stage: tradespan.Validation, answer: object) -> None:
    if notes:
        stage.usage(answer)


def ask_openai(stage: tradespan.Validation) -> None:
    import openai

    client = openai.OpenAI(api_key="none", base_url=f"{base}/v1")
    note(stage, client.chat.completions.create(model="gpt-4o-mini", messages=say))


async def ask_anthropic(stage: tradespan.Validation) -> None:
    import anthropic

    client = anthropic.AsyncAnthropic(api_key="none", base_url=base)
    asked = {"model": "claude-sonnet-4-20250514", "max_tokens": 9, "messages": say}
    note(stage, await client.messages.create(**asked))


def ask_ollama(stage: tradespan.Validation) -> None:
    import httpx

    answer = httpx.post(f"{base}/api/generate", json={"model": "llama3.2:3b"})
    note(stage, answer.json())


with tradespan.signal(symbol="BTC-USD"), tradespan.validation() as v:
    if "openai" in sys.argv:
        ask_openai(v)
    if "anthropic" in sys.argv:
        asyncio.run(ask_anthropic(v))
    if "ollama" in sys.argv:
        ask_ollama(v)
    v.approve(0.9)
