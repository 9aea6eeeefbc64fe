"""A Kubernetes node with no machine behind it.

It registers a Node, keeps it Ready, and reports for every pod scheduled onto it what a kubelet would report. A word
anywhere in a container's image decides:

    word            containers that stay (restartPolicy Always)       containers that end (Never, OnFailure: Jobs)
    none of these   Ready at once                                     exit code 0 after 0.3 s, Succeeded
    slow            Running at once, Ready after 5 s                  end after 5 s, a line of log each second
    unready         Running, never Ready: its probe fails             nothing special
    broken          never pulled: ImagePullBackOff                    the same
    crash           exit code 1: CrashLoopBackOff, again every 2 s    exit code 1, Failed
    oom             killed at once for its memory, not yet restarted  nothing special
    fail            nothing special                                   exit code 3, Failed
    chatty          1500 lines of log, then ten each second           nothing special
    wordy           1000 lines of log of 5 kB each before the usual    the same
    stays           nothing special                                   goes on whatever the others do
    lingers         gone 3 s after its deletion                       the same
    clings          gone 60 s after its deletion                      the same
    unschedulable   no node takes it: the pod stays Pending           the same

Words combine (`slow-fail`). Changing a pod's image in place starts it over; a deleted pod is gone at once unless it lingers or clings; init containers
have always succeeded. Logs know tailLines, sinceSeconds, sinceTime, timestamps, limitBytes, previous (for `crash`) and
follow. The message of a failed container is the end of its log where terminationMessagePolicy is FallbackToLogsOnError.
Events are told as a kubelet tells them, and metrics.k8s.io gives figures that are made up.

Not there: exec, attach, port-forward, probes, volumes and a network. No pod listens anywhere.
"""

import argparse
import heapq
import http.client
import itertools
import queue
import threading
import time
import uuid
from urllib.parse import quote

from api import LOST, Api, from_rfc3339, rfc3339, say
from kubelet import Server
from pods import Pod

HEARTBEAT = 5.0  # seconds between two reports of the node
AGAIN = 0.2  # seconds until the API server is asked again after it did not answer
LINGERS = {"lingers": 3.0, "clings": 60.0}  # seconds that a deleted pod takes to go
CAPACITY = {"cpu": "32", "memory": "64Gi", "pods": "2000", "ephemeral-storage": "100Gi"}


class Timer(threading.Thread):
    """Runs functions at their time, one after the other."""

    def __init__(self):
        super().__init__(daemon=True)
        self.due = []
        self.count = itertools.count()
        self.changed = threading.Condition()

    def at(self, when, function, *arguments):
        with self.changed:
            heapq.heappush(self.due, (when, next(self.count), function, arguments))
            self.changed.notify()

    def run(self):
        while True:
            with self.changed:
                while not self.due or self.due[0][0] > time.time():
                    self.changed.wait(self.due[0][0] - time.time() if self.due else None)
                _, _, function, arguments = heapq.heappop(self.due)
            try:
                function(*arguments)
            except LOST as error:  # the server is away: the same once more
                say("cannot report:", repr(error))
                self.at(time.time() + AGAIN, function, *arguments)
            except Exception as error:  # a surprise in one pod must not stop the others
                say("gave up on", arguments, repr(error))


class Node:
    def __init__(self, api, name, port):
        self.api, self.name, self.port = api, name, port
        self.began = time.time()
        self.pods = {}  # by uid
        self.addresses = itertools.count(1)
        self.timer = Timer()
        self.news = Events(api, name)

    def run(self):
        self.timer.start()
        self.news.start()
        threading.Thread(target=self.keep_alive, daemon=True).start()
        self.follow_pods()

    def find(self, namespace, name):
        return next((p for p in list(self.pods.values()) if (p.namespace, p.name) == (namespace, name)), None)

    # The node itself

    def status(self):
        times = {"lastHeartbeatTime": rfc3339(time.time()), "lastTransitionTime": rfc3339(self.began)}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "this node only pretends"}
        pressures = [
            {"type": kind, "status": "False", "reason": "KubeletPretends"}
            for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
        ]
        return {
            "capacity": CAPACITY,
            "allocatable": CAPACITY,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": self.name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
            "nodeInfo": {
                **dict.fromkeys(("machineID", "systemUUID", "bootID", "kernelVersion", "kubeProxyVersion"), "fake"),
                "osImage": "no machine",
                "containerRuntimeVersion": "fake://0",
                "kubeletVersion": "v1.20.2-fake",
                "operatingSystem": "linux",
                "architecture": "amd64",
            },
            "conditions": [{**condition, **times} for condition in (ready, *pressures)],
        }

    def keep_alive(self):
        while True:
            try:
                code, answer = self.report_node()
                if code < 300:
                    time.sleep(HEARTBEAT)
                    continue
                say("node not reported:", code, answer.get("message"))
            except LOST as error:
                say("node not reported:", repr(error))
            time.sleep(AGAIN)

    def report_node(self):
        code, answer = self.api.patch(f"/api/v1/nodes/{self.name}/status", {"status": self.status()})
        if code != 404:
            return code, answer
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}}
        return self.api.create("/api/v1/nodes", {**node, "status": self.status()})

    # Its pods

    def follow_pods(self):
        """Lists, then watches; lists again when the server has forgotten where the watch was (410) or is away."""
        mine = f"spec.nodeName={self.name}"
        while True:
            try:
                code, answer = self.api.get(f"/api/v1/pods?fieldSelector={quote(mine)}")
                if code != 200:
                    raise http.client.HTTPException(f"list: {code} {answer.get('message')}")
                present = {found["metadata"]["uid"] for found in answer["items"]}
                for uid in [uid for uid in self.pods if uid not in present]:
                    self.forget(uid)
                for found in answer["items"]:
                    self.see(found)
                version = answer["metadata"]["resourceVersion"]
                while version:
                    version = self.watch_from(version, mine)
            except LOST as error:
                say("pods not followed:", repr(error))
            time.sleep(AGAIN)

    def watch_from(self, version, mine):
        for event in self.api.watch("/api/v1/pods", fieldSelector=mine, resourceVersion=version):
            found = event["object"]
            if event["type"] == "ERROR":
                say("watch ended:", found.get("code"), found.get("message"))
                return None
            version = found["metadata"]["resourceVersion"]
            if event["type"] == "DELETED":
                self.forget(found["metadata"]["uid"])
            elif event["type"] != "BOOKMARK":
                self.see(found)
        return version

    def forget(self, uid):
        pod = self.pods.pop(uid, None)
        if pod:
            pod.gone.set()

    def see(self, found):
        meta, status = found["metadata"], found.get("status", {})
        pod = self.pods.get(meta["uid"])
        if meta.get("deletionTimestamp"):
            self.timer.at(time.time() + pod.lingers(LINGERS) if pod else 0, self.delete, meta)
            return
        if pod and pod.images == [c["image"] for c in found["spec"]["containers"]]:
            pod.labels = meta.get("labels", {})
            return
        if pod:  # the image of a container was changed in place: it starts over
            pod.gone.set()
        if status.get("phase") in ("Succeeded", "Failed") and not status.get("containerStatuses"):
            return  # ended by somebody else, such as an eviction
        known = status.get("startTime") if not pod else None  # from before a restart of this program
        began = from_rfc3339(known) if known else time.time()
        address = status.get("podIP") or self.address()
        pod = self.pods[meta["uid"]] = Pod(found, began, address)
        self.timer.at(0, self.report, pod, not known)

    def address(self):
        number = next(self.addresses)
        return f"198.18.{number // 250 % 256}.{number % 250 + 1}"

    def report(self, pod, first=False):
        if pod.gone.is_set():
            return
        age = 0.0 if first else time.time() - pod.began
        code, answer = self.api.patch(f"{pod.path}/status", {"metadata": {"uid": pod.uid}, "status": pod.status(age)})
        if code not in (200, 404):  # 404: it is gone. Where another pod has its name by now, the uid saves that one
            say("status of", pod.path, "refused:", code, answer.get("message"))
        for container in pod.containers:
            for event in container.events(first):
                self.news.tell(pod, container, *event)
        change = pod.next_change(age)
        if change is not None:
            self.timer.at(pod.began + change, self.report, pod)

    def delete(self, meta):
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
        self.api.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", options)


class Events(threading.Thread):
    """Tells what happens to containers: one Event object for each thing to say; said again, its count goes up."""

    def __init__(self, api, host):
        super().__init__(daemon=True)
        self.api, self.host = api, host
        self.queue = queue.Queue()
        self.told = {}  # (path, count) by what was said

    def tell(self, *news):
        self.queue.put(news)

    def run(self):
        while True:
            news = self.queue.get()
            try:
                self.send(*news)
            except LOST as error:
                say("event not sent:", repr(error))

    def send(self, pod, container, kind, reason, message):
        now = rfc3339(time.time())
        key = (pod.uid, container.name, message)
        path, count = self.told.get(key, (None, 0))
        if path:
            code, answer = self.api.patch(path, {"count": count + 1, "lastTimestamp": now})
        else:
            place = f"/api/v1/namespaces/{pod.namespace}/events"
            name = f"{pod.name}.{uuid.uuid4().hex[:16]}"
            path = f"{place}/{name}"
            event = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": pod.namespace},
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "namespace": pod.namespace,
                    "name": pod.name,
                    "uid": pod.uid,
                    "fieldPath": f"spec.containers{{{container.name}}}",
                },
                "type": kind,
                "reason": reason,
                "message": message,
                "source": {"component": "kubelet", "host": self.host},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            }
            code, answer = self.api.create(place, event)
        if code < 300:
            self.told[key] = (path, count + 1)
        else:  # its namespace ends, or the old event has run out
            self.told.pop(key, None)
            say("event refused:", code, answer.get("message"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True, help="the API server")
    parser.add_argument("--pki", required=True, help="folder with ca.crt and the pairs `node` and `server`")
    parser.add_argument("--name", required=True, help="the node's name; node.crt must be that node's")
    parser.add_argument("--port", type=int, required=True, help="port of 127.0.0.1 on which others ask")
    options = parser.parse_args()

    node = Node(Api(options.server, options.pki), options.name, options.port)
    server = Server(node, options.port, options.pki)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    node.run()


if __name__ == "__main__":
    main()
