# SPDX-License-Identifier: Apache-2.0
"""The agent's half of kill_loop."""
import json
import os
import signal
import time

from log_stream import LiveReader, RotatingWriter, read_topic, say
from programs import CONFIG_KEY, Agent, DevBroker, Failure, Kafka, Scratch, Store, seeded, wait_for

TOPIC = "app"


def start_all(options, scratch):
    """A store, a Kafka with the topic, the agent with a list in the store, and the directory it follows."""
    logs = os.path.join(scratch.path, "logs")
    os.mkdir(logs)
    # Many partitions: the dev broker keeps 5 MiB of each.
    kafka = Kafka(scratch) if options.broker == "kafka" else DevBroker(scratch, options.bin, f"{TOPIC}:64")
    store = Store(scratch, options.bin)
    store.start_ready()
    kafka.start_ready()
    kafka.create(TOPIC)
    store.put(CONFIG_KEY, json.dumps([{"path": f"{logs}/app.log*", "topic": TOPIC}]))
    agent = Agent(scratch, options.bin, store, kafka)
    agent.start()
    agent.wait_running(TOPIC)
    return kafka, agent, logs


def wall_ms():
    return int(time.time() * 1000)


def kill_agent_in_loop(options, agent, random, kills):
    ready = []
    for cycle in range(options.cycles):
        delay = random.uniform(0.02, options.seconds)
        time.sleep(delay)
        agent.kill()
        kills.append(wall_ms())
        away = random.uniform(0, 0.5)
        time.sleep(away)
        began = time.monotonic()
        agent.start()
        # Every second cycle it may be killed before it is ready.
        if cycle % 2 == 0:
            agent.wait_running(TOPIC)
            ready.append(time.monotonic() - began)
        say(f"cycle {cycle + 1}: killed after {delay:.2f} s, away for {away:.2f} s"
            + (f", follows again after {ready[-1] * 1000:.0f} ms" if cycle % 2 == 0 else ""))
    return ready


def run_agent(options):
    random = seeded(options.seed)
    with Scratch("kill-agent") as scratch:
        kafka, agent, logs = start_all(options, scratch)
        rotate = options.rotate or (2 if options.broker == "kafka" else 0.1)
        writer = RotatingWriter(logs, options.rate * 1e6, rotate, int(options.keep / rotate))
        live = LiveReader(kafka, TOPIC, os.path.join(scratch.path, "arrived")) if options.broker == "dev" else None
        kills = []
        writer.start()
        try:
            ready = kill_agent_in_loop(options, agent, random, kills)
            time.sleep(1)
        finally:
            writer.stop()
        rate = writer.bytes / writer.seconds
        say(f"{writer.bytes / 1e6:.0f} MB in {writer.sequence} lines and {writer.stream + 1} files, "
            f"{rate / 1e6:.1f} MB/s for {writer.seconds:.0f} s")
        began = time.monotonic()
        agent.wait_delivered(TOPIC, writer.bytes, 300)
        say(f"no lag {time.monotonic() - began:.1f} s after the last line; start to following: "
            f"max {max(ready) * 1000:.0f} ms")
        if live:
            live.judge(writer.sequence, kills, rate)
        else:
            read_topic(kafka, TOPIC, writer.sequence, kills, rate)
    return 0


def run_frozen(options):
    with Scratch("kill-frozen") as scratch:
        kafka, agent, logs = start_all(options, scratch)
        # A file on its own, so that the topic is known and the producer connected when the broker stops.
        with open(os.path.join(logs, "app.log.first"), "wb", buffering=0) as out:
            writer = RotatingWriter(logs, 0, 0, 0)
            writer.append(out, 100000)
        agent.wait_delivered(TOPIC, writer.bytes, 30)
        kills = []
        kafka.signal(signal.SIGSTOP)
        writer.stream = 1
        with open(writer.path, "ab", buffering=0) as out:
            writer.append(out, options.megabytes * 1000000)
            in_flight = wait_for(lambda: agent.metric("sluice_agent_in_flight_bytes"), 20, "lines are in flight")
            # The pictures behind the page are 0.25 s old at most; the sockets to the broker are full by then.
            time.sleep(0.6)
            in_flight = agent.metric("sluice_agent_in_flight_bytes")
            state = [f for f in json.loads(agent.page("/debug/files")) if f["path"] == writer.path]
            agent.kill()
            kills.append(wall_ms())
        acked = state[0]["acked"] if state else 0
        say(f"killed with {in_flight / 1e6:.1f} MB in flight, {acked} of {os.path.getsize(writer.path)} bytes "
            "acknowledged, the broker frozen")
        if acked:
            raise Failure("the frozen broker acknowledged")
        agent.start()
        time.sleep(1)
        kafka.signal(signal.SIGCONT)
        agent.wait_delivered(TOPIC, writer.bytes, 120)
        read_topic(kafka, TOPIC, writer.sequence, kills, 0)
    return 0


