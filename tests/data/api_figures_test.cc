// SPDX-License-Identifier: MIT
// The API's numbers are those of the runs: counts, sums and extremes exactly,
// percentiles within 1 %, by whatever parts a range is put together.
#include "tests/support/tenants.h"

namespace {

using test::Exec;

// In what a Period differs from the runs of those that `whose` allows, in the
// range that the answer names; "" where it does not.
constexpr auto kDiffers = R"(
    WITH answer AS (SELECT ANSWER::jsonb AS a),
    found AS (
        SELECT p.* FROM answer, jsonb_to_record(a -> 'period') AS p (
            execution_count bigint, success_count bigint, failure_count bigint,
            canceled_count bigint, success_rate numeric, failure_rate numeric,
            average_duration numeric, min_duration numeric,
            median_duration numeric, p95_duration numeric,
            p99_duration numeric, max_duration numeric)
    ), truth AS (
        SELECT count(*) AS n, count(*) FILTER (WHERE status = 'succeeded') AS s,
               count(*) FILTER (WHERE status = 'failed') AS f,
               count(*) FILTER (WHERE status = 'canceled') AS c,
               round(avg(ms), 3) AS mean, min(ms) AS least, max(ms) AS most,
               percentile_disc('{0.5,0.95,0.99}'::float8[])
                   WITHIN GROUP (ORDER BY ms) AS ranks
        FROM (SELECT *, CASE WHEN status <> 'canceled' THEN
                  metrics.run_duration_ms(started_at, finished_at)::numeric
                  END AS ms
              FROM answer, workflow_runs
              WHERE finished_at >= (a #>> '{range,start_date}')::timestamptz
                AND finished_at < (a #>> '{range,end_date}')::timestamptz
                AND WHOSE) AS runs
    )
    SELECT CASE WHEN (execution_count, success_count, failure_count,
                      canceled_count, success_rate, failure_rate,
                      average_duration, min_duration, max_duration)
                     IS DISTINCT FROM
                     (n, s, f, c, round(s::numeric / nullif(s + f, 0), 6),
                      round(f::numeric / nullif(s + f, 0), 6), mean, least,
                      most)
                  OR EXISTS (
                      SELECT FROM unnest(
                          ranks, ARRAY[median_duration, p95_duration,
                                       p99_duration]::float8[]) AS r (x, y)
                      WHERE s + f > 0 AND abs(y - x) <= 0.0101 * x IS NOT TRUE)
                THEN format('%s, not %s', found, truth) ELSE '' END
    FROM found, truth)";

class ApiFigures : public test::TwoTenants {
 protected:
  std::string Differs(const std::string& answer, const std::string& whose) {
    std::string sql = kDiffers;
    sql.replace(sql.find("ANSWER"), 6, Quoted(answer));
    sql.replace(sql.find("WHOSE"), 5, whose);
    return db_.Exec(sql);
  }
  static std::string InProjects(const std::string& like) {
    return "project_id::text LIKE '%" + like + "'";
  }
  // A time that long ago, as JSON.
  std::string Ago(const std::string& interval) {
    return db_.Exec("SELECT to_jsonb(now() - interval '" + interval + "')");
  }
  std::string Range(const std::string& since, const std::string& until) {
    return "\"start_date\": " + Ago(since) + ", \"end_date\": " + Ago(until);
  }
  // Each kind of range and each kind of scope.
  void ExpectTruth() {
    auto ada = User(kAda);
    auto all = Operator();
    for (const auto& range :
         {std::string("\"limit\": 1"), Range("7 days", "0"),
          Range("45 days 5 hours", "0"), Range("40 days", "3 days 7 hours"),
          Range("3 days", "2 days 20 hours"), Range("90 minutes", "10 minutes"),
          Range("1 microsecond", "-3 days"), Range("399 days", "60 days"),
          "\"end_date\": " + Ago("1 day")}) {
      const auto request = "{" + range + "}";
      for (const std::string function : {"overview", "execution_times"}) {
        EXPECT_EQ(Differs(Answer(ada, function, request), InProjects("a_")), "")
            << function << request;
        EXPECT_EQ(Differs(Answer(all, function, request), "true"), "")
            << function << request;
        EXPECT_EQ(Differs(Answer(ada, function,
                                 Of("project_id", Project("a2"), range)),
                          InProjects("a2")),
                  "")
            << function << request;
      }
      for (const std::string function : {"workflow", "execution_times"}) {
        EXPECT_EQ(Differs(Answer(ada, function,
                                 Of("workflow_id", Workflow("a4"), range)),
                          "workflow_id::text LIKE '%a4'"),
                  "")
            << function << request;
      }
    }
  }
};

TEST_F(ApiFigures, AreThoseOfTheRuns) {
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.recent_days"), "1");
  ExpectTruth();
}

TEST_F(ApiFigures, AreTheSameWithoutTheSumOfRecentDays) {
  db_.Exec("DELETE FROM metrics.recent_days");
  ExpectTruth();
}

// A run that is counted days after it ended.
TEST_F(ApiFigures, ForgetTheSumOfRecentDaysWhereOneOfThemChanges) {
  db_.Exec(R"(
      INSERT INTO workflow_runs
          (project_id, workflow_id, status, started_at, finished_at)
      SELECT project_id, id, 'failed', now() - interval '11 days',
             now() - interval '10 days'
      FROM workflow_definitions)");
  Fold();
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.recent_days"), "0");
  ExpectTruth();
  db_.Exec("SELECT metrics.maintain()");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.recent_days"), "1");
  ExpectTruth();
}

TEST_F(ApiFigures, KeepTheSumOfRecentDaysWhileRunsEndToday) {
  for (int i = 0; i < 20; ++i) db_.Exec(test::kRun);
  Fold();
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.recent_days"), "1");
  ExpectTruth();
}

TEST_F(ApiFigures, AreRightAfterARebuild) {
  db_.Exec("DELETE FROM metrics.execution_time_statistics");
  db_.Exec("SELECT metrics.rebuild()");
  EXPECT_EQ(db_.Exec("SELECT count(*) FROM metrics.recent_days"), "0");
  auto ada = User(kAda);
  EXPECT_EQ(Member(Answer(ada, "overview", "{}"), "period,execution_count"),
            "0");
}

// The sum of recent days is that of the days, row by row.
TEST_F(ApiFigures, AddUpEveryRecentDay) {
  for (const std::string kind : {"workflow", "project"}) {
    EXPECT_EQ(
        db_.Exec("SELECT count(*) FROM (SELECT " + kind + R"(_id AS id,
            sum(success_count) AS s, sum(failure_count) AS f,
            sum(canceled_count) AS c, sum(duration_sum_ms) AS total,
            min(duration_min_ms) AS least, max(duration_max_ms) AS most,
            sum((SELECT sum(n) FROM unnest((durations).counts) AS n)) AS timed
            FROM metrics.)" +
                 kind + R"(_metrics_daily AS d, metrics.recent_days AS r
            WHERE d.bucket_start >= r.since AND d.bucket_start < r.until
            GROUP BY 1) AS days FULL JOIN metrics.)" +
                 kind + "_recent_days AS t ON t." + kind + R"(_id = days.id
            WHERE (s, f, c, total, least, most, timed) IS DISTINCT FROM
                (success_count, failure_count, canceled_count, duration_sum_ms,
                 duration_min_ms, duration_max_ms,
                 (SELECT sum(n) FROM unnest((durations).counts) AS n)))"),
        "0");
  }
  EXPECT_EQ(db_.Exec("SELECT until - since || ' ' || (until <= now()) "
                     "FROM metrics.recent_days"),
            "29 days true");
}

TEST_F(ApiFigures, SayWhatTheyCover) {
  db_.Exec("UPDATE metrics.retention SET dropped_before = '-infinity'");
  auto ada = User(kAda);
  const auto covers = [&](const std::string& range) {
    const auto answer = Answer(ada, "execution_times", "{" + range + "}");
    return Member(answer, "range,start_date") + " " +
           Member(answer, "range,end_date");
  };
  EXPECT_EQ(covers(R"("start_date": "2026-03-01T10:30:00+01:00",
                      "end_date": "2026-03-02T10:00:00.5Z")"),
            "2026-03-01T09:00:00+00:00 2026-03-02T11:00:00+00:00");
  EXPECT_EQ(covers(R"("start_date": "2026-03-01T10:00:00Z",
                      "end_date": "2026-03-02T10:00:00Z")"),
            "2026-03-01T10:00:00+00:00 2026-03-02T10:00:00+00:00");
  EXPECT_EQ(covers(R"("end_date": "2026-03-31T23:59:59Z")"),
            "2026-03-01T00:00:00+00:00 2026-04-01T00:00:00+00:00");
  EXPECT_EQ(Member(Answer(ada, "trend", R"({"bucket": "day",
                   "start_date": "2026-03-01T10:30:00Z",
                   "end_date": "2026-03-02T10:00:00Z"})"),
                   "range"),
            R"({"end_date": "2026-03-03T00:00:00+00:00", )"
            R"("start_date": "2026-03-01T00:00:00+00:00"})");
  // Where hours are no longer kept, whole days.
  db_.Exec(
      "UPDATE metrics.retention SET dropped_before = '2026-03-02 00:00Z' "
      "WHERE table_name = 'project_metrics_hourly'");
  EXPECT_EQ(covers(R"("start_date": "2026-03-01T10:30:00Z",
                      "end_date": "2026-03-02T10:00:00Z")"),
            "2026-03-01T00:00:00+00:00 2026-03-02T10:00:00+00:00");
  EXPECT_EQ(covers(R"("start_date": "2026-02-28T10:30:00Z",
                      "end_date": "2026-03-01T10:00:00Z")"),
            "2026-02-28T00:00:00+00:00 2026-03-02T00:00:00+00:00");
}

TEST_F(ApiFigures, OfLifetimesAreThoseOfAllRuns) {
  auto ada = User(kAda);
  auto all = Operator();
  const auto lifetime = [&](const std::string& whose) {
    return db_.Exec(R"(
        SELECT concat_ws(' ', count(*),
            count(*) FILTER (WHERE status = 'succeeded'),
            count(*) FILTER (WHERE status = 'failed'),
            count(*) FILTER (WHERE status = 'canceled'),
            trim_scale(round(avg(ms), 3)), trim_scale(sum(ms) / 1000),
            to_jsonb(max(finished_at)) #>> '{}')
        FROM (SELECT *, CASE WHEN status <> 'canceled' THEN
                  metrics.run_duration_ms(started_at, finished_at)::numeric
                  END AS ms FROM workflow_runs) AS r WHERE )" +
                    whose);
  };
  const auto said = [&](const std::string& answer) {
    std::string text;
    for (const std::string member :
         {"execution_count", "success_count", "failure_count", "canceled_count",
          "average_duration", "resource_consumption"}) {
      text += Member(answer, "lifetime," + member) + " ";
    }
    return text + Member(answer, "last_updated");
  };
  db_.Exec("SET timezone = 'UTC'");
  EXPECT_EQ(said(Answer(ada, "overview", "{}")), lifetime(InProjects("a_")));
  EXPECT_EQ(said(Answer(all, "overview", "{}")), lifetime("true"));
  EXPECT_EQ(said(Answer(ada, "workflow", Of("workflow_id", Workflow("a2")))),
            lifetime("workflow_id::text LIKE '%a2'"));
}

TEST_F(ApiFigures, OfBucketsAreThoseOfTheirHourOrDay) {
  auto ada = User(kAda);
  auto all = Operator();
  const auto differences = [&](const std::string& answer,
                               const std::string& bucket,
                               const std::string& whose) {
    return db_.Exec("WITH answer AS (SELECT " + Quoted(answer) + R"(::jsonb AS a
        ), found AS (
            SELECT (item ->> 'bucket_start')::timestamptz AS start, s.*
            FROM answer, jsonb_array_elements(a -> 'items') AS item,
                 jsonb_to_record(item -> 'sums') AS s (
                     execution_count bigint, failure_count bigint,
                     failure_rate numeric, average_duration numeric,
                     min_duration numeric, max_duration numeric)
        ), truth AS (
            SELECT date_trunc(')" +
                    bucket + R"(', finished_at, 'UTC') AS start, count(*) AS n,
                   count(*) FILTER (WHERE status = 'failed') AS f,
                   count(ms) AS timed, round(avg(ms), 3) AS mean,
                   min(ms) AS least, max(ms) AS most
            FROM (SELECT *, CASE WHEN status <> 'canceled' THEN
                      metrics.run_duration_ms(started_at, finished_at)::numeric
                      END AS ms FROM workflow_runs) AS r, answer
            WHERE finished_at >= (a #>> '{range,start_date}')::timestamptz
              AND finished_at < (a #>> '{range,end_date}')::timestamptz
              AND )" +
                    whose + R"( GROUP BY 1)
        SELECT count(*) || ' of ' || (SELECT count(*) > 0 FROM found)
        FROM found FULL JOIN truth USING (start)
        WHERE (execution_count, failure_count, failure_rate, average_duration,
               min_duration, max_duration) IS DISTINCT FROM
              (n, f, round(f::numeric / nullif(timed, 0), 6), mean, least,
               most))");
  };
  for (const std::string bucket : {"hour", "day"}) {
    const auto of = "\"bucket\": \"" + bucket + "\"";
    EXPECT_EQ(differences(Answer(ada, "trend", "{" + of + "}"), bucket,
                          InProjects("a_")),
              "0 of true");
    EXPECT_EQ(differences(Answer(all, "trend", "{" + of + "}"), bucket, "true"),
              "0 of true");
    EXPECT_EQ(
        differences(Answer(ada, "trend", Of("workflow_id", Workflow("a1"), of)),
                    bucket, "workflow_id::text LIKE '%a1'"),
        "0 of true");
    EXPECT_EQ(
        differences(Answer(ada, "trend", Of("project_id", Project("a2"), of)),
                    bucket, InProjects("a2")),
        "0 of true");
  }
}

TEST_F(ApiFigures, OfAListAreThoseOfEachWorkflow) {
  auto ada = User(kAda);
  const auto list = Answer(ada, "summary", R"({"limit": 200})");
  EXPECT_EQ(Member(list, "items,6"), "");
  for (int i = 0; i < 6; ++i) {
    const auto of = "items," + std::to_string(i) + ",";
    const auto one =
        Answer(ada, "workflow",
               Of("workflow_id", Member(list, of + "workflow,workflow_id")));
    for (const std::string part :
         {"workflow", "lifetime", "recent", "last_updated"}) {
      EXPECT_EQ(Member(list, of + part), Member(one, part)) << i;
    }
    for (const std::string sum :
         {"execution_count", "success_count", "failure_count", "canceled_count",
          "success_rate", "failure_rate", "average_duration", "min_duration",
          "max_duration"}) {
      EXPECT_EQ(Member(list, of + "period," + sum),
                Member(one, "period," + sum))
          << i << sum;
    }
  }
}

TEST_F(ApiFigures, OfStepsAndFailuresAreThoseOfTheViews) {
  auto ada = User(kAda);
  const auto one = Answer(ada, "workflow", Of("workflow_id", Workflow("a4")));
  EXPECT_EQ(Member(one, "steps,0,node_id"), "call");
  EXPECT_EQ(Member(one, "steps,0,attempt_count"),
            db_.Exec("SELECT attempt_count FROM metrics.mv_step_latency "
                     "WHERE workflow_id::text LIKE '%a4'"));
  EXPECT_EQ(Member(one, "failures,0,error_class"), "http_5xx");
  EXPECT_EQ(Member(one, "failures,0,share"), "1");
  EXPECT_EQ(Member(one, "recent,24h,execution_count"),
            db_.Exec("SELECT execution_count_24h "
                     "FROM metrics.mv_workflow_metrics "
                     "WHERE workflow_id::text LIKE '%a4'"));
}

TEST_F(ApiFigures, AreNullOrZeroOfAWorkflowThatNeverRan) {
  auto ada = User(kAda);
  const auto one = Answer(ada, "workflow", Of("workflow_id", Workflow("a6")));
  EXPECT_EQ(Member(one, "period"),
            R"({"failure_rate": null, "max_duration": null, )"
            R"("min_duration": null, "p95_duration": null, )"
            R"("p99_duration": null, "success_rate": null, )"
            R"("failure_count": 0, "success_count": 0, "canceled_count": 0, )"
            R"("execution_count": 0, "median_duration": null, )"
            R"("average_duration": null})");
  EXPECT_EQ(Member(one, "lifetime,execution_count"), "0");
  EXPECT_EQ(Member(one, "recent,7d,execution_count"), "0");
  EXPECT_EQ(Member(one, "steps"), "[]");
  EXPECT_EQ(Member(one, "failures"), "[]");
  EXPECT_EQ(Member(one, "last_updated"), "");
}

// Whatever the session's own settings are.
TEST_F(ApiFigures, HaveTimesInUtcAndDaysOf24Hours) {
  auto ada = User(kAda);
  const auto request = R"({"start_date": "2026-03-20T00:00:00Z",
                           "end_date": "2026-11-05T12:00:00Z"})";
  const auto answer = Answer(ada, "execution_times", request);
  Exec(ada,
       "SET timezone = 'America/New_York'; SET datestyle = 'German'; "
       "SET intervalstyle = 'iso_8601'; SET extra_float_digits = -10");
  EXPECT_EQ(Answer(ada, "execution_times", request), answer);
}

}  // namespace
