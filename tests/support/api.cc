// SPDX-License-Identifier: MIT
#include "tests/support/api.h"

#include <json/reader.h>

#include <memory>
#include <stdexcept>

namespace test {
namespace {

constexpr auto kTenants = R"(
    INSERT INTO projects (id, owner, name) VALUES
    ('10000000-0000-4000-8000-0000000000a1',
     '00000000-0000-4000-8000-00000000000a', 'Shop'),
    ('10000000-0000-4000-8000-0000000000a2',
     '00000000-0000-4000-8000-00000000000a', 'Blog'),
    ('10000000-0000-4000-8000-0000000000b1',
     '00000000-0000-4000-8000-00000000000b', 'Bakery');
    INSERT INTO workflow_definitions (id, project_id, slug, name, status) VALUES
    ('20000000-0000-4000-8000-0000000000a1',
     '10000000-0000-4000-8000-0000000000a1', 'import-orders',
     'Import orders', 'published'),
    ('20000000-0000-4000-8000-0000000000a2',
     '10000000-0000-4000-8000-0000000000a1', 'send-invoices',
     'Send invoices', 'published'),
    ('20000000-0000-4000-8000-0000000000a3',
     '10000000-0000-4000-8000-0000000000a2', 'publish-post',
     'Publish post', 'draft'),
    ('20000000-0000-4000-8000-0000000000b1',
     '10000000-0000-4000-8000-0000000000b1', 'bake-bread',
     'Bake bread', 'published'),
    ('20000000-0000-4000-8000-0000000000b2',
     '10000000-0000-4000-8000-0000000000b1', 'deliver',
     'Deliver', 'archived'))";

// The same numbers each time: `i` counts the runs of a workflow, the `k`th.
constexpr auto kRuns = R"(
    CREATE TEMP TABLE planned AS
    SELECT gen_random_uuid() AS id, project_id, workflow_id, finished_at,
           (i * 137 * k) % 4000 + 50 * k AS ms,
           CASE WHEN i % 12 = 5 THEN 'canceled'
                WHEN i % (5 + k) = 3 THEN 'failed'
                ELSE 'succeeded' END AS status
    FROM (SELECT id AS workflow_id, project_id,
                 row_number() OVER (ORDER BY id) AS k
          FROM workflow_definitions WHERE status <> 'draft') AS workflows,
         (SELECT day * 12 + n AS i,
                 date_trunc('day', now(), 'UTC') + n * interval '1 hour'
                     - (day + 1) * interval '1 day' AS finished_at
          FROM generate_series(1, 5) AS day, generate_series(1, 12) AS n
          UNION ALL
          SELECT 72 + n, now() - n * interval '8 minutes'
          FROM generate_series(1, 6) AS n) AS times;
    INSERT INTO workflow_runs (id, project_id, workflow_id, status, started_at)
    SELECT id, project_id, workflow_id, 'running',
           finished_at - ms * interval '1 ms' FROM planned;
    INSERT INTO workflow_events (run_id, ts, type, payload)
    SELECT id, finished_at - step.ms * interval '1 ms', type,
           '{"node": {"id": "call", "type": "http_call"}}'::jsonb
           || CASE type WHEN 'step_failed' THEN '{"error": "HTTP 503"}'
                        ELSE '{}' END::jsonb
    FROM planned AS p,
         LATERAL (VALUES (p.ms, 'step_started'),
                         (0, CASE p.status WHEN 'succeeded'
                                 THEN 'step_succeeded'
                                 ELSE 'step_failed' END)) AS step (ms, type)
    WHERE status <> 'canceled' ORDER BY finished_at, step.ms DESC;
    UPDATE workflow_runs AS r SET status = p.status, finished_at = p.finished_at
    FROM planned AS p WHERE p.id = r.id;
    DROP TABLE planned)";

}  // namespace

Api::Api(const std::function<void(meshhook::api::ServerOptions&)>& adjust) {
  db.Exec(kTenants);
  db.Exec(kRuns);
  Refresh();
  options_.listen_addresses = {"127.0.0.1:0"};
  options_.auth.secret_file = folder_.Write("secret", kSecret);
  options_.requests_per_second = 10'000;
  if (adjust) adjust(options_);
  Serve(db.Conninfo("meshhook_api"));
}

void Api::Serve(const meshhook::Conninfo& conninfo) {
  server_.reset();
  server_.emplace(options_, conninfo);
}

void Api::Refresh() {
  db.Exec("SELECT metrics.fold(), metrics.fold_trends()");
  db.Exec("SELECT metrics.fold_steps(2000, '0')");
  for (const std::string view :
       {"mv_workflow_metrics", "mv_step_latency", "mv_failure_hotspots"}) {
    db.Exec("REFRESH MATERIALIZED VIEW metrics." + view);
  }
}

std::string Api::User(const std::string& id) const {
  return signer_.Token(UserClaims(id));
}

std::string Api::Operator() const { return signer_.Token(ServiceClaims()); }

HttpResponse Api::Ask(const std::string& method, const std::string& path,
                      const std::string& token, const std::string& body,
                      std::vector<std::string> headers) const {
  if (!token.empty()) headers.push_back("Authorization: Bearer " + token);
  return Request(port(), method, path, headers, body);
}

HttpResponse Api::Get(const std::string& path, const std::string& token) const {
  return Ask("GET", path, token);
}

HttpResponse Api::Post(const std::string& path, const std::string& token,
                       const std::string& body) const {
  return Ask("POST", path, token, body, {"Content-Type: application/json"});
}

HttpResponse Api::Delete(const std::string& path,
                         const std::string& token) const {
  return Ask("DELETE", path, token);
}

Json::Value Api::Read(const std::string& path, const std::string& token) const {
  const auto response = Get(path, token);
  if (response.status != 200) {
    throw std::runtime_error(path + ": " + std::to_string(response.status) +
                             " " + response.body);
  }
  return JsonOf(response);
}

void Replace(Database& db, const std::string& function,
             const std::string& body) {
  const auto signature = "metrics." + function + "(request jsonb)";
  db.Exec("DROP FUNCTION metrics." + function + "(jsonb); CREATE FUNCTION " +
          signature + " RETURNS jsonb LANGUAGE plpgsql AS $$ " + body +
          " $$; GRANT EXECUTE ON FUNCTION metrics." + function +
          "(jsonb) TO authenticated, meshhook_operator, meshhook_api");
}

Json::Value JsonOf(const std::string& text) {
  Json::Value value;
  std::string errors;
  const std::unique_ptr<Json::CharReader> reader(
      Json::CharReaderBuilder().newCharReader());
  if (!reader->parse(text.data(), text.data() + text.size(), &value, &errors)) {
    throw std::runtime_error("not JSON: " + text);
  }
  return value;
}

}  // namespace test
