# SPDX-License-Identifier: Apache-2.0
"""Rows of broker_matrix: a real Kafka behind TLS and passwords, with certificates made by openssl where they are needed.

Listeners beside the plain one: TLS (a client certificate is wanted), OLD (TLS, whose certificate has expired), OTHER (TLS, whose
certificate is for another host), SASL (a password over TLS). What is wrong concerns the whole agent: the entry beside belongs
to another one.
"""
import os
import subprocess

from broker_world import SecureAgent, say
from programs import Failure, Kafka, free_ports, wait_for

KEY_PASSWORD = "of the key"
USER, PASSWORD = "agent", "of the agent"
LISTENERS = {"TLS": "SSL", "OLD": "SSL", "OTHER": "SSL", "SASL": "SASL_SSL"}


class Authority:
    """Signs certificates; its own is what a client trusts."""

    def __init__(self, directory, name):
        self._directory, self._name = directory, name
        self.certificate = self._path("pem")
        self._key = self._path("key")
        openssl("req", "-x509", *NEW_KEY, "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", self._key, "-out",
                self.certificate)

    def issue(self, name, days=2, host="IP:127.0.0.1", subject=None):
        """(certificate, key) for a server or a client; expired when the days are negative."""
        base = os.path.join(self._directory, name)
        certificate, key, request, names = (f"{base}.{end}" for end in ("crt", "key", "csr", "names"))
        openssl("req", "-new", *NEW_KEY, "-nodes", "-subj", f"/CN={subject or name}", "-keyout", key, "-out",
                request)
        with open(names, "w", encoding="ascii") as out:
            out.write(f"subjectAltName={host}\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days",
                str(days), "-extfile", names, "-out", certificate)
        return certificate, key

    def key_store(self, name, **more):
        """One file with key and certificate, as Kafka wants it."""
        certificate, key = self.issue(name, **more)
        path = os.path.join(self._directory, f"{name}.store.pem")
        with open(path, "w", encoding="ascii") as out:
            for part in (key, certificate):
                with open(part, encoding="ascii") as source:
                    out.write(source.read())
        return path

    def _path(self, end):
        return os.path.join(self._directory, f"{self._name}.{end}")


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failure(f"openssl {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")


def lock_key(key, password):
    """The same key, encrypted."""
    locked = key + ".locked"
    openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", key, "-passout", f"pass:{password}", "-out", locked)
    return locked


class SecureKafka(Kafka):
    """Reached in clear by the tests and by the entry beside, in the other ways by the agents that are judged."""

    def __init__(self, scratch, authority):
        ports = dict(zip(LISTENERS, free_ports(len(LISTENERS))))
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        stores = {"TLS": authority.key_store("broker"), "OLD": authority.key_store("old", days=-1),
                  "OTHER": authority.key_store("other", host="DNS:other.example"), "SASL": authority.key_store("sasl")}
        super().__init__(scratch)
        self.argv += self._properties(ports, stores, authority)

    def _properties(self, ports, stores, authority):
        own = {"PLAINTEXT": self.port, **ports}
        controller = f"CONTROLLER://127.0.0.1:{self.port + 1}"
        addresses = ",".join(f"{name}://127.0.0.1:{port}" for name, port in own.items())
        protocols = {"CONTROLLER": "PLAINTEXT", "PLAINTEXT": "PLAINTEXT", **LISTENERS}
        properties = [f"listeners={addresses},{controller}", f"advertised.listeners={addresses}",
                      "listener.security.protocol.map=" + ",".join(f"{a}:{b}" for a, b in protocols.items()),
                      "sasl.enabled.mechanisms=PLAIN",
                      "listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule "
                      f'required user_{USER}="{PASSWORD}";']
        for name, store in stores.items():
            prefix = f"listener.name.{name.lower()}."
            properties += [f"{prefix}ssl.keystore.type=PEM", f"{prefix}ssl.keystore.location={store}",
                           f"{prefix}ssl.truststore.type=PEM", f"{prefix}ssl.truststore.location={authority.certificate}"]
        return [*properties, "listener.name.tls.ssl.client.auth=required"]


class Row:
    """One agent that cannot deliver, then can."""

    def __init__(self, world, name):
        self._world, self._name = world, name
        self._properties, self._secrets, self._environment = {}, {}, {}
        self._agent = None

    def start(self, listener, properties, secrets=None, environment=None):
        protocol = LISTENERS[listener].lower()
        world = self._world
        self._agent = SecureAgent(world, self._name, world.kafka.addresses[listener],
                                  {"security.protocol": protocol, **properties}, secrets or {})
        self._agent.environment = environment or {}
        self._agent.start()
        wait_for(self._looked, 30, "the entry is looked at")
        return self

    def _looked(self):
        """A file that is there at the first look is followed from its end."""
        entry = self._agent.entries().get(self._name)
        return entry is not None and entry.get("text") != "is starting"

    def refused(self, text):
        """Its lines stay in the file, and its entry says why."""
        world = self._world
        if self._name not in world.written:
            world.kafka.create(self._name)
        world.write(self._name, 20)
        said = world.wait_state(self._name, "PAUSED", text, agent=self._agent)
        say(f"    {said}")
        if PASSWORD in said or KEY_PASSWORD in said:
            raise Failure("a secret is in the text")
        world.beside_goes_on()
        if world.there(self._name):
            raise Failure("a line arrived that way")
        return self

    def delivers(self):
        world = self._world
        world.write(self._name, 5)
        world.wait_state(self._name, "RUNNING", "", agent=self._agent)
        world.wait_all(self._name)
        self._agent.stop()

    def again(self, *arguments, **named):
        """The operator sets it right and starts the agent again."""
        self._agent.stop()
        self.start(*arguments, **named)
        self.delivers()


def renew(world, listener, **more):
    """A new certificate for a listener that goes on: Kafka wants the subject and names of the former one in it."""
    name = listener.lower()
    store = world.authority.key_store(f"new_{name}", subject=name, **more)
    world.config_command("brokers", "1", "--add-config", f"listener.name.{name}.ssl.keystore.location={store}")


def trusting(authority):
    return {"ssl.ca.location": authority.certificate}


def with_certificate(world, name):
    """The client's certificate, its key encrypted, the password in the environment."""
    certificate, key = world.authority.issue(name)
    return ({**trusting(world.authority), "ssl.certificate.location": certificate,
             "ssl.key.location": lock_key(key, KEY_PASSWORD)}, {"ssl.key.password": "env:KEY_PASSWORD"},
            {"KEY_PASSWORD": KEY_PASSWORD})


def with_password(world, password):
    """In a file."""
    path = os.path.join(world.scratch.path, "password")
    with open(path, "w", encoding="ascii") as out:
        out.write(password + "\n")
    return ({**trusting(world.authority), "sasl.mechanism": "PLAIN", "sasl.username": USER},
            {"sasl.password": f"file:{path}"})


def row_wrong_ca(world):
    stranger = Authority(world.scratch.path, "stranger")
    right = with_certificate(world, "client")
    Row(world, "wrong_ca").start("TLS", trusting(stranger)).refused("ssl.ca.location").again("TLS", *right)


def row_no_certificate(world):
    right = with_certificate(world, "late")
    Row(world, "no_certificate").start("TLS", trusting(world.authority)).refused("SSL").again("TLS", *right)


def row_expired(world):
    """The broker's certificate; with a new one the agent goes on by itself."""
    row = Row(world, "expired").start("OLD", trusting(world.authority)).refused("certificate has expired")
    renew(world, "OLD")
    row.delivers()


def row_other_host(world):
    row = Row(world, "other_host").start("OTHER", trusting(world.authority)).refused("mismatch")
    renew(world, "OTHER", host="DNS:other.example,IP:127.0.0.1")
    row.delivers()


def row_wrong_password(world):
    row = Row(world, "wrong_password").start("SASL", *with_password(world, "guessed")).refused("uthentication failed")
    row.again("SASL", *with_password(world, PASSWORD))


ROWS = {"wrong_ca": row_wrong_ca, "no_certificate": row_no_certificate, "expired": row_expired, "other_host": row_other_host,
        "wrong_password": row_wrong_password}
