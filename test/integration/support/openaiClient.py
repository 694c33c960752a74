"""The surface through OpenAI's own Python client. Prints one line per check; ends with 1 where one fails."""

import json
import math
import os
import sys

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0, timeout=120)
MODEL, EMBED = os.environ["MODEL"], os.environ["EMBED_MODEL"]
CHAT = dict(model=MODEL, messages=[{"role": "user", "content": "What is the capital of France? Answer in one sentence."}], temperature=0, max_tokens=24)
failed = 0


def check(name):
    def run(function):
        global failed
        try:
            function()
            print(f"ok {name}")
        except Exception as error:  # every failure is told, the others still run
            failed += 1
            print(f"not ok {name}: {type(error).__name__}: {error}")
    return run


@check("models")
def _():
    assert {MODEL, EMBED} <= {model.id for model in client.models.list()}
    assert client.models.retrieve(MODEL).id == MODEL


@check("chat")
def _():
    answer = client.chat.completions.create(**CHAT)
    assert "Paris" in answer.choices[0].message.content
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@check("chat stream with usage")
def _():
    whole = client.chat.completions.create(**CHAT).choices[0].message.content
    text, usage = "", None
    for chunk in client.chat.completions.create(**CHAT, stream=True, stream_options={"include_usage": True}):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        usage = chunk.usage or usage
    assert text == whole, (text, whole)
    assert usage.completion_tokens > 0


@check("raw response headers")
def _():
    raw = client.chat.completions.with_raw_response.create(**CHAT, extra_headers={"x-request-id": "from-python-1"})
    assert raw.headers["x-request-id"] == "from-python-1"


@check("completions")
def _():
    answer = client.completions.create(model=MODEL, prompt=["One, two,", "Once upon"], max_tokens=5, temperature=0)
    assert [choice.index for choice in answer.choices] == [0, 1]


@check("embeddings")
def _():
    data = client.embeddings.create(model=EMBED, input=["a boat", "a ship"]).data
    assert all(abs(math.hypot(*item.embedding) - 1) < 1e-3 for item in data)
    assert data[0].embedding != data[1].embedding


@check("logprobs")
def _():
    content = client.chat.completions.create(**CHAT, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in content)


@check("json schema")
def _():
    schema = {
        "type": "object",
        "properties": {"animal": {"enum": ["cat", "dog"]}, "wild": {"type": "boolean"}},
        "required": ["animal", "wild"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "animal", "schema": schema, "strict": True}}
    answer = client.chat.completions.create(**{**CHAT, "max_tokens": 60}, response_format=wanted)
    value = json.loads(answer.choices[0].message.content)
    assert set(value) == {"animal", "wild"} and value["animal"] in ("cat", "dog"), value


@check("stop, seed and n")
def _():
    body = dict(model=MODEL, messages=[{"role": "user", "content": "Name a fruit."}], max_tokens=12, temperature=1, seed=5)
    first = client.chat.completions.create(**body, n=2).choices
    assert first[0].message.content == client.chat.completions.create(**body).choices[0].message.content
    text = client.completions.create(model=MODEL, prompt="a b c d", max_tokens=12, temperature=0).choices[0].text
    cut = client.completions.create(model=MODEL, prompt="a b c d", max_tokens=12, temperature=0, stop=[text[3:6]]).choices[0].text
    assert cut == text[: text.index(text[3:6])], (cut, text)


@check("errors are typed")
def _():
    def raises(kind, call, **fields):
        try:
            call()
        except kind as error:
            assert all(getattr(error, name) == value for name, value in fields.items()), vars(error)
        else:
            raise AssertionError(f"no {kind.__name__}")

    raises(openai.NotFoundError, lambda: client.chat.completions.create(**{**CHAT, "model": "nobody"}), code="model_not_found")
    raises(openai.BadRequestError, lambda: client.chat.completions.create(**{**CHAT, "temperature": 5}), param="temperature")
    stranger = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="sk-wrong", max_retries=0)
    raises(openai.AuthenticationError, lambda: stranger.models.list(), status_code=401)


@check("a stream can be left")
def _():
    with client.chat.completions.create(**{**CHAT, "max_tokens": 300}, stream=True) as stream:
        next(iter(stream))


sys.exit(1 if failed else 0)
