"""Asks the server, for tests/schemathesis/run, whether it is ready and who the caller is."""

import json
import sys
import urllib.error
import urllib.request


def get(url, key=None):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"} if key else {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def ready(url):
    try:
        get(f"{url}/readyz")
    except OSError:
        sys.exit(1)


def ids(url):
    """Prints the ids of the rows without which the caller is nobody: its user, its key, and what the key is bound to.

    Reads the answer of `rollbook bootstrap` from standard input, and fails where its key does not work.
    """
    bootstrap = json.load(sys.stdin)
    try:
        keys = json.loads(get(f"{url}/v1/api-keys?limit=200", bootstrap["api_key"]))["data"]
    except urllib.error.HTTPError as error:
        sys.exit(f"GET /v1/api-keys with the bootstrap's key: {error}")
    own = [key for key in keys if bootstrap["api_key"].startswith(key["key_prefix"])]
    bound = [key["organization_id"] for key in own if key.get("organization_id")]
    print(bootstrap["user_id"], *(key["id"] for key in own), *bound)


if __name__ == "__main__":
    command, address = sys.argv[1:]
    {"ready": ready, "ids": ids}[command](address)
