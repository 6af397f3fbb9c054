"""Logs schemathesis in with an account of its own, and again before the token expires."""

import os

import requests
import schemathesis

BASE_URL = os.environ["GARAGE_FUZZ_BASE_URL"]
CREDENTIALS = {"email": "fuzz@example.org", "password": "correct horse battery"}


@schemathesis.auth(refresh_interval=600)
class User:
    def get(self, case, context):
        requests.post(f"{BASE_URL}/api/auth/register", json=CREDENTIALS, timeout=30)
        answer = requests.post(f"{BASE_URL}/api/auth/login", json=CREDENTIALS, timeout=30)
        answer.raise_for_status()
        return answer.json()["accessToken"]

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"
