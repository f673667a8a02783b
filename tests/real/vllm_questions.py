"""What `vllm.py` asks vLLM and Weir, and the statuses that a vLLM gives.

Each answer is the same every time: temperature 0, or the best token only.
"""

from vllm_install import MODEL

# A prompt over this is refused; short, so that one is soon written.
CONTEXT_TOKENS = 1024

ASK = {"model": MODEL, "temperature": 0, "seed": 7, "max_tokens": 12}
CHAT = ASK | {"messages": [{"role": "user", "content": "Name two rivers of Europe."}]}
TEXT = ASK | {"prompt": "A weir is a low dam that"}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}
# Not at temperature 0, where vLLM allows one only; the best token all the same.
TWO = {"n": 2, "temperature": 1, "top_k": 1}
NAMES = {"type": "json_schema", "json_schema": {"name": "river", "schema": {"enum": ["Rhine", "Danube"]}}}
TOOL = {"name": "level", "parameters": {"type": "object", "properties": {"river": {"enum": ["Rhine"]}}}}
CHOSEN = {"type": "function", "function": {"name": "level"}}
CALL = {"tools": [{"type": "function", "function": TOOL}], "tool_choice": CHOSEN, "max_tokens": 40}
LONG = {"messages": [{"role": "user", "content": "water " * (2 * CONTEXT_TOKENS)}]}
SYSTEM = {"system": "You are brief."}
INPUT = {"model": MODEL, "temperature": 0, "max_output_tokens": 12, "input": "Name two rivers of Europe."}

# What to ask, where, and the status to expect.
ANSWERS = [
    ("chat", "/v1/chat/completions", CHAT, 200),
    ("chat, streamed", "/v1/chat/completions", CHAT | STREAM, 200),
    ("chat, n=2", "/v1/chat/completions", CHAT | TWO, 200),
    ("chat, n=2 streamed", "/v1/chat/completions", CHAT | STREAM | TWO, 200),
    ("chat, logprobs", "/v1/chat/completions", CHAT | {"logprobs": True, "top_logprobs": 3}, 200),
    ("chat, logprobs streamed", "/v1/chat/completions", CHAT | STREAM | {"logprobs": True, "top_logprobs": 3}, 200),
    ("chat, schema", "/v1/chat/completions", CHAT | {"response_format": NAMES}, 200),
    ("chat, tool", "/v1/chat/completions", CHAT | CALL, 200),
    ("chat, tool streamed", "/v1/chat/completions", CHAT | CALL | STREAM, 200),
    ("completions", "/v1/completions", TEXT, 200),
    ("completions, streamed", "/v1/completions", TEXT | STREAM, 200),
    ("completions, logprobs", "/v1/completions", TEXT | {"logprobs": 2, "echo": True}, 200),
    ("tokenize", "/tokenize", {"model": MODEL, "prompt": "low dam"}, 200),
    ("unknown model", "/v1/chat/completions", CHAT | {"model": "nobody"}, 404),
    ("unknown model, streamed", "/v1/chat/completions", CHAT | STREAM | {"model": "nobody"}, 404),
    ("prompt too long", "/v1/chat/completions", CHAT | LONG, 400),
    ("no messages", "/v1/chat/completions", {"model": MODEL}, 400),
]
# Not every vLLM has these; where it answers 404 there is nothing to compare.
OFFERED = [
    ("messages", "/v1/messages", CHAT | SYSTEM, 200),
    ("messages, streamed", "/v1/messages", CHAT | SYSTEM | {"stream": True}, 200),
    ("messages, too long", "/v1/messages", CHAT | LONG, 400),
    ("messages, counted", "/v1/messages/count_tokens", CHAT | SYSTEM, 200),
    ("responses", "/v1/responses", INPUT, 200),
    ("responses, streamed", "/v1/responses", INPUT | {"stream": True}, 200),
]
# What Weir calls them.
APIS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/messages": "messages",
    "/v1/responses": "responses",
}
