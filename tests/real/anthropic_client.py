"""The official Anthropic client, unmodified, through Weir and beside it.

    anthropic_client.py <engine> <weir>
"""

import sys

import anthropic
from checks import check, end, raises, same

engine, weir = sys.argv[1:3]
direct = anthropic.Anthropic(base_url=engine, api_key="sk-team", max_retries=0)
through = anthropic.Anthropic(base_url=weir, api_key="sk-team", max_retries=0)

ASK = {
    "model": "smollm2",
    "max_tokens": 12,
    "system": "You are brief.",
    "messages": [{"role": "user", "content": "Name two rivers of Europe."}],
    "extra_body": {"temperature": 0, "seed": 7},
}


def streamed(client: anthropic.Anthropic) -> dict:
    """What the client's own collector makes of the events, and their names."""
    with client.messages.stream(**ASK) as stream:
        names = [event.type for event in stream]
        return {"names": names, "message": stream.get_final_message()}


# The prompt is now in the engine's cache, so that both answers count the same tokens as cached.
direct.messages.create(**ASK)
plain = same("messages", lambda c: c.messages.create(**ASK), direct, through)
check(plain["usage"]["output_tokens"] == 12 and plain["stop_reason"] == "max_tokens", "messages: usage and stop reason", plain)
stream = same("messages, streamed", streamed, direct, through)
check(stream["message"]["content"][0]["text"] == plain["content"][0]["text"], "messages: streamed text is the plain text", stream)
check(stream["names"][0] == "message_start" and stream["names"][-1] == "message_stop", "messages: the stream is whole", stream)
same("malformed", lambda c: c.messages.create(**{**ASK, "messages": [{"role": "user"}]}), direct, through)
raises("malformed", anthropic.BadRequestError, lambda: through.messages.create(**{**ASK, "messages": [{"role": "user"}]}))
nobody = anthropic.Anthropic(base_url=weir, api_key="sk-nobody", max_retries=0)
raises("unknown key", anthropic.AuthenticationError, lambda: nobody.messages.create(**ASK))
slow = anthropic.Anthropic(base_url=weir, api_key="sk-slower", max_retries=0)
slow.messages.create(**{**ASK, "max_tokens": 1})
raises("over the rate", anthropic.RateLimitError, lambda: slow.messages.create(**ASK))
end()
