#!/usr/bin/env python3
"""DuckDB, asked for the reports over the archive's own files: the other side of `benches/archive.rs`.

Reads a question a line, JSON on the standard input, and answers a line each:

    {"columns": [files]}                                       what each column takes, and how it is encoded
    {"files", "tables", "begins", "ends", "threads"}           what is asked from now on
    {"sql": path, "ours": path or null}                        a report: seconds, rows, and how it differs from ours,
                                                               or why DuckDB cannot make it

The SQL is that of analytics/src/reports, where the two engines have other words for the same put into DuckDB's.
"""

import json
import re
import sys
import time

import duckdb

# What DuckDB calls otherwise: reserved words, whole division, the milliseconds of an instant, quantiles, cells as text.
WORDS = [
    (r"\bat\b", '"at"'),
    (r"CAST\((\S+at\"?) AS BIGINT\) / (\d+)", r"epoch_ms(\1) // \2"),
    (r"CAST\((\S+at\"?) AS BIGINT\)", r"epoch_ms(\1)"),
    (r"percentile_cont\(", "quantile_cont("),
    (r"arrow_cast\((.+?), 'Timestamp.+?'\)", r"make_timestamptz(1000 * (\1))"),
    (r"h3_text\((\S+)\)", r"format('{:x}', \1)"),
    # Cells whose middle is near a position: of those around its own, as a table has them.
    (
        r"unnest\(h3_near\(cell, lat_e7, lon_e7, (\d+)\)\) AS cell\s+FROM positions\s+WHERE",
        r"beside AS cell FROM positions JOIN rings ON middle_of = cell WHERE metres(lat_e7, lon_e7, x, y, z) <= \1 AND",
    ),
    (r"served\.hour / 24", "served.hour // 24"),
    (r"\bboth\b", "both_sides"),
]
# analytics/src/limits.rs: below how many contributors reports tell nothing. Another number would tell other rows.
FEWEST = 5
# The square of the eccentricity of the ellipsoid.
FLAT = (2 - 1 / 298.257223563) / 298.257223563


def main():
    asked = duckdb.connect()
    asked.execute("SET TimeZone = 'UTC'")
    values = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "columns" in question:
            answer = columns(asked, question["columns"])
        elif "files" in question:
            answer = prepare(asked, question)
            hours = (question["ends"] - question["begins"]) // 3_600_000
            values = {"hours": hours, "fewest": FEWEST, **{name: instant(asked, question[name]) for name in ("begins", "ends")}}
        else:
            try:
                answer = report(asked, question, values)
            except duckdb.CatalogException as error:
                answer = {"failed": str(error).splitlines()[0]}
        print(json.dumps(answer), flush=True)


def instant(asked, ms):
    return asked.execute("SELECT make_timestamptz(1000 * ?)", [ms]).fetchall()[0][0]


def columns(asked, files):
    found = asked.execute(
        "SELECT path_in_schema, sum(total_compressed_size)::BIGINT, string_agg(DISTINCT encodings, '; ') "
        "FROM parquet_metadata($files) GROUP BY path_in_schema, column_id ORDER BY column_id",
        {"files": files},
    ).fetchall()
    return {"columns": [{"name": name, "bytes": size, "encodings": how} for name, size, how in found]}


def prepare(asked, question):
    asked.execute(f"SET threads = {question['threads']}")
    asked.execute("SET preserve_insertion_order = false")
    asked.execute("SET parquet_metadata_cache = true")
    names = ", ".join(f"'{name}'" for name in question["files"])
    asked.execute(f"CREATE VIEW positions AS SELECT * FROM read_parquet([{names}])")
    for table, path in question["tables"].items():
        asked.execute(f"CREATE TABLE {table} AS SELECT * FROM read_parquet('{path}')")
    # The straight line through the ellipsoid of WGS 84, as in engine/src/distance.rs.
    for axis, of in ("x", "cos(lat) * cos(lon)"), ("y", "cos(lat) * sin(lon)"), ("z", f"{1 - FLAT} * sin(lat)"):
        asked.execute(f"CREATE MACRO earth_{axis}(lat, lon) AS 6378137.0 / sqrt(1 - {FLAT} * sin(lat) ** 2) * {of}")
    squares = [f"(earth_{a}(radians(lat_e7 / 1e7), radians(lon_e7 / 1e7)) - {a}) ** 2" for a in "xyz"]
    asked.execute(f"CREATE MACRO metres(lat_e7, lon_e7, x, y, z) AS sqrt({' + '.join(squares)})")
    corners = ", ".join(f"earth_{axis}(lat, lon) AS {axis}" for axis in "xyz")
    asked.execute(f"CREATE OR REPLACE TABLE rings AS SELECT middle_of, beside, {corners} FROM rings")
    asked.execute("CREATE TABLE territory AS SELECT insee FROM towns")
    begins, ends = question["begins"], question["ends"]
    asked.execute(
        "CREATE TABLE days AS SELECT CAST(begins_at AS DATE) AS day, begins_at, begins_at + INTERVAL 1 DAY AS ends_at "
        f"FROM (SELECT make_timestamptz(1000 * ms) AS begins_at FROM range({begins}, {ends}, 86400000) AS t (ms))"
    )
    return {}


def report(asked, question, values):
    with open(question["sql"], encoding="utf-8") as file:
        sql = file.read()
    for ours, theirs in WORDS:
        sql = re.sub(ours, theirs, sql)
    used = {name: value for name, value in values.items() if f"${name}" in sql}
    began = time.perf_counter()
    rows = asked.sql(sql, params=used).to_arrow_table()
    answer = {"seconds": time.perf_counter() - began, "rows": rows.num_rows, "differs": None}
    if question["ours"]:
        answer["differs"] = differs(asked, rows, question["ours"])
    return answer


def differs(asked, theirs, path):
    """In which column rows differ, place by place, beyond adding in another order, and quantiles of ours, which lie
    between two values by millionths of their distance."""
    asked.register("theirs", theirs)
    ours = asked.sql(f"SELECT * FROM read_parquet('{path}')").to_arrow_table()
    if ours.num_rows != theirs.num_rows:
        return f"{ours.num_rows} rows of ours, {theirs.num_rows} of DuckDB's"
    for name, mine, other in zip(ours.column_names, ours.columns, theirs.columns):
        for row, (a, b) in enumerate(zip(mine.to_pylist(), other.to_pylist())):
            is_number = isinstance(a, (int, float)) and b is not None
            if abs(a - float(b)) > 1e-7 * abs(a) if is_number else a != b:
                return f"{name} of row {row} is {a}, and DuckDB's {b}"
    return None


if __name__ == "__main__":
    main()
