"""Secrets of every known form, invented, and names of secrets; how the tests redact a value."""

from __future__ import annotations

import base64
import json
import random
import string
from typing import Any

import pytest

from agenttrace_nb.journal.encode import encode
from agenttrace_nb.journal.redact import Redactor

DEFAULT = Redactor()
LETTERS = string.ascii_letters + string.digits


def invented(length: int, letters: str = LETTERS, seed: int = 1) -> str:
    """Letters that open nothing."""
    return "".join(random.Random(seed).choices(letters, k=length))


def cleaned(value: Any, redactor: Redactor = DEFAULT) -> Any:
    return json.loads(redactor.clean(encode(value)))


JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256"}', b'{"sub":"1"}', b"x" * 30)
)
SECRETS = {
    "openai": "sk-" + invented(48),
    "openai project": "sk-proj-" + invented(60, LETTERS + "_-"),
    "openai without digits": "sk-" + invented(40, string.ascii_letters),
    "anthropic": "sk-ant-api03-" + invented(80, LETTERS + "_-"),
    "openrouter": "sk-or-v1-" + invented(64, "0123456789abcdef"),
    "xai": "xai-" + invented(80),
    "perplexity": "pplx-" + invented(48),
    "tavily": "tvly-dev-" + invented(32),
    "pypi": "pypi-AgEIcHlwaS5vcmc" + invented(100, LETTERS + "_-"),
    "gitlab": "glpat-" + invented(20, LETTERS + "_-"),
    "nvidia": "nvapi-" + invented(64, LETTERS + "_-"),
    "slack bot": "xoxb-" + invented(12, string.digits) + "-" + invented(24),
    "slack user": "xoxp-" + invented(40, LETTERS + "-"),
    "slack app": "xapp-1-A" + invented(40, LETTERS + "-"),
    "github": "ghp_" + invented(36),
    "github oauth": "gho_" + invented(36),
    "github server": "ghs_" + invented(36),
    "github fine": "github_pat_" + invented(22) + "_" + invented(59),
    "hugging face": "hf_" + invented(34),
    "groq": "gsk_" + invented(52),
    "npm": "npm_" + invented(36),
    "replicate": "r8_" + invented(37),
    "pinecone": "pcsk_" + invented(6) + "_" + invented(63),
    "langsmith": "lsv2_pt_" + invented(32, "0123456789abcdef") + "_" + invented(10, "0123456789abcdef"),
    "stripe": "sk_live_" + invented(24),
    "stripe restricted": "rk_test_" + invented(24),
    "webhook": "whsec_" + invented(32),
    "aws": "AKIA" + invented(16, string.ascii_uppercase + string.digits),
    "aws session": "ASIA" + invented(16, string.ascii_uppercase + string.digits),
    "google": "AIza" + invented(35, LETTERS + "_-"),
    "databricks": "dapi" + invented(32, "0123456789abcdef"),
    "json web token": JWT,
}
EACH = pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)

NAMES = [
    "api_key", "apikey", "apiKey", "api-key", "API_KEY", "OPENAI_API_KEY", "openaiApiKey", "openAIApiKey", "x-api-key",
    "X-Goog-Api-Key", "api key", "authorization", "Authorization", "Proxy-Authorization", "password", "Password",
    "DB_PASSWORD", "dbPassword", "passwd", "passphrase", "secret", "client_secret", "clientSecret", "client-secret",
    "secret_key", "SECRET_KEY", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "secretAccessKey", "private_key",
    "privateKey", "access_token", "accessToken", "refresh_token", "auth_token", "session_token", "AWS_SESSION_TOKEN",
    "id_token", "bearer_token", "csrf-token", "GITHUB_TOKEN", "HF_TOKEN", "SLACK_BOT_TOKEN", "cookie", "Set-Cookie",
    "accountKey", "access_key", "webhook_secret", "credentials",
]  # fmt: skip
NAMED = pytest.mark.parametrize("name", NAMES)
