# SPDX-License-Identifier: Apache-2.0
"""One program bringing one cell's files to one topic, measured: the ceiling, the agent, rsyslog."""
import json
import os
import signal
import subprocess
import time
from collections import namedtuple

from programs import Failure, Program, StandaloneAgent, die_with_parent, wait_for

DEADLINE = 600

# Tuned as reference figures of others are: one worker (two would take lines out of their order), large batches, a large
# queue inside librdkafka.
TUNED_QUEUE = 'queue.workerThreads="1" queue.dequeueBatchSize="4096" queue.size="250000"'
TUNED_PRODUCER = ', "queue.buffering.max.kbytes=1048576", "queue.buffering.max.messages=10000000"'


class Result(namedtuple("Result", "lines_per_second cpu_us_per_line rss_bytes copied_bytes")):
    pass


def cpu_seconds(pid):
    """User and system time of all its threads."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    raise Failure(f"process {pid} has no VmHWM")


class Waiter:
    """Asks the broker, from a process of its own that is connected beforehand."""

    def __init__(self, world, topic, records):
        self._process = subprocess.Popen(
            [world.load, "wait", *world.topic_arguments(topic), "--records", str(records), "--seconds", str(DEADLINE)],
            stdout=subprocess.PIPE, preexec_fn=die_with_parent)
        if not self._process.stdout.readline():
            raise Failure("the waiting process cannot reach the broker")

    def wait(self):
        """The moment, on time.monotonic()."""
        answer = json.loads(self._process.communicate()[0] or "{}")
        if not answer.get("reached"):
            raise Failure(f"the broker has {answer.get('written')} records after {DEADLINE} s")
        return answer["at"]


class CeilingRun:
    def __init__(self, world, *flags):
        self._world, self._flags = world, flags

    def run(self, cell, topic):
        """Its clock stops as those of the others do: when the broker, asked from beside, has the last line."""
        self._world.pool.paths(cell)
        waiter = Waiter(self._world, topic, self._world.pool.lines_of(cell))
        run = self._world.tool("ceiling", *self._world.topic_arguments(topic), "--codec", cell.codec,
                               *self._flags, *self._world.pool.paths(cell))
        if run["failed"]:
            raise Failure(f"{run['failed']} lines of the ceiling were not taken")
        return Result(run["lines"] / (waiter.wait() - run["began"]), run["cpu_seconds"] / run["lines"] * 1e6,
                      run["rss_bytes"] - run["file_bytes"], 0)


class FollowingRun:
    """A program that follows a directory: it is started, the files appear, the clock runs until the broker has them."""

    def __init__(self, world):
        self.world = world

    def measure(self, cell, topic, directory, program):
        lines = self.world.pool.lines_of(cell)
        self.world.pool.paths(cell)
        waiter = Waiter(self.world, topic, lines)
        pid = program.process.pid
        cpu = cpu_seconds(pid)
        began = time.monotonic()
        self.world.pool.link(cell, directory)
        took = waiter.wait() - began
        return lines, took, self.cpu_when_quiet(pid) - cpu

    @staticmethod
    def cpu_when_quiet(pid):
        """The last acknowledgements are worked off when the broker already has everything."""
        last = [cpu_seconds(pid)]
        def unchanged():
            time.sleep(0.2)
            last.append(cpu_seconds(pid))
            return last[-1] - last[-2] < 0.02
        wait_for(unchanged, 30, "the program is idle again")
        return last[-1]

    def directory(self, topic):
        directory = os.path.join(self.world.scratch.path, topic)
        os.mkdir(directory)
        return directory


class AgentRun(FollowingRun):
    def run(self, cell, topic):
        directory = self.directory(topic)
        agent = StandaloneAgent(self.world.scratch, self.world.bin, self.world.broker, f"agent-{topic}",
                                [(f"{directory}/*.log", topic)], {"compression.codec": cell.codec})
        agent.start()
        agent.wait_running(topic)
        lines, took, cpu = self.measure(cell, topic, directory, agent)
        copied = agent.metric("sluice_agent_entry_copied_bytes_total")
        result = Result(lines / took, cpu / lines * 1e6, peak_rss(agent.process.pid), copied or 0)
        agent.stop()
        return result


class RsyslogRun(FollowingRun):
    def __init__(self, world, tuned):
        super().__init__(world)
        self._tuned = tuned

    def run(self, cell, topic):
        directory = self.directory(topic)
        work = os.path.join(directory, "rsyslog")
        os.mkdir(work)
        settings = os.path.join(work, "conf")
        with open(settings, "w", encoding="utf-8") as out:
            out.write(self._settings(cell, topic, directory, work))
        rsyslog = Program(self.world.scratch, f"rsyslog-{topic}",
                          ["/usr/sbin/rsyslogd", "-n", "-f", settings, "-i", os.path.join(work, "pid")])
        rsyslog.start()
        # It says nothing when it is ready; its state file of the pattern is not written before the first file.
        wait_for(lambda: os.path.exists(os.path.join(work, "pid")), 10, "rsyslog runs")
        time.sleep(0.5)
        lines, took, cpu = self.measure(cell, topic, directory, rsyslog)
        result = Result(lines / took, cpu / lines * 1e6, peak_rss(rsyslog.process.pid), 0)
        rsyslog.signal(signal.SIGTERM)
        rsyslog.process.wait(timeout=60)
        return result

    def _settings(self, cell, topic, directory, work):
        queue = f"main_queue({TUNED_QUEUE})\n" if self._tuned else ""
        producer = TUNED_PRODUCER if self._tuned else ""
        return (f'global(workDirectory="{work}" maxMessageSize="64k")\n{queue}'
                'module(load="imfile")\nmodule(load="omkafka")\n'
                'template(name="raw" type="string" string="%msg%")\n'
                f'input(type="imfile" file="{directory}/*.log" tag="bench" escapeLF="off")\n'
                f'action(type="omkafka" broker=["{self.world.broker.address}"] topic="{topic}" template="raw"\n'
                '  partitions.auto="on" resubmitOnFailure="on" action.resumeRetryCount="-1"\n'
                f'  confParam=["compression.codec={cell.codec}", "acks=all"{producer}])\n')


def verify(world, cell, topic, name):
    """Counts and order at the broker; the dev broker keeps the last 5 MiB of a partition, of which only the order can be
    judged, its count is the sum of its offsets."""
    contents = world.tool("verify", *world.topic_arguments(topic))
    lines = world.pool.lines_of(cell)
    problems = [f"{contents[key]} {what}" for key, what in
                (("foreign", "records are no lines"), ("repeated", "lines came again"),
                 ("disorder", "lines are out of order")) if contents[key]]
    if world.holds_everything and contents["distinct"] != lines:
        problems.append(f"{contents['distinct']} of {lines} lines are there")
    if problems and name.startswith("rsyslog"):
        print(f"  {name}: {', '.join(problems)}", flush=True)
    elif problems:
        raise Failure(f"{cell.name}, {name}: {', '.join(problems)}")
