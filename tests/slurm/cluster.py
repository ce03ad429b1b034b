"""A real SLURM on this machine, of one node with four pretended GPUs, in a folder of its own: for tests and by hand.

    python tests/slurm/cluster.py start /tmp/cluster   # then: . /tmp/cluster/environment
    python tests/slurm/cluster.py stop /tmp/cluster

It needs root and Debian's slurmctld, slurmd, slurm-client and munge; nothing outside the folder is changed, and its
ports are free ones. The node pretends to have more cores and memory than the machine has, too, so that a cluster's
profile runs on it unchanged.
"""

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

GPUS = 4
CORES, MEMORY_MB = 128, 2_000_000
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun")
DAEMONS = ("slurmd", "slurmctld", "munged")  # in the order in which they are stopped
CALL_SECONDS = 30  # until a client's call is given up
START_SECONDS = 60
STOP_SECONDS = 20
CGROUPS = Path("/sys/fs/cgroup/memory")

SLURM_CONF = """\
ClusterName=pretended
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin={task_plugin}
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
GresTypes=gpu
MinJobAge=3600
FirstJobId={first_job}
ReturnToService=2
SlurmdTimeout=20
SchedulerParameters=bf_interval=1,sched_interval=5,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} Boards=1 SocketsPerBoard=1 CoresPerSocket={cores} ThreadsPerCore=1 \
RealMemory={memory} Gres=gpu:{gpus}
PartitionName=gpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

# Jobs that exceed their memory are killed where the machine lets SLURM do it.
CGROUP_CONF = """\
CgroupPlugin=cgroup/v1
CgroupAutomount=no
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
ConstrainCores=no
ConstrainDevices=no
"""

# The plugin for Snakemake removes SLURM_CONF from the environment before it calls srun in a job.
SRUN = """\
#!/bin/sh
SLURM_CONF={folder}/slurm.conf exec {srun} "$@"
"""

ENVIRONMENT = """\
export SLURM_CONF={folder}/slurm.conf
export PATH={folder}/bin:$PATH
"""


@dataclass(frozen=True)
class Job:
    """A job as SLURM knows it. Times are None where it has not come to them.

    `asked` is its number of GPUs and `gpus` their indices, which SLURM tells only while it runs; `minutes` its limit.
    """

    number: int
    rule: str
    wildcards: str
    state: str
    asked: int
    gpus: tuple[int, ...]
    memory_mb: int
    minutes: int
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    restarts: int

    def at_work_with(self, other: "Job") -> bool:
        """Whether both ran at the same time (to the second, as SLURM counts)."""
        times = (self.started, self.ended, other.started, other.ended)
        return None not in times and self.started < other.ended and other.started < self.ended


@dataclass(frozen=True)
class Cluster:
    """A running cluster in a folder; `limits_memory` says whether jobs that exceed their memory are killed."""

    folder: Path
    host: str
    limits_memory: bool

    @property
    def environment(self) -> dict[str, str]:
        """What a client's environment must hold beside its own."""
        return {
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "PATH": f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}",
        }

    def call(self, *words: str) -> str:
        """The output of a client, such as squeue."""
        return subprocess.run(
            words,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=True,
            timeout=CALL_SECONDS,
        ).stdout

    def jobs(self) -> list[Job]:
        """All jobs since the cluster started, in the order of their submission."""
        told = self.call("scontrol", "show", "job", "--details", "--oneliner")
        return [read_job(line) for line in told.splitlines() if line.startswith("JobId=")]

    def drain(self) -> None:
        """Let no further job start; those at work go on."""
        self.call("scontrol", "update", f"NodeName={self.host}", "State=DRAIN", "Reason=test")

    def resume(self) -> None:
        """Let jobs start again, if the node is drained."""
        if "DRAIN" in self.call("scontrol", "show", "node", self.host):
            self.call("scontrol", "update", f"NodeName={self.host}", "State=RESUME")

    def lose_node(self) -> None:
        """End the node's daemon and all its jobs' processes without warning, as a power cut does."""
        kill(daemon(self.folder, "slurmd"), signal.SIGKILL)
        while left := [process for process in processes_of(self.folder) if alive(process)]:
            for process in left:
                kill(process, signal.SIGKILL)

    def find_node(self) -> None:
        """Start the node's daemon again."""
        start_daemon(self.folder, "slurmd")
        wait_for(lambda: "IDLE" in self.call("scontrol", "show", "node", self.host), "the node to come back")


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    if os.geteuid():
        return "starting SLURM's daemons needs root"
    absent = [name for name in PROGRAMS if not program(name)]
    return f"SLURM is not installed: no {', '.join(absent)}" if absent else ""


def program(name: str) -> str | None:
    """The path of a program; daemons lie where not every PATH leads."""
    return shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


def start(folder: Path) -> Cluster:
    """Start a cluster in a new folder with a short absolute path (its sockets' names are limited to 107 characters).

    Raises TimeoutError where it does not come up.
    """
    folder.mkdir(mode=0o755)
    for name in ("munge", "state", "spool", "bin", "dev"):
        (folder / name).mkdir(mode=0o755)
    host = socket.gethostname().partition(".")[0]
    for index in range(GPUS):  # SLURM wants device files; these are /dev/null's
        os.mknod(folder / f"dev/nvidia{index}", 0o20666, os.makedev(1, 3))
    ctld_port, slurmd_port = free_ports(2)
    first_job = ctld_port * 1000  # clusters side by side share a memory cgroup, whose folders are the jobs' numbers
    limits_memory = os.access(CGROUPS / "cgroup.procs", os.W_OK)
    files = {
        "slurm.conf": SLURM_CONF.format(
            host=host,
            folder=folder,
            ctld_port=ctld_port,
            slurmd_port=slurmd_port,
            first_job=first_job,
            task_plugin="task/cgroup" if limits_memory else "task/none",
            cores=CORES,
            memory=MEMORY_MB,
            gpus=GPUS,
        ),
        **({"cgroup.conf": CGROUP_CONF} if limits_memory else {}),
        "gres.conf": f"NodeName={host} Name=gpu File={folder}/dev/nvidia[0-{GPUS - 1}]\n",
        "bin/srun": SRUN.format(folder=folder, srun=program("srun")),
        "environment": ENVIRONMENT.format(folder=folder),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "bin/srun").chmod(0o755)
    key = folder / "munge/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    cluster = Cluster(folder, host, limits_memory)
    try:
        for name in reversed(DAEMONS):
            start_daemon(folder, name)
        wait_for(lambda: "idle" in cluster.call("sinfo", "--noheader", "--format=%T"), "SLURM to come up")
    except BaseException:
        stop(folder)
        raise
    return cluster


def stop(folder: Path) -> None:
    """End the jobs and the daemons of a cluster; what it wrote stays."""
    if alive(daemon(folder, "slurmctld")):
        host = socket.gethostname().partition(".")[0]
        cluster = Cluster(folder, host, False)
        with suppress(subprocess.SubprocessError, TimeoutError):  # their processes are ended below
            cluster.call("scancel", "--user=root")
            wait_for(lambda: not cluster.call("squeue", "--noheader"), "jobs to end", STOP_SECONDS)
    for name in DAEMONS:
        process = daemon(folder, name)
        kill(process, signal.SIGTERM)
        try:
            wait_for(lambda process=process: not alive(process), f"{name} to end", STOP_SECONDS)
        except TimeoutError:
            kill(process, signal.SIGKILL)
    for process in processes_of(folder):
        kill(process, signal.SIGKILL)
    first = re.search(r"^FirstJobId=(\d+)$", (folder / "slurm.conf").read_text(), re.MULTILINE)[1]
    for job in CGROUPS.glob(f"slurm_*/uid_*/job_{first[:-3]}*"):  # of jobs that were killed
        for part in [*sorted((each for each in job.rglob("*") if each.is_dir()), reverse=True), job]:
            with suppress(OSError):
                part.rmdir()


def start_daemon(folder: Path, name: str) -> None:
    """Start munged, slurmctld or slurmd in the background; it writes its process id to a file in the folder."""
    munged = [f"--socket={folder}/munge/socket", f"--key-file={folder}/munge/key", f"--pid-file={folder}/munged.pid"]
    munged += [f"--log-file={folder}/munge/log", f"--seed-file={folder}/munge/seed", "--force"]
    options = munged if name == "munged" else ["-f", f"{folder}/slurm.conf"]
    with (folder / f"{name}.out").open("a") as out:
        subprocess.run(
            [program(name) or name, *options],
            env={**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            check=True,
            timeout=START_SECONDS,
        )


def daemon(folder: Path, name: str) -> int:
    """The process id of a daemon of this cluster; 0 where it does not run."""
    file = folder / f"{name}.pid"
    number = int(file.read_text()) if file.exists() and file.read_text().strip() else 0
    try:
        command = Path(f"/proc/{number}/comm").read_text().strip()
    except OSError:
        return 0
    return number if command == name else 0


def alive(process: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return bool(process) and Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(process: int, number: int) -> None:
    if alive(process):
        os.kill(process, number)


def processes_of(folder: Path) -> list[int]:
    """The processes of this cluster's jobs, and the daemons that watch over them."""
    mark = f"SLURM_CONF={folder}/slurm.conf".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        in_job = any(word.startswith((b"SLURM_JOB_ID=", b"SLURM_JOBID=")) for word in environment)
        watches = (place / "cmdline").read_bytes().startswith(b"slurmstepd")
        if mark in environment and (in_job or watches):
            found.append(int(place.name))
    return found


def free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(happened: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    """Wait until something has happened; raises TimeoutError where it takes longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.2)


def read_job(line: str) -> Job:
    """A job from its line of `scontrol show job --details --oneliner`."""
    fields = dict(re.findall(r"(\S+?)=(\S*)", line))
    rule, _, wildcards = fields.get("Comment", "").removeprefix("rule_").partition("_wildcards_")
    asked = re.search(r"gres:gpu:(\d+)", fields.get("TresPerJob", ""))
    given = re.search(r"GRES=gpu\S*?\(IDX:([\d,-]+)\)", line)
    memory = re.search(r"mem=([\d.]+)([MGT])", fields["TRES"])
    return Job(
        number=int(fields["JobId"]),
        rule=rule,
        wildcards=wildcards,
        state=fields["JobState"],
        asked=int(asked[1]) if asked else 0,
        gpus=indices(given[1]) if given else (),
        memory_mb=round(float(memory[1]) * {"M": 1, "G": 1024, "T": 1024**2}[memory[2]]) if memory else 0,
        minutes=minutes(fields["TimeLimit"]),
        submitted=datetime.fromisoformat(fields["SubmitTime"]),
        started=moment(fields["StartTime"]),
        ended=moment(fields["EndTime"]),
        restarts=int(fields["Restarts"]),
    )


def minutes(text: str) -> int:
    """What SLURM means by, for example, 1-12:30:00; 0 for no limit."""
    parts = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):\d+", text)
    days, hours, rest = (int(part or 0) for part in parts.groups()) if parts else (0, 0, 0)
    return (days * 24 + hours) * 60 + rest


def moment(text: str) -> datetime | None:
    return None if text in ("Unknown", "None", "N/A") else datetime.fromisoformat(text)


def indices(text: str) -> tuple[int, ...]:
    """What SLURM means by, for example, 0-1,3."""
    ranges = [part.partition("-") for part in text.split(",")]
    return tuple(i for first, _, last in ranges for i in range(int(first), int(last or first) + 1))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "stop"])
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    folder = args.folder.resolve()
    if args.what == "stop":
        stop(folder)
    elif why := missing():
        sys.exit(f"error: {why}")
    else:
        start(folder)
        print(f"started; for its clients: . {folder}/environment")


if __name__ == "__main__":
    main()
