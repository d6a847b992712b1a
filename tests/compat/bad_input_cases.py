# SPDX-License-Identifier: Apache-2.0
"""The table: what people get wrong, and the one message that says so."""
import glob
import json
import os
import shutil
import urllib.request

from bad_input_world import RUNS, Case, read, wait_until

STORE = ("sluice-store --name one --data-dir @d@/data --listen-client-urls http://127.0.0.1:@a@ "
         "--advertise-client-urls http://127.0.0.1:@a@ --listen-peer-urls http://127.0.0.1:@b@ "
         "--initial-advertise-peer-urls http://127.0.0.1:@b@ --initial-cluster one=http://127.0.0.1:@b@ ")
AGENT = "sluice-agent --state-dir @d@/state --no-admin --ip 127.0.0.9 --agent-id bad "
CONTROL = "sluicectl --endpoints @store@ "
ERROR = r'"level":"(error|fatal)".*'


def copy_of(name):
    return lambda world, directory: shutil.copytree(world.data_directory(name), f"{directory}/data")


def foreign_log(world, directory):
    """The state of one member beside the log of another, which went further."""
    copy_of("one")(world, directory)
    other = world.data_directory("other", puts=9)
    shutil.rmtree(f"{directory}/data/member/wal")
    shutil.copytree(f"{other}/member/wal", f"{directory}/data/member/wal")


def held_state(world, directory):
    world.start(["sluice-agent", "-c", f"{directory}/agent.yaml", "--no-admin"], f"{directory}/first-agent")
    wait_until("the first agent has its state", lambda: os.path.exists(f"{directory}/state/checkpoint/LOCK"))
    wait_until("the first agent runs", lambda: "no state yet" in read(f"{directory}/first-agent.err"))


def make_file(world, directory):
    open(f"{directory}/data", "w", encoding="utf-8").close()


def make_read_only(world, directory):
    os.mkdir(f"{directory}/closed", 0o500)


def make_etcd_directory(world, directory):
    os.makedirs(f"{directory}/data/member/snap")
    open(f"{directory}/data/member/snap/db", "w", encoding="utf-8").close()


def without_log(world, directory):
    copy_of("one")(world, directory)
    shutil.rmtree(f"{directory}/data/member/wal")


def damage(where):
    def act(world, directory):
        copy_of("one")(world, directory)
        path = f"{directory}/data/member/wal/0000000000000001.wal"
        with open(path, "r+b") as file:
            at = file.read(1 << 20).index(where)
            file.seek(at)
            file.write(b"X")
    return act


def damage_header(*offsets):
    """Of every segment, at each of the offsets: a header stands twice, 2048 bytes apart."""
    def prepare(world, directory):
        copy_of("one")(world, directory)
        for path in glob.glob(f"{directory}/data/member/wal/*.wal"):
            with open(path, "r+b") as file:
                for offset in offsets:
                    file.seek(offset)
                    file.write(b"XXXX")
    return prepare


def without_state(world, directory):
    copy_of("one")(world, directory)
    os.remove(f"{directory}/data/member/STATE")


def damaged_state(world, directory):
    copy_of("one")(world, directory)
    with open(f"{directory}/data/member/STATE", "r+b") as file:
        file.seek(12)
        file.write(b"XXXXXXXX")


def unreadable(name):
    return lambda world, directory: os.chmod(f"{directory}/{name}", 0)


def store_answers(world, directory, values):
    def healthy():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{values['a']}/health", timeout=2) as answer:
                return json.load(answer)["health"] == "true"
        except OSError:
            return False
    wait_until("store answers", healthy)


def store_case(name, words, code, message, **more):
    return Case("store: " + name, STORE + words, code, message, **more)


STORE_CASES = [
    store_case("unknown flag", "--no-such-flag", 2, "^flag provided but not defined: -no-such-flag$", usage=True),
    store_case("flag without its value", "--log-level", 2, "^flag needs an argument: -log-level$", usage=True),
    store_case("text for a number", "--snapshot-count=many", 2,
               '^invalid value "many" for flag -snapshot-count: parse error$', usage=True),
    store_case("number too large", "--max-txn-ops=99999999999999999999", 2,
               '^invalid value "9{20}" for flag -max-txn-ops: value out of range$'.replace("9{20}", "9" * 20), usage=True),
    store_case("a word that is no flag", "serve", 1, "'serve' is not a valid flag"),
    store_case("URL without scheme", "--listen-client-urls 127.0.0.1:@a@", 2,
               "(?i)listen-client-urls: .*127.0.0.1", usage=True),
    store_case("URL without port", "--listen-client-urls http://127.0.0.1", 2, "(?i)listen-client-urls: .*http://127.0.0.1", usage=True),
    store_case("unknown log level", "--log-level=loud", 2, "unknown log level", usage=True),
    store_case("unknown cluster state", "--initial-cluster-state=old", 2,
               '^invalid value "old" for flag -initial-cluster-state: invalid value$', usage=True),
    store_case("unknown compaction mode", "--auto-compaction-mode=daily", 1, r'unknown auto-compaction-mode \\"daily\\"'),
    store_case("compaction keeps no duration", "--auto-compaction-retention=long", 1, r'\\"long\\" is neither hours nor a duration'),
    store_case("election shorter than heartbeats", "--election-timeout=200", 1, r"--election-timeout\[200ms\] should be at least"),
    store_case("heartbeat of zero", "--heartbeat-interval=0", 1, "--heartbeat-interval must be >0"),
    store_case("host name to listen on", "--listen-client-urls http://example.invalid:@a@", 1, "expected IP in URL for binding"),
    store_case("client port in use", "--listen-client-urls http://127.0.0.1:@busy@", 1,
               "--listen-client-urls: listen 127.0.0.1:@busy@: address already in use"),
    store_case("peer port in use", "--listen-peer-urls http://127.0.0.1:@busy@", 1,
               "--listen-peer-urls: listen 127.0.0.1:@busy@: address already in use"),
    store_case("cluster without this member", "--initial-cluster two=http://127.0.0.1:@b@", 1,
               'couldn\'t find local name .{1,2}one.{1,2} in the initial cluster'),
    store_case("cluster with a member twice", "--initial-cluster one=http://127.0.0.1:@b@,two=http://127.0.0.1:@b@", 1,
               "has duplicate url"),
    store_case("cluster with another URL", "--initial-cluster one=http://127.0.0.1:1", 1,
               "--initial-cluster has one=http://127.0.0.1:1 but --initial-advertise-peer-urls"),
    store_case("cluster that is no list", "--initial-cluster one", 1, "--initial-cluster: .*is not name=peer-url"),
    Case("store: listens elsewhere, advertises nothing", "sluice-store --data-dir @d@/data --listen-client-urls http://127.0.0.1:@a@", 1,
         "--advertise-client-urls is required when --listen-client-urls is set"),
    store_case("data dir is a file", "", 1, "cannot access data directory: .*@d@/data/member: Not a directory", prepare=make_file),
    store_case("data dir cannot be made", "--data-dir @d@/closed/data", 1, "@d@/closed/data.*[Pp]ermission denied",
               prepare=make_read_only),
    store_case("data dir of etcd", "", 1, "@d@/data is a data directory of etcd", prepare=make_etcd_directory),
    store_case("log directory lost", "", 1, ERROR + "the log lost its end", prepare=without_log),
    store_case("damaged entry that was synced", "", 1,
               ERROR + r"/0000000000000001.wal: damaged at offset \d+: no valid record, although synced up to",
               prepare=damage(b"damage-me-0")),
    store_case("one copy of each log header damaged", "", RUNS, "ready to serve", prepare=damage_header(16), also=store_answers),
    store_case("both copies of each log header damaged", "", 1, r"\.wal: damaged at offset \d+:", prepare=damage_header(16, 2064)),
    store_case("STATE lost", "", 1, "@d@/data/member/STATE is missing although state-1 exists", prepare=without_state),
    store_case("STATE damaged", "", 1, ERROR + "@d@/data/member/STATE is not readable", prepare=damaged_state),
    store_case("log of another cluster", "", 1, ERROR + "log and state are of different clusters", prepare=foreign_log),
    store_case("data dir of another cluster", "", RUNS, "belongs to another cluster than the bootstrap flags; it stays there",
               prepare=copy_of("one"), also=store_answers),
    store_case("data dir in use", "--data-dir @store_data@", RUNS, "in use by another process; waiting until it ends"),
    store_case("file that is not there", "--config-file @d@/none.yml", 1, "--config-file: .*none.yml"),
    store_case("file that is no YAML", "--config-file @d@/etcd.yml", 1, r"etcd.yml, line \d+: ", files={"etcd.yml": "name: [a\n"}),
    store_case("bad value in a file", "--config-file @d@/etcd.yml", 1,
               r'invalid value \\"x\\" for max-txn-ops \(.*etcd.yml, line 2\): parse error', files={"etcd.yml": "name: a\nmax-txn-ops: x\n"}),
    store_case("TLS, which is not there", "--cert-file=/x", 1, "--cert-file=/x is not supported: this release has no TLS; leave it out"),
    store_case("log to a place that is not there", "--log-outputs=@d@/a-file/log", 1, "^--log-outputs: .*a-file/log",
               files={"a-file": ""}),
    store_case("flag without effect", "--enable-v2", RUNS, "--enable-v2=true has no effect: this release has no v2 API",
               also=store_answers),
    store_case("URL for metrics in use", "--listen-metrics-urls http://127.0.0.1:@busy@", 1,
               ERROR + "--listen-metrics-urls: .*127.0.0.1:@busy@"),
    store_case("bad value in a variable", "", 1, r'invalid value \\"x\\" for ETCD_MAX_TXN_OPS: parse error', env={"ETCD_MAX_TXN_OPS": "x"}),
    store_case("flag and variable", "", 1, "conflicting environment variable is shadowed.*ETCD_NAME", env={"ETCD_NAME": "two"}),
    store_case("unknown variable", "", RUNS, "unrecognized environment variable: ETCD_NO_SUCH_THING", env={"ETCD_NO_SUCH_THING": "1"},
               also=store_answers),
]


def settings_case(name, text, message, code=1, file="agent.yaml", words="", **more):
    more.setdefault("files", {file: text})
    return Case("agent: " + name, f"{AGENT}-c @d@/{file} {words}", code, message, **more)


AGENT_CASES = [
    Case("agent: unknown flag", AGENT + "--no-such-flag", 2, "no-such-flag", usage=True),
    Case("agent: two ways of HTTP", AGENT + "--admin 127.0.0.1:1", 2, "^--admin excludes --no-admin$", usage=True),
    Case("agent: settings file missing", AGENT + "-c @d@/none.yaml", 1, "@d@/none.yaml.*No such file"),
    Case("agent: settings are a directory", AGENT + "-c @d@", 1, "^sluice-agent: read @d@: Is a directory$"),
    settings_case("settings unreadable", "{}", "@d@/agent.yaml.*[Pp]ermission denied", prepare=unreadable("agent.yaml")),
    settings_case("YAML error", "agent:\n  id: [a\n", "@d@/agent.yaml:3:1: "),
    settings_case("YAML with a tab", "agent:\n\tid: a\n", "@d@/agent.yaml:2:4: "),
    settings_case("settings are a list", "- a\n", "@d@/agent.yaml:1:1: the settings must be a mapping"),
    settings_case("unknown key", "agent:\n  idd: a\n", "@d@/agent.yaml:2:3: agent.idd: unknown key"),
    settings_case("unknown section", "agnet:\n  id: a\n", "@d@/agent.yaml:1:1: agnet: unknown key"),
    settings_case("list for a text", "agent:\n  id: [1]\n", "@d@/agent.yaml:2:7: agent.id: this must be a text"),
    settings_case("text for a size", "agent:\n  memory: lots\n", '@d@/agent.yaml:2:11: agent.memory: "lots" is not a size such as 64MiB'),
    settings_case("text for a duration", "store:\n  timeout: soon\n", '@d@/agent.yaml:2:12: store.timeout: "soon" is not a duration'),
    settings_case("brokers are a mapping", "kafka:\n  brokers: {a: b}\n", "@d@/agent.yaml:2:12: kafka.brokers: "),
    settings_case("bad log level", "log: {level: loud}\n", '@d@/agent.yaml:log.level: "loud" is none of debug, info, warn, error'),
    Case("agent: bad admin address", "sluice-agent -c @d@/agent.yaml --state-dir @d@/state --ip 127.0.0.9", 1,
         "^sluice-agent: nowhere:2112: ",
         files={"agent.yaml": "agent: {admin: nowhere}"}),
    settings_case("no broker", "kafka: {brokers: []}\n", "@d@/agent.yaml:kafka.brokers: at least one is needed"),
    settings_case("entry without topic", "entries:\n  - path: /tmp/x.log\n", "@d@/agent.yaml:2:5: .*topic"),
    settings_case("unknown Kafka property", "kafka:\n  properties: {no.such.thing: 1}\n",
                  "kafka.properties.no.such.thing: librdkafka has no such property"),
    settings_case("bad value of a Kafka property", "kafka:\n  properties: {acks: everybody}\n", "kafka.properties.acks: Invalid value"),
    settings_case("ini without a bracket", "[kafka\naddress=a:1\n", r"@d@/agent.ini:1:1: \[ without \]", file="agent.ini"),
    settings_case("ini line without value", "[kafka]\naddress\n", '@d@/agent.ini:2:1: "address" is neither', file="agent.ini"),
    settings_case("ini with an empty address", "[kafka]\naddress=\n", r"@d@/agent.ini:2:\d+: \[kafka\] address is empty", file="agent.ini"),
    settings_case("ini with a bad time-out", "[etcd]\ntimeout=soon\n", r"@d@/agent.ini:2:9: \[etcd\] timeout: .*is not a number of seconds",
                  file="agent.ini"),
    settings_case("ini setting nobody knows", "[etcd]\naddress=@store@\nno_such=1\n[kafka]\naddress=@broker@\n",
                  r"agent.ini:3:1: unknown setting \[etcd\] no_such is ignored", file="agent.ini", code=RUNS),
    Case("agent: --ip is no address", "sluice-agent --ip 300.1.1.1 --no-admin --state-dir @d@/state", 1,
         '^sluice-agent: agent.ip: "300.1.1.1" is no IP address$'),
    Case("agent: agent.ip is a name", "sluice-agent -c @d@/agent.yaml --no-admin --state-dir @d@/state", 1,
         '@d@/agent.yaml:agent.ip: "localhost" is no IP address$', files={"agent.yaml": "agent: {ip: localhost}\n"}),
    settings_case("store endpoint without port", "store: {endpoints: [127.0.0.1]}\n",
                  "@d@/agent.yaml:store.endpoints: 127.0.0.1: the port is missing$"),
    settings_case("key template with two addresses", "store: {config_key: /a/%s/b/%s}\n",
                  '@d@/agent.yaml:store.config_key: "/a/%s/b/%s" has %s twice'),
    Case("agent: state directory of a running agent", "sluice-agent -c @d@/agent.yaml --no-admin", 1,
         r"^sluice-agent: .*@d@/state.*: another agent is running \(pid \d+\)$", prepare=held_state,
         files={"agent.yaml": "agent: {id: twice, ip: 127.0.0.8, state_dir: @d@/state}\nstore: {endpoints: ['@store@']}\n"
                              "kafka: {brokers: ['@broker@']}\n"}),
    Case("agent: admin port in use", "sluice-agent -c @d@/agent.yaml", 1, "127.0.0.1:@busy@.*in use",
         files={"agent.yaml": "agent: {ip: 127.0.0.9, state_dir: @d@/state, admin: 127.0.0.1:@busy@}\n"
                              "store: {endpoints: ['@store@']}\n"}),
    Case("agent: state directory cannot be written", "sluice-agent -c @d@/agent.yaml --no-admin --state-dir @d@/closed/state", RUNS,
         '"msg":"the state directory cannot be used now.*@d@/closed/state.*[Pp]ermission denied', prepare=make_read_only,
         files={"agent.yaml": "agent: {id: closed, ip: 127.0.0.8}\nstore: {endpoints: ['@store@']}\nkafka: {brokers: ['@broker@']}\n"}),
    Case("agent check: list with an error", "sluice-agent -c @d@/agent.yaml check -f @d@/list", 1,
         '@d@/list:2:3: an entry must be an object', files={"agent.yaml": "{}", "list": '[{"path":"/a","topic":"t"},\n  1]'}),
    Case("agent check: no such list", "sluice-agent -c @d@/agent.yaml check -f @d@/none", 1, "@d@/none.*No such file",
         files={"agent.yaml": "{}"}),
]

CONTROL_CASES = [
    Case("control: unknown verb", CONTROL + "fetch a", 2, '^Error: unknown command "fetch', usage=True),
    Case("control: no verb", CONTROL, 2, "^usage: sluicectl", usage=True),
    Case("control: missing argument", CONTROL + "get", 2, "^Error: get command needs one argument"),
    Case("control: surplus argument", CONTROL + "compaction 1 2", 2, "^Error: compaction command needs 1 argument$"),
    Case("control: unknown flag", CONTROL + "get a --no-such-flag", 2, "no-such-flag", usage=True),
    Case("control: text for a number", CONTROL + "get a --rev x", 2, '^Error: invalid argument "x" for "--rev" flag', usage=True),
    Case("control: unknown output", CONTROL + "get a -w xml", 2, "^Error: unsupported output format$"),
    Case("control: bad duration", CONTROL + "get a --command-timeout soon", 2,
         '^Error: invalid argument "soon" for "--command-timeout" flag', usage=True),
    Case("control: bad variable", CONTROL + "get a", 2, "ETCDCTL_COMMAND_TIMEOUT", env={"ETCDCTL_COMMAND_TIMEOUT": "soon"}),
    Case("control: lease that is no number", CONTROL + "lease revoke zz", 2, '^Error: bad lease ID arg .*"zz"'),
    Case("control: lease that is not there", CONTROL + "lease revoke 123", 1, "requested lease not found"),
    Case("control: text for a boolean", CONTROL + "put --prev-kv=no a b", 2,
         '^Error: invalid argument "no" for "--prev-kv" flag', usage=True),
    Case("control: compaction of the future", CONTROL + "compaction 999999", 1, "required revision is a future revision"),
    Case("control: get of the future", CONTROL + "get a --rev 999999", 1, "required revision is a future revision"),
    Case("control: transaction nobody understands", CONTROL + "txn", 2,
         "^Error: malformed comparison: nonsense a$", stdin="nonsense a\n\n\n\n"),
    Case("control: nobody at the endpoint", "sluicectl --endpoints 127.0.0.1:@a@ --command-timeout 1s get a", 1,
         "^Error: no endpoint answers .127.0.0.1:@a@.$"),
    Case("control: host that is no address", CONTROL + "config set not-an-ip", 2, '^Error: "not-an-ip" is no IP address$', stdin="[]"),
    Case("control: set of a list without path", CONTROL + "config set 127.0.0.7", 1,
         'stdin:1:2: the entry has no path', stdin='[{"topic":"t"}]'),
    Case("control: set of no JSON", CONTROL + "config set 127.0.0.7", 1, "stdin:1:1: ", stdin="path=/a"),
    Case("control: set of no file", CONTROL + "config set 127.0.0.7 -f @d@/none", 1, "@d@/none.*No such file"),
    Case("control: set on an old revision", CONTROL + "config set 127.0.0.9 --base-rev 999999", 1, "--base-rev 999999", stdin="[]"),
    Case("control: get of no list", CONTROL + "config get 127.0.0.7", 1, "there is no list at /logagent/127.0.0.7/collect_config"),
    Case("control: check shows file, line and column", CONTROL + "config check @d@/list.json", 1, '^@d@/list.json:2:3: ',
         files={"list.json": '[{"path":"/a","topic":"t"},\n  1]'}),
    Case("control: check of YAML", CONTROL + "config check @d@/list.yaml", 1, "^@d@/list.yaml:2:5: entries.pth: unknown key$",
         files={"list.yaml": "entries:\n  - pth: /a\n    topic: t\n"}),
    Case("control: check warns of a relative path", CONTROL + "config check @d@/list.json", 0,
         '^warning: @d@/list.json:1:2: the path "logs/a.log" is relative: it is taken from the agent\'s working directory$',
         files={"list.json": '[{"path":"logs/a.log","topic":"t"}]'}),
    Case("control: check warns of an unknown member", CONTROL + "config check @d@/list.json", 0,
         '^warning: @d@/list.json:1:28: unknown member "colour" is ignored',
         files={"list.json": '[{"path":"/a","topic":"t", "colour":"red"}]'}),
]

BROKER_CASES = [
    Case("devbroker: unknown flag", "sluice-devbroker --no-such-flag=1", 2, "^sluice-devbroker: unknown flag --no-such-flag$"),
    Case("devbroker: flag without value", "sluice-devbroker --port", 2, "^sluice-devbroker: --port needs a value$"),
    Case("devbroker: no port", "sluice-devbroker --port=99999", 2, "--port: '99999' is not a port"),
    Case("devbroker: port in use", "sluice-devbroker --port @busy@", 1, "127.0.0.1:@busy@.*in use"),
    Case("devbroker: topic without partitions", "sluice-devbroker --port @a@ --topics a:", 2, "--topics: 'a:' is not name"),
    Case("devbroker: topic with zero partitions", "sluice-devbroker --port @a@ --topics a:0", 2, "--topics: 'a:0' is not name"),
    Case("devbroker: topic without name", "sluice-devbroker --port @a@ --topics :4", 2, "--topics: ':4' is not name"),
    Case("devbroker: no broker", "sluice-devbroker --port @a@ --brokers 0", 2, "--brokers: '0' is not a number from 1 to 16"),
]

CASES = STORE_CASES + AGENT_CASES + CONTROL_CASES + BROKER_CASES

# Lists that an operator puts while the agent runs: (what, text, error). The good entry goes on, the list before stays.
REFUSED_LISTS = [
    ("blank text", " ", "1:2: the text is empty"),
    ("JSON error at a position", '[{"path":"/a",\n  "topic" "t"}]', "2:11: .*where : should be"),
    ("text that ends", '[{"path":"/a","topic":"t"', r"1:26: the text ends"),
    ("object instead of array", '{"path":"/a","topic":"t"}', "1:1: the list must be an array of objects, this is an object"),
    ("two arrays", "[] []", "1:4: .*after the end"),
    ("comma at the end", '[{"path":"/a","topic":"t"},]', "1:28: .*where a value should begin"),
    ("comment", '// mine\n[]', "1:1: a comment"),
    ("byte order mark", "\ufeff[]", "1:1: a byte order mark"),
    ("entry that is a text", '["/a"]', "1:2: an entry must be an object"),
    ("entry without path", '[{"topic":"t"}]', '1:2: the entry has no path'),
    ("entry without topic", '[{"path":"/a"}]', '1:2: the entry has no topic'),
    ("empty path", '[{"path":"","topic":"t"}]', '1:2: the entry has no path'),
    ("path that is no text", '[{"path":7,"topic":"t"}]', '1:10: "path" must be a string, this is a number'),
    ("topic Kafka refuses", '[{"path":"/a","topic":"a b"}]', '1:2: the topic "a b" may only have letters'),
    ("topic too long", '[{"path":"/a","topic":"' + "t" * 250 + '"}]', '1:2: the topic has 250 bytes, Kafka takes at most 249'),
    ("glob without its end", '[{"path":"/a/[x","topic":"t"}]', r'1:2: the glob "/a/\[x" has a \[ without its \]'),
    ("path that ends in a slash", '[{"path":"/tmp/","topic":"t"}]', '1:2: the path "/tmp/" is a directory'),
    ("good entry beside a bad one", '[{"path":"@good@","topic":"good"},{"path":"/a"}]', r'1:\d+: the entry has no topic'),
    ("nested too deeply", "[" * 2000, r"1:\d+: the value is nested too deeply"),
]

# Lists that are taken although an entry of them cannot work: (what, other entry, its state).
TROUBLED_ENTRIES = [
    ("unreadable file", '{"path":"@files@/closed.log","topic":"other"}', "DENIED"),
    ("no file there", '{"path":"@files@/none.log","topic":"other"}', "NO_MATCH"),
    ("glob without matches", '{"path":"@files@/none*.log","topic":"other"}', "NO_MATCH"),
    ("directory that is not there", '{"path":"/no/such/place/x.log","topic":"other"}', "NO_MATCH"),
]
