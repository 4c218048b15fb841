#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints a token for the JSON API, as Supabase would make it.

    scripts/lib/api_token.py SECRET_FILE [USER_ID]

For that user, or without one for an operator (service_role). It holds for a
day. For the demo and for trying things out.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys
import time


def packed(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(secret, user=None):
    claims = {"aud": "authenticated", "exp": int(time.time()) + 86400}
    claims |= ({"role": "authenticated", "sub": user} if user else
               {"role": "service_role"})
    signed = ".".join(packed(json.dumps(part).encode()) for part in
                      ({"alg": "HS256", "typ": "JWT"}, claims))
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{packed(mac.digest())}"


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(token(pathlib.Path(sys.argv[1]).read_text().strip(), *sys.argv[2:]))
