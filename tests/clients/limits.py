"""Asks once by LiteLLM's SDK, which may try again, and prints what came of it as a JSON object.

Usage: limits.py BASE_URL TOKEN, where BASE_URL ends in /v1.
"""

import json
import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402

# It would print to standard output.
litellm.suppress_debug_info = True
base_url, token = sys.argv[1:3]
try:
    answer = litellm.completion(
        model="openai/test-model",
        messages=[{"role": "user", "content": "hi"}],
        api_base=base_url,
        api_key=token,
        max_retries=5,
    )
    print(json.dumps({"text": answer.choices[0].message.content}))
except litellm.exceptions.RateLimitError as error:
    print(json.dumps({"error": type(error).__name__, "message": str(error)}))
