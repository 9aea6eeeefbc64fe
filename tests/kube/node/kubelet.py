"""What others ask of the node, on one port and only with a certificate of the plane: the API server asks for logs and for
metrics.k8s.io, the scheduler whether a pod may come."""

import http.server
import json
import re
import select
import ssl
import sys
import time
import zlib
from urllib.parse import parse_qs, urlsplit

from api import from_rfc3339, rfc3339, say

METRICS = "metrics.k8s.io/v1beta1"


class Refusal(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def selects(selector, labels):
    """Whether labels satisfy a selector such as `app=web,tier!=db,track in (a,b),!old`."""
    for term in re.findall(r"(?:[^,(]|\([^)]*\))+", selector):
        among = re.fullmatch(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*", term)
        equal = re.fullmatch(r"\s*([^!=\s]+)\s*(==|=|!=)\s*(\S*)\s*", term)
        if among:
            key, how, values = among[1], among[2], {value.strip() for value in among[3].split(",")}
            good = (labels.get(key) in values) == (how == "in")
        elif equal:
            good = (labels.get(equal[1]) == equal[3]) == (equal[2] != "!=")
        else:
            key = term.strip()
            good = key[1:].strip() not in labels if key.startswith("!") else key in labels
        if not good:
            return False
    return True


class Log:
    """The log of one container, as a request wants it."""

    def __init__(self, container, query):
        self.container = container
        self.stamped = query.get("timestamps") == "true"
        self.limit = int(query["limitBytes"]) if "limitBytes" in query else None
        now = time.time()
        lines = container.log(now)
        self.sent = len(lines)
        since = 0.0
        if "sinceSeconds" in query:
            since = now - float(query["sinceSeconds"])
        if "sinceTime" in query:
            since = from_rfc3339(query["sinceTime"])
        lines = [line for line in lines if line[0] >= since]
        if "tailLines" in query:
            lines = lines[max(0, len(lines) - int(query["tailLines"])) :]
        self.first = self.text(lines)[: self.limit]
        self.follows = query.get("follow") == "true" and self.limit is None and not container.crashes

    def text(self, lines):
        stamp = (lambda when: rfc3339(when, True) + " ") if self.stamped else lambda when: ""
        return "".join(f"{stamp(when)}{line}\n" for when, line in lines).encode()

    def more(self):
        """What was written since the last look."""
        lines = self.container.log(time.time())
        fresh = self.text(lines[self.sent :])
        self.sent = max(self.sent, len(lines))
        return fresh


class Metrics:
    """The answers of metrics.k8s.io: figures that are made up, and always the same for the same container."""

    def __init__(self, node):
        self.node = node

    def answer(self, parts, query):
        if not parts:
            return self.resources()
        running = [pod for pod in list(self.node.pods.values()) if pod.running()]
        if parts[0] == "nodes" and parts[1:] in ([], [self.node.name]):
            return self.one_or_all("NodeMetrics", [self.of_node(running)], parts[1:])
        namespace = None
        if parts[0] == "namespaces" and len(parts) >= 3:
            namespace, parts = parts[1], parts[2:]
        if parts[0] == "pods" and len(parts) <= 2:
            found = [pod for pod in running if namespace in (None, pod.namespace)]
            found = [pod for pod in found if selects(query.get("labelSelector", ""), pod.labels)]
            found = [pod for pod in found if parts[1:] in ([], [pod.name])]
            if found or len(parts) == 1:
                return self.one_or_all("PodMetrics", [self.of_pod(pod) for pod in found], parts[1:])
        raise Refusal(404, f"no metrics known for {'/'.join(parts)}")

    def resources(self):
        kinds = [("nodes", False, "NodeMetrics"), ("pods", True, "PodMetrics")]
        resources = [
            {"name": name, "singularName": "", "namespaced": inside, "kind": kind, "verbs": ["get", "list"]}
            for name, inside, kind in kinds
        ]
        return {"apiVersion": "v1", "kind": "APIResourceList", "groupVersion": METRICS, "resources": resources}

    def one_or_all(self, kind, items, name):
        if name:
            return {"apiVersion": METRICS, "kind": kind, **items[0]}
        return {"apiVersion": METRICS, "kind": f"{kind}List", "metadata": {}, "items": items}

    def of_node(self, pods):
        usage = self.usage([c for pod in pods for c in pod.containers])
        return {"metadata": self.meta(name=self.node.name), **self.window(), "usage": usage}

    def of_pod(self, pod):
        containers = [{"name": c.name, "usage": self.usage([c])} for c in pod.containers if not c.broken]
        meta = self.meta(name=pod.name, namespace=pod.namespace, labels=pod.labels)
        return {"metadata": meta, **self.window(), "containers": containers}

    def meta(self, **more):
        return {"creationTimestamp": rfc3339(time.time()), **more}

    def window(self):
        return {"timestamp": rfc3339(time.time()), "window": "15s"}

    def usage(self, containers):
        numbers = [zlib.crc32(c.id.encode()) for c in containers]
        memory = sum(20 + number // 256 % 200 for number in numbers)
        return {"cpu": f"{sum(5 + number % 200 for number in numbers)}m", "memory": f"{memory}Mi"}


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, node, port, pki):
        super().__init__(("127.0.0.1", port), Handler)
        self.node = node
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{pki}/ca.crt")
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_cert_chain(f"{pki}/server.crt", f"{pki}/server.key")
        # The handshake is left to the handler's thread, so that a silent client holds up nobody.
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request, client_address):
        say("request not served:", repr(sys.exc_info()[1]))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        address = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        parts = address.path.strip("/").split("/")
        metrics = address.path.startswith(f"/apis/{METRICS}")
        try:
            if parts[0] == "containerLogs" and len(parts) == 4:
                self.send_log(*parts[1:], query)
            elif metrics:
                self.send_json(200, Metrics(self.server.node).answer(parts[3:], query))
            else:
                raise Refusal(404, "this node has logs and metrics, and nothing else")
        except Refusal as refusal:
            if metrics:
                status = {"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": "NotFound"}
                self.send_json(refusal.code, {**status, "code": refusal.code, "message": str(refusal)})
            else:
                self.send(refusal.code, str(refusal).encode(), "text/plain")
        except OSError:  # the client has left
            self.close_connection = True

    def do_POST(self):
        """The scheduler's question; to anything else, such as exec, the refusal of a GET."""
        if self.path != "/schedule/filter":
            self.do_GET()
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        images = [container["image"] for container in asked["Pod"]["spec"]["containers"]]
        if any("unschedulable" in image for image in images):
            answer = {"NodeNames": [], "FailedNodes": dict.fromkeys(asked["NodeNames"], "Insufficient cpu")}
        else:
            answer = {"NodeNames": asked["NodeNames"]}
        self.send_json(200, answer)

    def send_json(self, code, body):
        self.send(code, json.dumps(body).encode(), "application/json")

    def send(self, code, data, kind):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_log(self, namespace, name, wanted, query):
        pod = self.server.node.find(namespace, name)
        container = pod and next((c for c in pod.containers + pod.initial if c.name == wanted), None)
        if not container:
            raise Refusal(404, f'container "{wanted}" of pod "{name}" is not on this node')
        if container.broken:
            reason = "is waiting to start: trying and failing to pull image"
            raise Refusal(400, f'container "{wanted}" in pod "{name}" {reason}')
        if query.get("previous") == "true" and not container.crashes:
            raise Refusal(400, f'previous terminated container "{wanted}" in pod "{name}" not found')
        log = Log(container, query)
        if log.follows:
            self.follow(pod, log)
        else:
            self.send(200, log.first, "text/plain")

    def follow(self, pod, log):
        """Until the container or the pod ends, or the client leaves."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.chunk(log.first)
        while not pod.gone.is_set():
            over = log.container.ended(time.time() - pod.began)
            self.chunk(log.more())
            if over or self.client_left():
                break
            pod.gone.wait(0.1)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data):
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def client_left(self):
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable)  # it has nothing more to say but goodbye
