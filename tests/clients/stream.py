"""Reads one streamed answer with each Python client, all at once, and prints the texts as a JSON object.

Usage: stream.py BASE_URL TOKEN, where BASE_URL ends in /v1.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from anthropic import Anthropic
from langchain_openai import ChatOpenAI
from openai import OpenAI

base_url, token = sys.argv[1:3]
MESSAGES = [{"role": "user", "content": "hi"}]


def openai_client():
    return OpenAI(base_url=base_url, api_key=token, max_retries=0)


def chat():
    chunks = openai_client().chat.completions.create(model="m", messages=MESSAGES, stream=True)
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def responses():
    events = openai_client().responses.create(model="m", input="hi", stream=True)
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def messages():
    client = Anthropic(base_url=base_url.removesuffix("/v1"), api_key=token, max_retries=0)
    with client.messages.stream(model="m", max_tokens=100, messages=MESSAGES) as stream:
        return "".join(stream.text_stream)


def langchain():
    model = ChatOpenAI(base_url=base_url, api_key=token, model="m", max_retries=0)
    return "".join(chunk.content for chunk in model.stream("hi"))


def attempt(read):
    try:
        return read()
    except Exception as error:  # What a client throws is this test's result.
        return f"{type(error).__name__}: {error}"


READERS = {
    "openai, chat": chat,
    "openai, responses": responses,
    "anthropic, messages": messages,
    "LangChain, chat": langchain,
}
with ThreadPoolExecutor(len(READERS)) as pool:
    results = {name: pool.submit(attempt, read) for name, read in READERS.items()}
    print(json.dumps({name: result.result() for name, result in results.items()}))
