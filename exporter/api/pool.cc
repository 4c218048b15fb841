// SPDX-License-Identifier: MIT
#include "exporter/api/pool.h"

#include <utility>

#include "exporter/api/problem.h"
#include "exporter/log.h"
#include "exporter/remedy.h"

namespace meshhook::api {
namespace {

using namespace std::chrono_literals;

constexpr auto kStatementTimeout = 2000ms;
constexpr auto kLockTimeout = 500ms;
// The client's own deadline comes after the server's, so that a slow call ends
// with a session that can go on.
constexpr auto kGrace = 500ms;
constexpr auto kConnectTimeout = 2000ms;
constexpr auto kPatience = 1000ms;  // of who waits for a session
constexpr auto kMostBackoff = 5000ms;
constexpr int kRetryAfter = 1;  // seconds

// What a service role's token may do here is a role of its own: the login must
// not be able to become one that passes over row security everywhere.
constexpr auto kOperator = "meshhook_operator";

Problem Busy() {
  return Problem::Passing(
      503, "too many requests are being answered; try again in a second",
      kRetryAfter);
}

Problem Away() {
  return Problem::Passing(503, "the database cannot be reached right now",
                          kRetryAfter);
}

// What the functions say to their callers, and what the database says that a
// caller can do something about. Others keep their words to themselves.
void ThrowProblem(const pg::Error& error) {
  const auto& code = error.sqlstate();
  const std::string advice = error.hint().empty() ? "" : "; " + error.hint();
  if (code == "MH400") {
    const std::string message = error.what();
    throw Problem(400, message + advice, message.substr(0, message.find(' ')));
  }
  if (code == "MH404") throw Problem(404, error.what() + advice);
  if (code == "MH403") throw Problem(403, error.what() + advice);
  if (code == "42501") throw Problem(403, "the token's role may not do that");
  if (code == "57014" || code == "55P03") {
    throw Problem::Passing(
        503, "the database took too long; ask for less, or try again later",
        kRetryAfter);
  }
  if (IsOutage(error)) throw Away();
}

// A login that could do more than the API needs, or less, is not used.
void CheckLogin(pg::Connection& session) {
  const auto login = session.Run(
      {"SELECT rolsuper OR rolbypassrls, "
       "coalesce(pg_has_role(to_regrole('authenticated'), 'MEMBER'), false), "
       "coalesce(pg_has_role(to_regrole($1), 'MEMBER'), false) "
       "FROM pg_roles WHERE rolname = session_user",
       {kOperator}},
      {.statement_timeout = kStatementTimeout, .lock_timeout = kLockTimeout},
      pg::Clock::now() + kStatementTimeout);
  const auto is = [&login](int column) { return login.Text(0, column) == "t"; };
  if (is(0)) {
    throw pg::Error(session.user() + " passes over row security", "42501",
                    "connect as meshhook_api, or a role like it");
  }
  if (!is(1) || !is(2)) {
    throw pg::Error(
        session.user() + " may not become authenticated and " + kOperator,
        "42501",
        std::string("run meshhook-exporter migrate, and as an "
                    "administrator: GRANT authenticated, ") +
            kOperator + " TO " + session.user());
  }
}

}  // namespace

// A session for as long as this object lives. One for a caller is waited for;
// "" is the API itself, which takes none of theirs.
class Pool::Borrowed {
 public:
  Borrowed(Pool& pool, const std::string& subject)
      : pool_(pool), subject_(subject) {
    std::unique_lock lock(pool_.mutex_);
    if (!subject_.empty()) AwaitTurn(lock);
    if (!pool_.idle_.empty()) {
      session_ = std::move(pool_.idle_.back());
      pool_.idle_.pop_back();
    }
  }
  ~Borrowed() {
    const std::lock_guard lock(pool_.mutex_);
    if (session_ && session_->open()) {
      pool_.idle_.push_back(std::move(session_));
    }
    if (subject_.empty()) return;
    --pool_.busy_;
    --pool_.shares_[subject_].busy;
    Forget();
    pool_.returned_.notify_all();  // not every one may take it
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  bool is_new() const { return session_ == nullptr; }
  pg::Connection& Get() {
    if (!session_) session_ = pool_.Open();
    return *session_;
  }
  void Discard() { session_.reset(); }

 private:
  static int HalfOf(int all) { return (all + 1) / 2; }

  void AwaitTurn(std::unique_lock<std::mutex>& lock) {
    const auto& most = pool_.options_;
    const auto is_free = [&] {
      return pool_.busy_ < most.connections &&
             pool_.shares_[subject_].busy < HalfOf(most.connections);
    };
    if (!is_free()) {
      auto& share = pool_.shares_[subject_];
      if (pool_.waiting_ >= most.waiting ||
          share.waiting >= HalfOf(most.waiting)) {
        Forget();
        throw Busy();
      }
      ++pool_.waiting_;
      ++share.waiting;
      const bool came = pool_.returned_.wait_for(lock, kPatience, is_free);
      --pool_.waiting_;
      --share.waiting;
      if (!came) {
        Forget();
        throw Busy();
      }
    }
    ++pool_.busy_;
    ++pool_.shares_[subject_].busy;
  }

  void Forget() {
    const auto share = pool_.shares_.find(subject_);
    if (share != pool_.shares_.end() && share->second.busy == 0 &&
        share->second.waiting == 0) {
      pool_.shares_.erase(share);
    }
  }

  Pool& pool_;
  const std::string subject_;
  Session session_;
};

Pool::Pool(Conninfo conninfo, PoolOptions options)
    : conninfo_(std::move(conninfo)),
      options_(options),
      backoff_(kMostBackoff) {}

Pool::Session Pool::Open() {
  {
    const std::lock_guard lock(mutex_);
    if (backoff_.Waiting(pg::Clock::now())) throw Away();
  }
  try {
    auto session = std::make_unique<pg::Connection>(
        pg::Connection::Open(conninfo_, pg::Clock::now() + kConnectTimeout));
    CheckLogin(*session);
    const std::lock_guard lock(mutex_);
    backoff_.Succeeded();
    if (std::exchange(away_, false)) {
      log::Info("the API reaches its database again");
    }
    return session;
  } catch (const pg::Error& error) {
    NoteAway(error);
    throw Away();
  }
}

void Pool::NoteAway(const pg::Error& error) {
  const std::lock_guard lock(mutex_);
  backoff_.Failed(pg::Clock::now());
  if (std::exchange(away_, true)) return;
  log::Error("the API cannot reach its database",
             {{"source", conninfo_.source()},
              {"reason", conninfo_.Redact(error.what())},
              {"remedy", RemedyFor(error)}});
}

std::optional<std::string> Pool::Run(const Call& call,
                                     const std::string& subject,
                                     Settings settings) {
  settings.insert(settings.begin(), {"timezone", "UTC"});
  const pg::Guard guard{.statement_timeout = kStatementTimeout,
                        .lock_timeout = kLockTimeout,
                        .read_only = !call.writes,
                        .settings = std::move(settings)};
  Borrowed session(*this, subject);
  // A session that was closed while nobody used it tells so only when it is
  // used; what reads may then be asked once more. One that answers too late was
  // not closed, and its server has had its time.
  bool again = !session.is_new() && !call.writes;
  const auto soon = pg::Clock::now() + kGrace;
  while (true) {
    try {
      const auto result = session.Get().Run(
          call.query, guard, pg::Clock::now() + kStatementTimeout + kGrace);
      const auto cell = result.Get(0, 0);
      if (!cell) return std::nullopt;
      return std::string(*cell);
    } catch (const pg::Error& error) {
      if (again && IsOutage(error) && pg::Clock::now() < soon) {
        again = false;
        session.Discard();
        continue;
      }
      ThrowProblem(error);
      throw;
    }
  }
}

std::optional<std::string> Pool::AsCaller(const Caller& caller,
                                          const Call& call) {
  const std::string role =
      caller.role == "service_role" ? kOperator : "authenticated";
  const auto run = [&] {
    return Run(call, caller.subject,
               {{"request.jwt.claims", caller.claims}, {"role", role}});
  };
  if (call.writes) return run();
  std::string question = role + '\n' + caller.claims + '\n' + call.query.sql;
  for (const auto& parameter : call.query.parameters) {
    question += '\n' + parameter;
  }
  return sharing_.Get(question, run);
}

std::optional<std::string> Pool::AsLogin(const Call& call) {
  return Run(call, "", {});
}

std::optional<std::string> Pool::AsOperator(const Call& call) {
  return Run(call, "", {{"role", kOperator}});
}

}  // namespace meshhook::api
