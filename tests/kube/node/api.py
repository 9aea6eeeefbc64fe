"""The API server, as a client with the node's certificate sees it; and how a kubelet writes instants."""

import http.client
import json
import re
import ssl
import sys
import threading
from datetime import datetime, timezone
from urllib.parse import urlencode, urlsplit

# What a connection to a server that goes away can raise.
LOST = (OSError, http.client.HTTPException, json.JSONDecodeError)


def say(*words):
    print(datetime.now().strftime("%H:%M:%S.%f")[:-3], *words, file=sys.stderr, flush=True)


def rfc3339(seconds, fraction=False):
    text = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds" if fraction else "seconds")
    return text.replace("+00:00", "Z")


def from_rfc3339(text):
    """Seconds since the epoch; nanoseconds are cut to what Python reads."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Api:
    """One kept-alive connection for each thread."""

    def __init__(self, server, pki):
        self.address = urlsplit(server)
        self.tls = ssl.create_default_context(cafile=f"{pki}/ca.crt")
        self.tls.load_cert_chain(f"{pki}/node.crt", f"{pki}/node.key")
        self.local = threading.local()

    def connect(self, timeout):
        return http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.tls, timeout=timeout)

    def exchange(self, *request):
        connection = getattr(self.local, "connection", None) or self.connect(timeout=20)
        self.local.connection = None  # until it has proved to be whole
        connection.request(*request)
        answer = connection.getresponse()
        code, data = answer.status, answer.read()
        self.local.connection = connection
        return code, data

    def call(self, method, path, body=None, kind="application/json"):
        """The status and the decoded answer. Tried twice, since the server may have closed an idle connection."""
        data = None if body is None else json.dumps(body)
        request = (method, path, data, {"Content-Type": kind, "User-Agent": "kubelet"})
        try:
            code, data = self.exchange(*request)
        except LOST:
            code, data = self.exchange(*request)
        if code == 429 or code >= 500:
            raise http.client.HTTPException(f"{method} {path}: {code} {data[:200]!r}")
        return code, json.loads(data or b"null")

    def get(self, path):
        return self.call("GET", path)

    def create(self, path, body):
        return self.call("POST", path, body)

    def patch(self, path, body):
        return self.call("PATCH", path, body, "application/strategic-merge-patch+json")

    def watch(self, path, **query):
        """Yields the events of one watch request until the server ends it."""
        connection = self.connect(timeout=300)
        try:
            query.update(watch="1", allowWatchBookmarks="true", timeoutSeconds="240")
            connection.request("GET", f"{path}?{urlencode(query)}", headers={"User-Agent": "kubelet"})
            answer = connection.getresponse()
            if answer.status != 200:
                yield {"type": "ERROR", "object": {"code": answer.status, "message": answer.read().decode()}}
                return
            for line in answer:
                yield json.loads(line)
        finally:
            connection.close()
