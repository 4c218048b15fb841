// SPDX-License-Identifier: MIT
// Hours and days say what the runs say: counts, sums and extremes exactly, and
// percentiles within 1 %, however they were put together.
#include <gtest/gtest.h>

#include "tests/support/database.h"
#include "tests/support/runs.h"

namespace {

using test::Database;

constexpr auto kMerge = R"(
    CREATE AGGREGATE pg_temp.merge (metrics.sketch) (
        sfunc = metrics.sketch_add, stype = metrics.sketch,
        initcond = '({},{})'))";

// Samples of many distributions and sizes, each cut into a few random parts.
constexpr auto kSamples = R"(
    DROP TABLE IF EXISTS samples;
    CREATE TEMP TABLE samples AS
    SELECT name, size, floor(random() * parts)::int AS part,
           least(greatest(round(CASE name
               WHEN 'uniform' THEN u * 10000
               WHEN 'exponential' THEN -ln(1 - u) * 700
               WHEN 'lognormal 0.3' THEN 1000 * exp(0.3 * normal)
               WHEN 'lognormal 1' THEN 1000 * exp(normal)
               WHEN 'lognormal 3' THEN 1000 * exp(3 * normal)
               WHEN 'pareto' THEN 10 / power(1 - u, 1 / 1.1)
               WHEN 'constant' THEN 777
               WHEN 'bimodal' THEN CASE WHEN u < 0.95 THEN 20 + 5 * v
                                        ELSE 60000 + 900 * v END
               WHEN 'tiny' THEN floor(u * 6)
               WHEN 'zeros' THEN CASE WHEN u < 0.6 THEN 0 ELSE v * 50 END
               WHEN 'huge' THEN 1e12 * u
               END::numeric), 0), 1e12)::bigint AS ms
    FROM (SELECT *, random() AS u, random() AS v,
                 sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())
                     AS normal
          FROM unnest('{uniform,exponential,lognormal 0.3,lognormal 1,
                        lognormal 3,pareto,constant,bimodal,tiny,zeros,huge}'
                      ::text[]) AS name,
               (SELECT size, 1 + floor(random() * 7)::int AS parts
                FROM unnest('{1,2,3,7,20,100,999,5000}'::int[] ||
                            CASE WHEN random() < 0.25 THEN 20000 ELSE 1500 END)
                     AS size) AS sizes,
               LATERAL generate_series(1, size)) AS random_numbers)";

// What is more than 1 % (and a rounding error) away.
constexpr auto kAstray = R"(
    WITH ranks AS (
        SELECT '{0,0.01,0.25,0.5,0.75,0.9,0.95,0.99,0.999,1}'::numeric[] AS r
    ), parts AS (
        SELECT name, size, part,
               ROW(array_agg(bucket ORDER BY bucket),
                   array_agg(n ORDER BY bucket))::metrics.sketch AS sketch
        FROM (SELECT name, size, part, metrics.sketch_bucket(ms) AS bucket,
                     count(*) AS n
              FROM samples GROUP BY 1, 2, 3, 4) AS cells
        GROUP BY 1, 2, 3
    ), merged AS (
        SELECT name, size, metrics.sketch_percentiles(
                   pg_temp.merge(sketch ORDER BY random()), r) AS found
        FROM parts, ranks GROUP BY name, size, r
    ), truth AS (
        SELECT name, size, percentile_disc(r::float8[])
                   WITHIN GROUP (ORDER BY ms) AS expected
        FROM samples, ranks GROUP BY name, size, r
    )
    SELECT string_agg(format('%s of %s at %s: %s and not %s', name, size,
                             rank, y, x), E'\n')
    FROM merged JOIN truth USING (name, size), ranks,
         unnest(r, expected, found) AS u (rank, x, y)
    WHERE abs(y - x) <= 0.0100000001 * x IS NOT TRUE)";

TEST(Sketch, IsWithinOnePercentHoweverItWasPutTogether) {
  Database db;
  db.Exec(kMerge);
  for (int seed = 1; seed <= 8; ++seed) {
    db.Exec("SELECT setseed(0.01 * " + std::to_string(seed) + ")");
    db.Exec(kSamples);
    EXPECT_EQ(db.Exec(kAstray), "") << "seed " << seed;
  }
}

TEST(Sketch, MergesInAnyOrderAndWithNothing) {
  Database db;
  EXPECT_EQ(db.Exec(R"(
      SELECT setseed(0.5);
      WITH sketches AS MATERIALIZED (
          SELECT i, ROW(array_agg(bucket ORDER BY bucket),
                        array_agg(n ORDER BY bucket))::metrics.sketch AS s
          FROM (SELECT i, floor(random() * 60 - 1)::smallint AS bucket,
                       sum(1 + floor(random() * 1e9))::bigint AS n
                FROM generate_series(1, 14) AS i, generate_series(1, i * i)
                GROUP BY 1, 2) AS cells
          GROUP BY i
          UNION ALL SELECT 0, '({},{})'
      )
      SELECT count(*)
      FROM sketches AS x, sketches AS y, sketches AS z
      WHERE metrics.sketch_add(x.s, y.s) <> metrics.sketch_add(y.s, x.s)
         OR metrics.sketch_add(metrics.sketch_add(x.s, y.s), z.s)
            <> metrics.sketch_add(x.s, metrics.sketch_add(y.s, z.s))
         OR metrics.sketch_add(x.s, '({},{})') <> x.s)"),
            "0");
  EXPECT_EQ(db.Exec("SELECT metrics.sketch_percentiles("
                    "'({},{})', '{0,0.5,1}')"),
            "{NULL,NULL,NULL}");
}

TEST(Sketch, TakesEveryDurationThereCanBe) {
  Database db;
  EXPECT_EQ(db.Exec(R"(
      SELECT count(*)
      FROM (SELECT ms, metrics.sketch_value(metrics.sketch_bucket(ms)) AS found
            FROM unnest('{0,1,2,3,9223372036854775807}'::bigint[]
                        || array(SELECT (2::numeric ^ i)::bigint + d
                                 FROM generate_series(1, 62) AS i,
                                      generate_series(-1, 1) AS d)) AS ms)
           AS durations
      WHERE abs(found - ms) <= 0.0100000001 * ms IS NOT TRUE)"),
            "0");
  EXPECT_EQ(db.Exec("SELECT metrics.sketch_value("
                    "metrics.sketch_bucket(-5))"),
            "0");
}

// Three workflows of two projects of one owner, and runs of the last nine days
// that ended up to the hour now past, at whole hours and midnights too.
constexpr auto kNineDays = R"(
    SELECT setseed(0.25);
    INSERT INTO projects (id, owner, name)
    SELECT gen_random_uuid(), '00000000-0000-0000-0000-0000000000aa', 'P'
    FROM generate_series(1, 2);
    INSERT INTO workflow_definitions (project_id, slug, name)
    SELECT id, i, i FROM projects, generate_series(1, 2) AS i;
    DELETE FROM workflow_definitions
    WHERE id = (SELECT max(id::text)::uuid FROM workflow_definitions);
    INSERT INTO workflow_runs
        (project_id, workflow_id, status, started_at, finished_at)
    SELECT project_id, id,
           (ARRAY['succeeded', 'succeeded', 'failed', 'canceled'])
               [1 + floor(random() * 4)],
           ended - 2000 * exp(3 * random() - 1) * interval '1 ms', ended
    FROM workflow_definitions,
         LATERAL (SELECT date_trunc('hour', now()) - random() * random()
                         * (interval '9 days' + length(slug) * interval '0 s')
                  FROM generate_series(1, 1200)
                  UNION ALL
                  SELECT date_trunc('hour', now()) - i * interval '1 hour'
                  FROM generate_series(1, 60) AS i
                  UNION ALL
                  SELECT date_trunc('day', now(), 'UTC') - i * interval '1 day'
                  FROM generate_series(0, 8) AS i) AS t (ended))";

class Trends : public testing::Test {
 protected:
  Trends() { db_.Exec(kNineDays); }
  // In small parts, by a session far from UTC.
  void Fold() {
    db_.Exec("SET timezone = 'America/St_Johns'");
    while (db_.Exec("SELECT metrics.fold_trends(500)") != "0") continue;
    while (db_.Exec("SELECT metrics.fold()") != "0") continue;
    db_.Exec("RESET timezone");
  }

  Database db_;
};

// Buckets of a trend table that differ from the runs, in any column.
std::string Differences(Database& db, const std::string& table,
                        const std::string& key, const std::string& unit) {
  return db.Exec(R"(
      SELECT count(*)
      FROM (SELECT )" +
                 key + " AS id, date_trunc('" + unit +
                 R"(', finished_at, 'UTC') AS start,
                   count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
                   count(*) FILTER (WHERE status = 'failed') AS failed,
                   count(*) FILTER (WHERE status = 'canceled') AS canceled,
                   count(ms) AS timed,
                   coalesce(sum(ms), 0) AS total, min(ms) AS fastest,
                   max(ms) AS slowest, percentile_disc('{0,0.5,0.9,0.99,1}'
                       ::float8[]) WITHIN GROUP (ORDER BY ms) AS expected
            FROM (SELECT *, CASE WHEN status <> 'canceled' THEN
                     metrics.run_duration_ms(started_at, finished_at) END AS ms
                  FROM workflow_runs) AS runs
            GROUP BY 1, 2) AS truth
      FULL JOIN metrics.)" +
                 table + " AS t ON t." + key + R"( = truth.id
          AND t.bucket_start = truth.start
      WHERE (succeeded, failed, canceled, total, fastest, slowest, timed)
            IS DISTINCT FROM
            (success_count, failure_count, canceled_count, duration_sum_ms,
             duration_min_ms, duration_max_ms,
             (SELECT coalesce(sum(n), 0) FROM unnest((durations).counts) AS n))
         OR EXISTS (
             SELECT FROM unnest(expected, metrics.sketch_percentiles(
                 durations, '{0,0.5,0.9,0.99,1}')) AS p (x, y)
             WHERE timed > 0 AND abs(y - x) <= 0.0100000001 * x IS NOT TRUE))");
}

TEST_F(Trends, EqualTheRunsOfEachHourAndDay) {
  Fold();
  EXPECT_EQ(Differences(db_, "workflow_metrics_hourly", "workflow_id", "hour"),
            "0");
  EXPECT_EQ(Differences(db_, "workflow_metrics_daily", "workflow_id", "day"),
            "0");
  EXPECT_EQ(Differences(db_, "project_metrics_daily", "project_id", "day"),
            "0");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.verify()"), "0");
}

TEST_F(Trends, EqualTheRunsOfAnyRange) {
  Fold();
  db_.Exec(R"(SET request.jwt.claims =
              '{"sub": "00000000-0000-0000-0000-0000000000aa"}')");
  EXPECT_EQ(db_.Exec(R"(
      SELECT setseed(0.75);
      WITH ranges AS MATERIALIZED (
          SELECT least(x, y) AS since, greatest(x, y) AS until,
                 CASE WHEN random() < 0.5 THEN w.id END AS workflow
          FROM (SELECT date_trunc('hour', now())
                       - floor(random() * 230) * interval '1 hour' AS x,
                       date_trunc('hour', now())
                       - floor(random() * random() * 230) * interval '1 hour'
                           AS y
                FROM generate_series(1, 40)) AS ends, workflow_definitions AS w
          UNION ALL SELECT NULL, NULL, NULL
          UNION ALL SELECT NULL, NULL, id FROM workflow_definitions
          UNION ALL SELECT now() - interval '3 days', NULL, NULL
      )
      SELECT string_agg(format('%s %s %s: %s, not %s', since, until, workflow,
                               found, truth), E'\n')
      FROM ranges,
           LATERAL (SELECT execution_count, success_count, failure_count,
                           canceled_count, average_duration, min_duration,
                           max_duration
                    FROM metrics.my_execution_times(workflow, since, until))
               AS found,
           LATERAL (SELECT median_duration AS p50, p95_duration AS p95,
                           p99_duration AS p99
                    FROM metrics.my_execution_times(workflow, since, until))
               AS ranks,
           LATERAL (SELECT count(*),
                           count(*) FILTER (WHERE status = 'succeeded'),
                           count(*) FILTER (WHERE status = 'failed'),
                           count(*) FILTER (WHERE status = 'canceled'),
                           sum(ms) / nullif(count(ms), 0), min(ms)::bigint, max(ms)::bigint
                    FROM (SELECT *, CASE WHEN status <> 'canceled'
                                    THEN metrics.run_duration_ms(
                                        started_at, finished_at)::numeric
                                    END AS ms FROM workflow_runs) AS r
                    WHERE (workflow IS NULL OR workflow_id = workflow)
                      AND finished_at >= coalesce(
                          date_trunc('hour', since), '-infinity')
                      AND finished_at < coalesce(until, 'infinity'))
               AS truth (a, b, c, d, e, f, g),
           LATERAL (SELECT percentile_disc('{0.5,0.95,0.99}'::float8[])
                           WITHIN GROUP (ORDER BY metrics.run_duration_ms(
                               started_at, finished_at)) AS p
                    FROM workflow_runs
                    WHERE status <> 'canceled'
                      AND (workflow IS NULL OR workflow_id = workflow)
                      AND finished_at >= coalesce(
                          date_trunc('hour', since), '-infinity')
                      AND finished_at < coalesce(until, 'infinity'))
               AS true_ranks
      WHERE found IS DISTINCT FROM truth
         OR (truth.g IS NOT NULL
             AND (abs(p50 - p[1]) <= 0.0100000001 * p[1]
                  AND abs(p95 - p[2]) <= 0.0100000001 * p[2]
                  AND abs(p99 - p[3]) <= 0.0100000001 * p[3]) IS NOT TRUE))"),
            "");
}

TEST_F(Trends, GiveTheViewItsWindows) {
  Fold();
  // Within one transaction both mean the same by now.
  db_.Exec("BEGIN; SELECT metrics.refresh_if_due()");
  EXPECT_EQ(db_.Exec(R"(
      SELECT count(*)
      FROM (SELECT workflow_id, count(*) AS runs,
                   count(*) FILTER (WHERE finished_at
                                          >= now() - interval '1 hour') AS h1,
                   count(*) FILTER (WHERE finished_at
                                          >= now() - interval '24 h') AS h24,
                   count(*) FILTER (WHERE finished_at
                                          >= now() - interval '7 days') AS d7
            FROM workflow_runs GROUP BY 1) AS truth
      FULL JOIN metrics.mv_workflow_metrics AS m USING (workflow_id)
      WHERE (runs, h1, h24, d7) IS DISTINCT FROM
            (execution_count, execution_count_1h, execution_count_24h,
             execution_count_7d))"),
            "0");
  db_.Exec("COMMIT");
}

}  // namespace
