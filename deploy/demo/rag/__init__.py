"""A small application that answers questions from documents: passages, search, questions, and the asking.

It is a client as any other: it knows the OpenAI-compatible API and that Weir stands before the engine,
and it puts what it found between `<context>` tags, where critics look for it.
"""
