"""A smolagents agent that judges trades with a tool; its model is a stand-in, no network."""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

from smolagents import ToolCallingAgent, tool
from smolagents.models import (
    ChatMessage,
    ChatMessageToolCall,
    ChatMessageToolCallFunction,
    MessageRole,
    Model,
)
from smolagents.monitoring import LogLevel, TokenUsage

TRADES = 40


class Scripted(Model):
    """Asks the tool first, then answers as the tool said."""

    def __init__(self) -> None:
        super().__init__(model_id="scripted-1")

    def generate(self, messages: Any, stop_sequences: Any = None, **_: Any) -> ChatMessage:
        seen = str(messages[-1].content)
        if "judge trade" in seen:
            number = int(seen.split("judge trade ")[1].split()[0])
            call = ("exposure", {"trade": number})
        elif "breaks" in seen:
            call = ("final_answer", {"answer": {"decision": "REJECT", "confidence": 0.2}})
        else:
            call = ("final_answer", {"answer": {"decision": "APPROVE", "confidence": 0.9}})
        asked = ChatMessageToolCallFunction(name=call[0], arguments=call[1])
        return ChatMessage(
            role=MessageRole.ASSISTANT,
            content=None,
            tool_calls=[ChatMessageToolCall(id="1", type="function", function=asked)],
            token_usage=TokenUsage(input_tokens=10, output_tokens=3),
        )


@tool
def exposure(trade: int) -> str:
    """Say whether a trade keeps the limit.

    Args:
        trade: its number.
    """
    if trade % 10 == 9:
        raise RuntimeError("no book, which breaks the rule")
    return "breaks the limit" if trade % 4 == 3 else "keeps the limit"


def main() -> None:
    agent = ToolCallingAgent(
        tools=[exposure], model=Scripted(), verbosity_level=LogLevel.OFF, max_steps=4
    )
    verdicts, times = [], []
    for number in range(TRADES):
        started = time.thread_time()
        verdicts.append(agent.run(f"judge trade {number} now"))
        times.append(time.thread_time() - started)
    seconds = statistics.median(times) * len(times)  # the first one imports, others are disturbed
    print(json.dumps({"verdicts": verdicts, "steps": len(agent.memory.steps)}))
    print(json.dumps({"seconds": seconds}), file=sys.stderr)


if __name__ == "__main__":
    main()
