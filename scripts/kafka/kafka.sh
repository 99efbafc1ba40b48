#!/usr/bin/env bash
# A real Apache Kafka for tests: one broker which is its own controller (KRaft), on loopback, without a container.
#
#   kafka.sh install DIR                    jars into DIR/jars, at the versions and hashes of `kafka.jars`
#   kafka.sh start DIR PORT [CONTROLLER]    broker on 127.0.0.1:PORT, its controller on PORT + 1 unless told
#   kafka.sh stop DIR                       ends it and waits; nothing to stop is no error
#
# In DIR: jars/ and the pom.xml that fetched them, data/, server.properties, log, pid. data/ is kept from one start to
# the next: remove it for an empty broker. Kafka leaves records to the page cache, which outlives a killed broker, not a
# machine. An outage is `kill -KILL $(cat DIR/pid)` and another start, or `kill -STOP` and `kill -CONT`.
#
# KAFKA_JARS names the jars of another DIR, for several brokers from one install; KAFKA_JAVA_OPTS replaces the JVM's.
# Topics are not created by use. Kafka's tools are among the jars; they log to stderr:
#   java -cp "DIR/jars/*" org.apache.kafka.tools.TopicCommand --bootstrap-server 127.0.0.1:PORT --create --topic NAME
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pins=$here/kafka.jars
start_limit_s=60
stop_limit_s=30
release_limit_s=5

main() {
    case "${1:-} $#" in
    "install 2") enter "$2"; install ;;
    "start 3") enter "$2"; start "$3" $(($3 + 1)) ;;
    "start 4") enter "$2"; start "$3" "$4" ;;
    "stop 2") enter "$2"; stop ;;
    *) die "usage: kafka.sh install DIR | start DIR PORT [CONTROLLER] | stop DIR" ;;
    esac
}

# Sets the names of what is in DIR, absolute: the broker is recognized by the path of its properties.
enter() {
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
    jars=${KAFKA_JARS:-$dir/jars}
    properties=$dir/server.properties
    # Little memory and a quick start rather than throughput. Log lines come from slf4j-simple; log4j's interface is
    # only there for Kafka's code to link with, and would complain that nothing is behind it.
    # shellcheck disable=SC2206 # the options are words
    java=(
        java ${KAFKA_JAVA_OPTS:--Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1}
        -Dlog4j2.loggerContextFactory=org.apache.logging.log4j.simple.SimpleLoggerContextFactory
        -Dorg.slf4j.simpleLogger.showDateTime=true -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS
        -cp "$jars/*"
    )
}

install() {
    need_java
    verify "$jars" 2>/dev/null && return
    command -v mvn >/dev/null || apt_install maven
    rm -rf "$jars.new"
    fetch "$jars.new"
    verify "$jars.new" || die "the jars are not those of $pins"
    # Only verified jars ever bear the final name, so that an interrupted install is begun again.
    rm -rf "$jars"
    mv "$jars.new" "$jars"
}

need_java() {
    command -v java >/dev/null || apt_install default-jre-headless
    local version
    version=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/.*java.specification.version = //p')
    [ "${version%%.*}" -ge 17 ] || die "Java $version is too old: Kafka's broker needs 17"
}

apt_install() {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null
}

# By Maven, and not by bare downloads: it knows from its own settings which registry to ask, and through which proxy.
# `copy` takes the listed artifacts alone, without their POMs' dependencies: resolve.py has followed those already.
fetch() {
    local item
    item='<artifactItem><groupId>\1</groupId><artifactId>\2</artifactId><version>\3</version></artifactItem>'
    {
        echo '<project><modelVersion>4.0.0</modelVersion><packaging>pom</packaging>'
        echo '<groupId>kafka</groupId><artifactId>jars</artifactId><version>1</version><build><plugins><plugin>'
        echo '<artifactId>maven-dependency-plugin</artifactId><version>3.8.1</version><configuration><artifactItems>'
        sed -n -E "s|^[0-9a-f]{64}  (.*):(.*):(.*)|$item|p" "$pins"
        echo '</artifactItems></configuration></plugin></plugins></build></project>'
    } >"$dir/pom.xml"
    mvn -B -q --strict-checksums -f "$dir/pom.xml" dependency:copy -DoutputDirectory="$1"
}

# True if the folder holds exactly the pinned jars: one more would be on the class path too.
verify() {
    local sums
    sums=$(sed -n -E 's|^([0-9a-f]{64}  ).*:(.*):(.*)|\1\2-\3.jar|p' "$pins")
    [ "$(find "$1" -type f | wc -l)" = "$(wc -l <<<"$sums")" ] &&
        (cd "$1" && sha256sum --check --quiet --strict <<<"$sums")
}

start() {
    local port=$1 controller=$2 pid deadline=$((SECONDS + start_limit_s))
    [ -d "$jars" ] || die "no jars in $jars: install first"
    ! running || die "already running, as process $(cat "$dir/pid")"
    await_free "$port"
    await_free "$controller"
    write_properties "$port" "$controller"
    [ -f "$dir/data/meta.properties" ] || format

    # A session of its own: an interrupt typed at the test's terminal must not end the broker before the test cleans up.
    setsid "${java[@]}" kafka.Kafka "$properties" </dev/null >>"$dir/log" 2>&1 &
    pid=$!
    echo "$pid" >"$dir/pid"
    # A broker opens its port last, when its controller has let it serve: to connect is to find it ready.
    until connects "$port"; do
        kill -0 "$pid" 2>/dev/null || die_with_log "the broker ended while it started"
        if [ "$SECONDS" -ge "$deadline" ]; then
            kill -KILL "$pid"
            die_with_log "the broker was not ready in $start_limit_s s"
        fi
        sleep 0.1
    done
}

write_properties() {
    cat >"$properties" <<END
process.roles=broker,controller
node.id=1
listeners=BROKER://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:$2
log.dirs=$dir/data

# A test names its topics: a misspelt one should fail.
auto.create.topics.enable=false

# One broker holds the only replica of everything.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# The defaults are 50 partitions each, made when the first group or transaction comes, which has to wait for them.
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.num.partitions=1

# A first consumer need not wait for others to join its group.
group.initial.rebalance.delay.ms=0

# A killed broker can register again only once its old session is over: 9 s by default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
END
}

# Gives data/ the identity that a broker demands. Done once: a second format is refused.
format() {
    local cluster
    # Kafka's form of a UUID, without the two signs that a command line could take for something else.
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=')
    "${java[@]}" kafka.tools.StorageTool format --standalone --cluster-id "$cluster" --config "$properties" \
        >"$dir/log" 2>&1 || die_with_log "the storage could not be formatted"
}

stop() {
    local pid deadline=$((SECONDS + stop_limit_s))
    if running; then
        pid=$(cat "$dir/pid")
        # A broker that a test has suspended hears the first signal only after the second.
        kill -TERM "$pid"
        kill -CONT "$pid"
        while running; do
            if [ "$SECONDS" -ge "$deadline" ]; then
                echo "kafka.sh: not ended in $stop_limit_s s, killed" >&2
                kill -KILL "$pid"
                deadline=$((SECONDS + stop_limit_s))
            fi
            sleep 0.05
        done
    fi
    rm -f "$dir/pid"
}

# True while the recorded process is this broker: its number may have gone to another since, and a dead one that
# nobody has waited for still has a number, but no command line.
running() {
    [ -f "$dir/pid" ] && grep -qzxF -- "$properties" "/proc/$(cat "$dir/pid")/cmdline" 2>/dev/null
}

# Another server's port would be taken for this broker's. A broker killed just now holds its ports a moment longer.
await_free() {
    local deadline=$((SECONDS + release_limit_s))
    while connects "$1"; do
        [ "$SECONDS" -lt "$deadline" ] || die "port $1 is taken"
        sleep 0.05
    done
}

connects() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

die_with_log() {
    tail -n 20 "$dir/log" >&2
    die "$1; more in $dir/log"
}

die() {
    echo "kafka.sh: $1" >&2
    exit 1
}

main "$@"
