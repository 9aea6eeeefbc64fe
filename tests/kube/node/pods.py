"""What becomes of a pod and its containers, as a function of the seconds since it began. Talks to nobody."""

import hashlib
import threading
import time

from api import rfc3339

SLOW = 5.0  # seconds until a slow container is ready, or ends
SHORT = 0.3  # seconds that any other pod that runs to completion takes
RESTART = 2.0  # seconds between two restarts of a crashing container
PROBE = 10.0  # seconds between two readiness probes

CRASH = [
    "INFO reading configuration",
    "ERROR cannot reach the database: connection refused",
    "FATAL giving up, exit code 1",
]
SERVING = [
    "INFO listening on 0.0.0.0:8080",
    'INFO request id=1 "GET /" status=200',
    'ERROR request id=2 "POST /orders" status=500 cause="upstream timed out"',
    'WARN request id=3 "GET /" status=200 slow=1.2s',
    'ERROR request id=4 "POST /orders" status=500 cause="connection reset"',
]
WORDY = [f"DEBUG dump number={number} {'x' * 5000}" for number in range(1000)]
MESSAGE = 2048, 80  # the bytes and the lines of its log that a failed container may leave as its message


class Container:
    def __init__(self, spec, pod, initial=False):
        self.name = spec["name"]
        self.image = spec["image"]
        self.log_is_message = spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        self.pod = pod
        self.initial = initial  # an init container: has always succeeded already
        self.completes = initial or (pod.completes and "stays" not in self.image)
        self.id = "fake://" + hashlib.sha256(f"{pod.uid}/{self.name}/{self.image}".encode()).hexdigest()

    def has(self, word):
        return word in self.image

    @property
    def broken(self):
        return self.has("broken") and not self.initial

    @property
    def crashes(self):
        return self.has("crash") and not self.broken and not self.completes

    @property
    def killed(self):
        return self.has("oom") and not self.broken and not self.crashes and not self.completes

    @property
    def unready(self):
        return self.has("unready") and not self.broken and not self.crashes and not self.completes

    @property
    def exit_code(self):
        return 0 if self.initial else 3 if self.has("fail") else 1 if self.has("crash") else 0

    @property
    def ends(self):
        """Seconds until it has ended, for a container that does."""
        return 0.0 if self.initial else SLOW if self.has("slow") else SHORT

    def ended(self, age):
        return self.completes and not self.broken and age >= self.ends

    def ready(self, age):
        if self.initial:
            return True
        if self.broken or self.crashes or self.unready or self.killed:
            return False
        if self.completes:
            return age < self.ends
        return not self.has("slow") or age >= SLOW

    def restarts(self, age):
        return 1 + int(age / RESTART + 0.01) if self.crashes else 0

    def last_start(self, age):
        return self.pod.began + max(0, self.restarts(age) - 1) * RESTART

    def next_change(self, age):
        """The age at which there is something new to report; None when there never is."""
        if self.crashes:
            return self.restarts(age) * RESTART
        if self.unready:
            return (1 + int(age / PROBE + 0.01)) * PROBE
        if not self.broken and (self.completes or self.has("slow")) and self.ends > age:
            return self.ends
        return None

    def status(self, age):
        last = {}
        if self.broken:
            state = {"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{self.image}"'}}
        elif self.crashes:
            whole = f"{self.pod.name}_{self.pod.namespace}({self.pod.uid})"
            message = f"back-off {RESTART:.0f}s restarting failed container={self.name} pod={whole}"
            state = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            last = self.terminated(self.last_start(age), self.last_start(age))
        elif self.killed:
            at = rfc3339(self.pod.began)
            said = {"exitCode": 137, "reason": "OOMKilled", "startedAt": at, "finishedAt": at, "containerID": self.id}
            state = {"terminated": said}
        elif self.ended(age):
            state = self.terminated(self.pod.began, self.pod.began + self.ends)
        else:
            state = {"running": {"startedAt": rfc3339(self.pod.began)}}
        return {
            "name": self.name,
            "image": self.image,
            "imageID": "" if self.broken else f"fake-pullable://{self.image}",
            "containerID": "" if self.broken else self.id,
            "ready": self.ready(age),
            "started": "running" in state,
            "restartCount": self.restarts(age),
            "state": state,
            "lastState": last,
        }

    def terminated(self, start, end):
        said = {}
        if self.exit_code and self.log_is_message:
            size, count = MESSAGE
            said["message"] = "".join(f"{line}\n" for _, line in self.log(end + 1)[-count:])[-size:]
        return {
            "terminated": {
                "exitCode": self.exit_code,
                "reason": "Error" if self.exit_code else "Completed",
                "startedAt": rfc3339(start),
                "finishedAt": rfc3339(end),
                "containerID": self.id,
                **said,
            }
        }

    def log(self, now):
        """The lines written so far, as (time, text). Of a crashing container: those of its last life."""
        began, age = self.pod.began, now - self.pod.began
        first = f"INFO starting pod={self.pod.name} container={self.name} image={self.image}"
        if self.crashes:
            start = self.last_start(age)
            return [(start + i / 1000, line) for i, line in enumerate([first, *CRASH])]
        if self.completes:
            steps = [(began + second, f"INFO step {second} done") for second in range(1, int(self.ends))]
            steps = self.dump() + steps
            last = f"ERROR failed, exit code {self.exit_code}" if self.exit_code else "INFO done, exit code 0"
            lines = [(began, first), *steps, (began + self.ends, last)]
            return [line for line in lines if line[0] <= now]
        lines = [(began, first), *self.dump(), *((began + i / 1000, line) for i, line in enumerate(SERVING))]
        if self.has("chatty"):
            lines += [self.chat(number) for number in range(1, 1501 + max(0, int(age * 10)))]
        return lines

    def dump(self):
        return [(self.pod.began, line) for line in WORDY] if self.has("wordy") else []

    def chat(self, number):
        when = 0.01 if number <= 1500 else (number - 1500) / 10
        level, status = ("ERROR", 500) if number % 10 == 0 else ("INFO", 200)
        return self.pod.began + when, f'{level} request number={number} "GET /items/{number}" status={status}'

    def events(self, first):
        """What a kubelet would tell about it now, as (type, reason, message); `first` when its pod has just begun."""
        told = []
        if first and self.broken:
            reason = f"rpc error: code = NotFound desc = {self.image}: not found"
            told += [
                ("Normal", "Pulling", f'Pulling image "{self.image}"'),
                ("Warning", "Failed", f'Failed to pull image "{self.image}": {reason}'),
                ("Warning", "Failed", "Error: ErrImagePull"),
                ("Normal", "BackOff", f'Back-off pulling image "{self.image}"'),
            ]
        elif first:
            told += [
                ("Normal", "Pulled", f'Container image "{self.image}" already present on machine'),
                ("Normal", "Created", f"Created container {self.name}"),
                ("Normal", "Started", f"Started container {self.name}"),
            ]
        if self.crashes:
            told.append(("Warning", "BackOff", "Back-off restarting failed container"))
        if self.unready:
            told.append(("Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"))
        return told


class Pod:
    def __init__(self, found, began, address):
        meta, spec = found["metadata"], found["spec"]
        self.uid, self.name, self.namespace = meta["uid"], meta["name"], meta["namespace"]
        self.labels = meta.get("labels", {})
        self.path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        self.began = began
        self.address = address
        self.completes = spec.get("restartPolicy", "Always") != "Always"
        self.initial = [Container(c, self, initial=True) for c in spec.get("initContainers", [])]
        self.containers = [Container(c, self) for c in spec["containers"]]
        self.images = [c.image for c in self.containers]
        self.gone = threading.Event()

    def ended(self, age):
        return all(c.ended(age) for c in self.containers)

    def lingers(self, lengths):
        return max((length for word, length in lengths.items() for c in self.containers if c.has(word)), default=0)

    def next_change(self, age):
        changes = [c.next_change(age) for c in self.containers]
        return min((change for change in changes if change is not None), default=None)

    def running(self):
        return not self.ended(time.time() - self.began) and not all(c.broken for c in self.containers)

    def status(self, age):
        unready = [c.name for c in self.containers if not c.ready(age)]
        why = {"reason": None, "message": None}  # a patch keeps what it does not name
        if self.ended(age):
            phase = "Failed" if any(c.exit_code for c in self.containers) else "Succeeded"
            why["reason"] = "PodCompleted"
        else:
            phase = "Pending" if any(c.broken for c in self.containers) else "Running"
            if unready:
                message = f"containers with unready status: [{' '.join(unready)}]"
                why = {"reason": "ContainersNotReady", "message": message}
        turned = self.began + (age if self.ended(age) or (not unready and age >= SLOW) else 0)

        def condition(kind, true, since, **why):
            return {"type": kind, "status": "True" if true else "False", "lastTransitionTime": rfc3339(since), **why}

        return {
            "phase": phase,
            "startTime": rfc3339(self.began),
            "hostIP": "127.0.0.1",
            "podIP": self.address,
            "podIPs": [{"ip": self.address}],
            "conditions": [
                condition("Initialized", True, self.began),
                condition("Ready", not unready, turned, **why),
                condition("ContainersReady", not unready, turned, **why),
            ],
            "initContainerStatuses": [c.status(age) for c in self.initial],
            "containerStatuses": [c.status(age) for c in self.containers],
        }
