// SPDX-License-Identifier: MIT
#include "exporter/remedy.h"

#include <array>
#include <string_view>

namespace meshhook {
namespace {

struct Advice {
  std::string_view sign;  // an SQLSTATE, or a part of the message
  std::string_view remedy;
};

// The first whose sign fits is given, so the special ones stand first.
constexpr auto kAdvice = std::to_array<Advice>({
    {"password authentication failed",
     "check the password in the connection settings; to set it: ALTER ROLE "
     "meshhook_exporter PASSWORD '…'"},
    {"no password supplied",
     "put the password into the URL, or name a file that holds it with "
     "DATABASE_URL_FILE or PGPASSWORD_FILE"},
    {"pg_hba.conf",
     "allow this host, user and database in pg_hba.conf, or add "
     "sslmode=require to the URL"},
    {"certificate verify failed",
     "name the file of the authority that signed the server's certificate "
     "with sslrootcert"},
    {"root certificate file",
     "name the file of the authority that signed the server's certificate "
     "with sslrootcert"},
    {"does not match host name",
     "use the name that the certificate has as the host; hostaddr may say "
     "where that is"},
    {"invalid sslmode value",
     "use disable, allow, prefer, require, verify-ca or verify-full"},
    {"channel binding",
     "use TLS (sslmode=require) and a SCRAM password, or drop channel_binding"},
    {"invalid target_session_attrs value",
     "use any, read-write, read-only, primary, standby or prefer-standby"},
    {"could not match", "name one port for all hosts, or one for each"},
    {"does not support SSL", "drop sslmode=require, or enable TLS there"},
    {"too many clients",
     "raise max_connections or close sessions; the exporter needs three"},
    {"remaining connection slots",
     "raise max_connections or close sessions; the exporter needs three"},
    {"too many connections for",
     "raise the CONNECTION LIMIT of that role or database; the exporter needs "
     "three"},
    {"57P03",
     "wait, or look into the server's log: it starts, stops or "
     "recovers"},
    {"session is read-only",
     "no host takes writes, as target_session_attrs demands: promote a "
     "standby, or drop that setting"},
    {"session is not read-only",
     "no host is of the kind that target_session_attrs demands"},
    {"hot standby mode",
     "no host is of the kind that target_session_attrs demands"},
    {"could not translate host name", "check the host name in the URL"},
    {"Connection refused",
     "check host and port, and that PostgreSQL runs and listens there"},
    {"No such file or directory",
     "check host and port: without a host, a local socket is tried"},
    {"no answer within the time allowed",
     "check the host, the firewall and the server's load; --scrape.timeout "
     "sets the time allowed"},
    {"is not permitted to log in",
     "as an administrator: ALTER ROLE meshhook_exporter LOGIN"},
    {"role \"",
     "create the role: meshhook-exporter migrate, run as the owner of "
     "MeshHook's tables, does it"},
    {"permission denied for database",
     "as its owner: GRANT CONNECT ON DATABASE … TO meshhook_exporter"},
    {"database \"", "check the database name at the end of the URL"},
    {"relation \"metrics.",
     "install the data layer: meshhook-exporter migrate"},
    {"schema \"metrics\"",
     "install the data layer: meshhook-exporter migrate; if it is installed, "
     "connect as meshhook_exporter"},
    {"function metrics.", "update the data layer: meshhook-exporter migrate"},
    {"pg_stat_statements must be loaded",
     "add pg_stat_statements to shared_preload_libraries and restart, or "
     "switch off with --no-collector.stat_statements"},
    {"42703",
     "the extension is older than the server: ALTER EXTENSION … UPDATE"},
    {"42501",
     "connect as meshhook_exporter, or grant what it has: meshhook-exporter "
     "migrate, then GRANT pg_monitor"},
    {"55P03", "find who holds the lock: SELECT * FROM pg_locks WHERE granted"},
    {"57014", "the server is busy; --scrape.timeout sets the time allowed"},
    {"25006", "this is a standby: migrate on the primary"},
});

}  // namespace

std::string RemedyFor(const pg::Error& error) {
  // For a function that is missing the server's hint is about type casts.
  if (!error.hint().empty() && error.sqlstate() != "42883") {
    return error.hint();
  }
  const std::string_view message = error.what();
  for (const auto& [sign, remedy] : kAdvice) {
    if (error.sqlstate() == sign || message.find(sign) != message.npos) {
      return std::string(remedy);
    }
  }
  return "";
}

bool IsMissing(const pg::Error& error) {
  for (const std::string_view sqlstate :
       {"42P01", "42883", "42703", "42501", "3F000", "55000"}) {
    if (error.sqlstate() == sqlstate) return true;
  }
  return false;
}

bool IsOutage(const pg::Error& error) {
  const std::string_view sqlstate = error.sqlstate();
  return sqlstate.empty() || sqlstate.starts_with("08") ||
         sqlstate.starts_with("53") || sqlstate.starts_with("57P");
}

}  // namespace meshhook
