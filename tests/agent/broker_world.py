# SPDX-License-Identifier: Apache-2.0
"""What the rows of broker_matrix share: a real Kafka, files that grow, agents, and an entry beside that must go on."""
import os
import subprocess
import time

from programs import ROOT, Agent, Failure, StandaloneAgent, wait_for

BESIDE = "beside"


def say(text):
    print(text, flush=True)


class World:
    def __init__(self, options, scratch, kafka):
        self.options, self.scratch, self.kafka = options, scratch, kafka
        self.kafka.start_ready()
        self.written = {}
        self.agent = None

    def tool(self, name):
        return os.path.join(self.options.bin, name)

    def admin(self, action, topic, *settings):
        subprocess.run([self.tool("bench_agent_load"), "admin", "--brokers", self.kafka.address, "--topic", topic, action,
                        *settings], check=True)

    def config_command(self, kind, name, *arguments):
        jars = os.path.join(ROOT, "build", "kafka", "jars", "*")
        subprocess.run(["java", "-cp", jars, "kafka.admin.ConfigCommand", "--bootstrap-server", self.kafka.address, "--alter",
                        "--entity-type", kind, "--entity-name", name, *arguments], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def start_agent(self, topics):
        """The agent with the entry beside."""
        self.agent = StandaloneAgent(self.scratch, self.options.bin, self.kafka, "agent",
                                     [(self.path(topic), topic) for topic in topics], {})
        self.agent.start()
        for topic in topics:
            self.agent.wait_running(topic)
            self.write(topic, 10)
            self.wait_all(topic)

    def path(self, topic):
        return os.path.join(self.scratch.path, topic + ".log")

    def write(self, topic, count, size=30):
        number = self.written.get(topic, 0)
        with open(self.path(topic), "ab", buffering=0) as out:
            # Bytes that do not compress: what the broker limits is the batch as it arrives.
            out.write(b"".join(b"%d %s\n" % (number + i, os.urandom(size // 2).hex().encode()) for i in range(count)))
        self.written[topic] = number + count

    def there(self, topic):
        """Numbers that the topic holds."""
        return {int(record.split(b" ")[0]) for record in self.kafka.consume(topic, "%s\n")}

    def wait_all(self, topic, since=0, seconds=60):
        wanted = set(range(since, self.written[topic]))
        wait_for(lambda: wanted <= self.there(topic), seconds, f"{len(wanted)} lines are on {topic}", pause=0.3)

    def wait_state(self, topic, state, text, seconds=60, agent=None):
        agent = agent or self.agent
        def said():
            entry = agent.entries().get(topic, {})
            return entry.get("state") == state and text in entry.get("text", "") and entry
        try:
            return wait_for(said, seconds, f"{topic} is {state}", pause=0.1).get("text", "")
        except Failure as failure:
            raise Failure(f"{failure} with '{text}': {agent.entries().get(topic)}") from None

    def beside_goes_on(self):
        began = time.monotonic()
        self.write(BESIDE, 5)
        self.wait_all(BESIDE, seconds=20)
        entry = self.agent.entries()[BESIDE]
        if entry["state"] != "RUNNING":
            raise Failure(f"the entry beside: {entry}")
        say(f"    the entry beside it: 5 more lines arrived within {time.monotonic() - began:.1f} s")


class SecureAgent(Agent):
    """An agent of its own, for one address of the broker."""

    def __init__(self, world, name, address, properties, secrets):
        self.address = address
        more = {"entries": [{"path": world.path(name), "topic": name}]}
        self.configure(world.scratch, world.options.bin, "agent-" + name, self, more, properties, {"secrets": secrets})
