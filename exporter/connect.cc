// SPDX-License-Identifier: MIT
// How a session is opened.
//
// libpq tries one address at a time here, each within its share of the time
// left, and its hosts are tried in turn as libpq would: target_session_attrs
// means what libpq says.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "exporter/errors.h"
#include "exporter/hosts.h"
#include "exporter/log.h"
#include "exporter/pg.h"

namespace meshhook::pg {
namespace {

constexpr std::chrono::seconds kSilence{60};
constexpr auto kCannotConnectNow = "57P03";

using Owner = std::unique_ptr<PGconn, FinishSession>;

// NOTICEs are chatter; WARNINGs are for the operator.
void LogNotice(void* /*unused*/, const PGresult* result) {
  const char* severity =
      PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == nullptr || std::strcmp(severity, "WARNING") != 0) return;
  const Error warning = ErrorOf(result);
  log::Warn(warning.what(), {{"hint", warning.hint()}});
}

// Where a verbose message has its SQLSTATE, "FATAL:  28P01: why", or npos.
size_t FindSqlstate(const std::string& line) {
  constexpr size_t kLength = 5;
  for (size_t at = line.find(":  "); at != line.npos;
       at = line.find(":  ", at + 1)) {
    const auto code = line.substr(at + 3, kLength);
    if (line.compare(at + 3 + kLength, 2, ": ") == 0 &&
        std::all_of(code.begin(), code.end(), [](unsigned char c) {
          return std::isupper(c) != 0 || std::isdigit(c) != 0;
        })) {
      return at + 3;
    }
  }
  return std::string::npos;
}

// What a verbose message says, in one line and without the server's source.
Error Readable(const std::string& verbose) {
  std::istringstream lines(verbose);
  std::string message;
  std::string sqlstate;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.rfind("LOCATION:  ", 0) == 0) continue;
    if (const size_t at = FindSqlstate(line); at != line.npos) {
      sqlstate = line.substr(at, 5);
      line.erase(at, 7);
    }
    // Lines that go on with the one before begin with a tab.
    if (!message.empty()) {
      message += line[0] == '\t' || message.back() == ':' ? " " : "; ";
    }
    message += OneLine(line.c_str());
  }
  return {message, sqlstate, ""};
}

// libpq's message, which names only the address where there is one.
std::string Said(const PGconn* session, const Host& host) {
  std::string said = PQerrorMessage(session);
  const auto quoted = "server at \"" + host.address + "\"";
  if (host.name.empty() || host.address.empty()) return said;
  for (size_t at = 0; (at = said.find(quoted, at)) != said.npos;) {
    const auto named = "server at \"" + host.name + "\" (" + host.address + ")";
    said.replace(at, quoted.size(), named);
    at += named.size();
  }
  return said;
}

// Hosts that let their time pass without an answer. They are tried after the
// others for a while, or each session would wait for them anew.
class SilentHosts {
 public:
  void Note(const Host& host, bool silent) {
    const std::lock_guard lock(mutex_);
    if (silent) {
      until_[Key(host)] = Clock::now() + kSilence;
    } else {
      until_.erase(Key(host));
    }
  }
  bool Has(const Host& host) {
    const std::lock_guard lock(mutex_);
    const auto found = until_.find(Key(host));
    return found != until_.end() && Clock::now() < found->second;
  }

 private:
  static std::string Key(const Host& host) {
    return host.name + "," + host.address + "," + host.port;
  }

  std::mutex mutex_;
  std::map<std::string, Deadline> until_;
};

SilentHosts& Silent() {
  static SilentHosts silent;
  return silent;
}

// One equal part of the time left, where so many are to have one.
Deadline Share(Deadline deadline, size_t parts) {
  const auto now = Clock::now();
  return parts <= 1 ? deadline
                    : now + (deadline - now) / static_cast<long>(parts);
}

// libpq reads for as long as something is there to read, and that must not be
// all of an answer that is longer than it may be.
void LimitBuffer(int socket) {
  constexpr int kBytes = 256 * 1024;
  setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &kBytes, sizeof kBytes);
}

class Opening {
 public:
  Opening(const Conninfo::Parameters& parameters, Deadline deadline,
          const Interrupt* interrupt)
      : parameters_(parameters),
        deadline_(deadline),
        interrupt_(interrupt),
        hosts_(HostsOf(parameters)) {}

  // Throws Error when no host gives a session.
  Owner Run();

 private:
  // What became of the address that was tried last.
  enum class Ended {
    kOpen,
    kUnreachable,  // another address may do
    kSilent,       // the same, and it took all its time
    kStartingUp,   // another host may do
    kWrongKind,    // the same, and in a second round this one may
  };

  // nullptr when this host gives no session and the next may.
  Owner TryHost(const Host& host, const std::string& session_attrs,
                Deadline until);
  // Of a host with one address or none.
  Owner TryAddress(const Host& host, const std::string& session_attrs,
                   Deadline until);
  Owner Start(const Host& host, const Conninfo::Parameters& overrides,
              Deadline until);
  void Complain(const Error& error);

  const Conninfo::Parameters& parameters_;
  const Deadline deadline_;
  const Interrupt* const interrupt_;
  const Hosts hosts_;
  Ended ended_ = Ended::kUnreachable;
  std::string complaints_;
  std::string sqlstate_;
};

Owner Opening::Run() {
  auto hosts = hosts_.list;
  if (hosts.empty()) {
    if (auto session = TryAddress({}, "", deadline_)) return session;
  }
  std::stable_partition(hosts.begin(), hosts.end(),
                        [](const Host& host) { return !Silent().Has(host); });
  // A second round is for the hosts that are no standby.
  const bool two_rounds = hosts_.session_attrs == "prefer-standby";
  const size_t rounds = hosts.size() + (two_rounds ? 1 : 0);
  std::vector<Host> others;
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (auto session = TryHost(hosts[i], two_rounds ? "standby" : "",
                               Share(deadline_, rounds - i))) {
      return session;
    }
    if (ended_ == Ended::kWrongKind) others.push_back(hosts[i]);
  }
  for (size_t i = 0; two_rounds && i < others.size(); ++i) {
    if (auto session =
            TryHost(others[i], "any", Share(deadline_, others.size() - i))) {
      return session;
    }
  }
  throw Error(complaints_, sqlstate_, "");
}

Owner Opening::TryHost(const Host& host, const std::string& session_attrs,
                       Deadline until) {
  std::vector<std::string> addresses{host.address};
  if (NeedsLookup(host)) {
    try {
      addresses = Lookup(host.name, until, interrupt_);
    } catch (const Error& error) {
      Complain(error);
      Silent().Note(host, Clock::now() >= until);
      ended_ = Ended::kUnreachable;
      return nullptr;
    }
  }
  for (size_t i = 0; i < addresses.size(); ++i) {
    auto share = Share(until, addresses.size() - i);
    if (hosts_.connect_timeout.count() > 0) {
      share = std::min(share, Clock::now() + hosts_.connect_timeout);
    }
    auto session =
        TryAddress({host.name, addresses[i], host.port}, session_attrs, share);
    Silent().Note(host, ended_ == Ended::kSilent);
    if (session) return session;
    if (ended_ == Ended::kWrongKind || ended_ == Ended::kStartingUp) break;
  }
  return nullptr;
}

Owner Opening::TryAddress(const Host& host, const std::string& session_attrs,
                          Deadline until) {
  Conninfo::Parameters overrides{{"host", host.name},
                                 {"hostaddr", host.address},
                                 {"port", host.port},
                                 {"target_session_attrs", session_attrs}};
  auto session = Start(host, overrides, until);
  // Such a database holds bytes of any kind, and the server would refuse to
  // send as UTF-8 what is none.
  const char* encoding =
      session ? PQparameterStatus(session.get(), "server_encoding") : nullptr;
  if (encoding == nullptr || std::strcmp(encoding, "SQL_ASCII") != 0) {
    return session;
  }
  overrides.emplace_back("client_encoding", "SQL_ASCII");
  return Start(host, overrides, until);
}

Owner Opening::Start(const Host& host, const Conninfo::Parameters& overrides,
                     Deadline until) {
  // Defaults come first, so that the operator's own values override them. An
  // empty value is none to libpq.
  std::vector<const char*> keywords = {
      "fallback_application_name", "client_encoding",  "keepalives_idle",
      "keepalives_interval",       "keepalives_count", "tcp_user_timeout"};
  std::vector<const char*> values = {
      "meshhook-exporter", "UTF8", "10", "5", "3", "15000"};
  for (const auto* more : {&parameters_, &overrides}) {
    for (const auto& [keyword, value] : *more) {
      if (value.empty()) continue;
      keywords.push_back(keyword.c_str());
      values.push_back(value.c_str());
    }
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  Owner session(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!session) throw Error("out of memory", "", "");
  PQsetNoticeReceiver(session.get(), LogNotice, nullptr);
  // An SQLSTATE is to be had in no other way before there is a session.
  PQsetErrorVerbosity(session.get(), PQERRORS_VERBOSE);

  auto step = PQstatus(session.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED
                                                        : PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED) {
    try {
      Await(PQsocket(session.get()),
            step == PGRES_POLLING_WRITING ? POLLIN | POLLOUT : POLLIN, until,
            interrupt_);
    } catch (const Error& error) {
      if (interrupt_ != nullptr && interrupt_->fired()) throw;
      // libpq has begun to say where it failed.
      Complain(Readable(Said(session.get(), host) + error.what()));
      ended_ = Ended::kSilent;
      return nullptr;
    }
    step = PQconnectPoll(session.get());
  }
  if (step == PGRES_POLLING_OK && PQsetnonblocking(session.get(), 1) == 0) {
    LimitBuffer(PQsocket(session.get()));
    PQsetErrorVerbosity(session.get(), PQERRORS_DEFAULT);
    ended_ = Ended::kOpen;
    return session;
  }

  const auto error = Readable(Said(session.get(), host));
  if (error.sqlstate() == kCannotConnectNow) {
    ended_ = Ended::kStartingUp;
  } else if (!error.sqlstate().empty()) {
    throw error;  // the server's word, which is the same on the other hosts
  } else {
    // One that let us in, and libpq turned away.
    const bool let_in =
        PQparameterStatus(session.get(), "server_version") != nullptr;
    ended_ = let_in ? Ended::kWrongKind : Ended::kUnreachable;
  }
  Complain(error);
  return nullptr;
}

void Opening::Complain(const Error& error) {
  if (interrupt_ != nullptr && interrupt_->fired()) throw error;
  const std::string_view what = error.what();
  if (complaints_.find(what) == complaints_.npos) {
    complaints_ += (complaints_.empty() ? "" : "; ");
    complaints_ += what;
  }
  if (!error.sqlstate().empty()) sqlstate_ = error.sqlstate();
}

// Poolers have SQLSTATEs of their own for it, and libpq has none.
bool IsLogin(const Error& error) {
  return error.sqlstate().rfind("28", 0) == 0 ||
         std::strstr(error.what(), "authentication failed") != nullptr ||
         std::strstr(error.what(), "no password supplied") != nullptr;
}

}  // namespace

Connection Connection::Open(const Conninfo& conninfo, Deadline deadline,
                            const Interrupt* interrupt) {
  const auto open = [&](const Conninfo::Parameters& parameters) {
    return Connection(Opening(parameters, deadline, interrupt).Run().release(),
                      interrupt);
  };
  const auto parameters = conninfo.parameters();
  std::optional<Conninfo::Parameters> renewed;
  try {
    return open(parameters);
  } catch (const Error& error) {
    if (!IsLogin(error)) throw;
    // The password may have been changed, there and in its file.
    try {
      renewed = conninfo.Renewed(parameters);
    } catch (const UsageError& unreadable) {
      throw Error(std::string(error.what()) + "; " + unreadable.what(),
                  error.sqlstate(), unreadable.remedy());
    }
    if (!renewed) throw;
  }
  log::Info("the login failed; trying with what its file says now",
            {{"source", conninfo.source()}});
  return open(*renewed);
}

}  // namespace meshhook::pg
