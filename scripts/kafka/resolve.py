#!/usr/bin/env python3
"""Writes `kafka.jars` beside this file: the jars a Kafka broker needs and their SHA-256.

Run by hand when the version changes:  resolve.py 4.4.0

Maven resolves the tree of the published POMs (its mediation of versions is not worth imitating) and checks
each download against the registry's own checksum; what it brought is then hashed, less the jars left out.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile

# Of the series that Kafka's own slf4j-api has: another would find no logger.
SLF4J = "1.7.36"

# Left out: reached only through features that a test broker does not use. Found by listing the classes loaded
# while a broker was formatted, started, used (every codec, transactions, both consumer protocols) and stopped.
LEFT_OUT = {
    "log4j-core": "slf4j-simple logs instead; log4j-api must stay, Kafka's code names it",
    "scala-reflect": "macros of scala-logging, expanded when Kafka was compiled",
    "caffeine": "index cache of tiered storage",
    "jspecify": "annotations, come with caffeine",
    "jose4j": "OAuth",
    "commons-beanutils": "XML rules of commons-validator; Kafka calls only its address checks",
    "commons-collections": "same",
    "commons-digester": "same",
    "commons-logging": "same",
    "jackson-dataformat-yaml": "configuration of log4j-core",
    "snakeyaml": "same",
    "jackson-datatype-jdk8": "output of tools that are not here",
}

POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafka</groupId><artifactId>tree</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{kafka}</version>
    </dependency>
    <!-- The command line tools, without the Kafka Connect server that they are published with. -->
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{kafka}</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>
    <!-- Logs to stderr without a configuration file. -->
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>{slf4j}</version>
    </dependency>
  </dependencies>
</project>
"""


def main() -> None:
    kafka = sys.argv[1]
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        (work / "pom.xml").write_text(POM.format(kafka=kafka, slf4j=SLF4J))
        goals = ["dependency:list", "dependency:copy-dependencies"]
        options = ["-DoutputFile=list", "-DoutputDirectory=jars", "-DincludeScope=runtime"]
        subprocess.run(["mvn", "-B", "-q", "--strict-checksums", *goals, *options], cwd=work, check=True)
        pinned = sorted(filter(None, map(pin(work / "jars"), (work / "list").read_text().splitlines())))
    header = f"# Made by resolve.py for Kafka {kafka}: SHA-256, then group:artifact:version.\n"
    target = pathlib.Path(__file__).with_name("kafka.jars")
    target.write_text(header + "".join(f"{sha}  {jar}\n" for jar, sha in pinned))


def pin(jars: pathlib.Path):
    """A function from a line of `dependency:list` to (coordinates, hash), or None."""

    def of_line(line: str):
        # group:artifact:jar:version:scope, and since plugin 3 a remark after it
        fields = line.split(" -- ")[0].strip().split(":")
        if len(fields) != 5 or fields[1] in LEFT_OUT:
            return None
        group, artifact, _, version, _ = fields
        content = (jars / f"{artifact}-{version}.jar").read_bytes()
        return f"{group}:{artifact}:{version}", hashlib.sha256(content).hexdigest()

    return of_line


if __name__ == "__main__":
    main()
