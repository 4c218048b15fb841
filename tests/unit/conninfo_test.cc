// SPDX-License-Identifier: MIT
#include "exporter/conninfo.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "exporter/errors.h"

namespace {

using meshhook::Conninfo;
using meshhook::UsageError;
using Variables = std::map<std::string, std::string>;

Conninfo From(const Variables& variables) {
  return Conninfo::FromEnvironment(
      [&variables](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
      });
}

std::string Parameter(const Conninfo& conninfo, const std::string& keyword) {
  std::string last;
  for (const auto& [known, value] : conninfo.parameters()) {
    if (known == keyword) last = value;
  }
  return last;
}

// Both lines that main would print.
std::string Complaint(const Variables& variables) {
  try {
    From(variables);
    return "";
  } catch (const UsageError& error) {
    return std::string(error.what()) + "; " + error.remedy();
  }
}

class SecretFile {
 public:
  explicit SecretFile(const std::string& content)
      : path_(testing::TempDir() + "conninfo_test_" +
              std::to_string(getpid())) {
    std::ofstream(path_) << content;
  }
  ~SecretFile() { std::filesystem::remove(path_); }
  SecretFile(const SecretFile&) = delete;
  SecretFile& operator=(const SecretFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

TEST(Conninfo, TakesTheFirstVariableThatIsSet) {
  Variables variables{{"DATA_SOURCE_NAME", "host=a"},
                      {"DATABASE_URL", "postgresql://b/x"},
                      {"DATA_SOURCE_URI", "c/x"},
                      {"PGHOST", "d"}};
  for (const auto& [source, host] :
       {std::pair("DATA_SOURCE_NAME", "a"), std::pair("DATABASE_URL", "b"),
        std::pair("DATA_SOURCE_URI", "c")}) {
    EXPECT_EQ(From(variables).source(), source);
    EXPECT_EQ(Parameter(From(variables), "host"), host);
    variables.erase(source);
  }
  EXPECT_EQ(From(variables).source(), "libpq's variables (PGHOST, PGUSER, …)");
  EXPECT_TRUE(From(variables).parameters().empty());
}

TEST(Conninfo, TakesAnEmptyVariableAsNotSet) {
  EXPECT_EQ(
      From({{"DATA_SOURCE_NAME", ""}, {"DATABASE_URL", "host=b"}}).source(),
      "DATABASE_URL");
}

TEST(Conninfo, ReadsUrisAndKeyValuePairs) {
  const auto uri =
      From({{"DATABASE_URL", "postgres://u:p%40%2F@h:6432/d?sslmode=require"}});
  EXPECT_EQ(Parameter(uri, "host"), "h");
  EXPECT_EQ(Parameter(uri, "port"), "6432");
  EXPECT_EQ(Parameter(uri, "user"), "u");
  EXPECT_EQ(Parameter(uri, "password"), "p@/");
  EXPECT_EQ(Parameter(uri, "dbname"), "d");
  EXPECT_EQ(Parameter(uri, "sslmode"), "require");
  const auto pairs = From(
      {{"DATA_SOURCE_NAME", "host=/run/postgresql password='a b' user=u"}});
  EXPECT_EQ(Parameter(pairs, "host"), "/run/postgresql");
  EXPECT_EQ(Parameter(pairs, "password"), "a b");
}

TEST(Conninfo, ReadsTheValueFromAFileWithoutItsLastNewline) {
  const SecretFile file("postgresql://u:secret@h/d\r\n");
  const auto conninfo = From({{"DATABASE_URL_FILE", file.path()}});
  EXPECT_EQ(conninfo.source(), "DATABASE_URL");
  EXPECT_EQ(Parameter(conninfo, "dbname"), "d");
}

TEST(Conninfo, PrefersTheVariableToItsFile) {
  const SecretFile file("host=file");
  EXPECT_EQ(Parameter(From({{"DATABASE_URL", "host=variable"},
                            {"DATABASE_URL_FILE", file.path()}}),
                      "host"),
            "variable");
}

TEST(Conninfo, SaysWhichFileIsMissing) {
  const auto complaint = Complaint({{"DATABASE_URL_FILE", "/nowhere/secret"}});
  EXPECT_EQ(complaint,
            "cannot read the file that DATABASE_URL_FILE names: "
            "/nowhere/secret; check that the file exists, is not empty and is "
            "readable by this user");
}

TEST(Conninfo, RefusesAFileWithoutAValue) {
  for (const char* content : {"", "\n", "\r\n\n"}) {
    const SecretFile file(content);
    EXPECT_NE(Complaint({{"DATABASE_URL_FILE", file.path()}})
                  .find("DATABASE_URL_FILE names: " + file.path()),
              std::string::npos)
        << "of " << std::string(content).size() << " bytes";
  }
}

TEST(Conninfo, RefusesADirectoryAsAFile) {
  EXPECT_NE(Complaint({{"DATA_SOURCE_PASS_FILE", "/tmp"},
                       {"DATA_SOURCE_USER", "u"},
                       {"DATA_SOURCE_URI", "h/d"}})
                .find("DATA_SOURCE_PASS_FILE names: /tmp"),
            std::string::npos);
}

TEST(Conninfo, AssemblesAUriWhateverThePasswordHolds) {
  const std::string password = "p@:/?#%[] \"'\\&=ü\x01";
  const auto conninfo = From({{"DATA_SOURCE_URI", "h:1/d?sslmode=disable"},
                              {"DATA_SOURCE_USER", "a@b"},
                              {"DATA_SOURCE_PASS", password}});
  EXPECT_EQ(Parameter(conninfo, "user"), "a@b");
  EXPECT_EQ(Parameter(conninfo, "password"), password);
  EXPECT_EQ(Parameter(conninfo, "host"), "h");
  EXPECT_EQ(Parameter(conninfo, "dbname"), "d");
  EXPECT_EQ(Parameter(conninfo, "sslmode"), "disable");
}

TEST(Conninfo, AssemblesAUriFromFiles) {
  const SecretFile password("p@ss\n");
  const auto conninfo = From({{"DATA_SOURCE_URI", "h/d"},
                              {"DATA_SOURCE_USER", "u"},
                              {"DATA_SOURCE_PASS_FILE", password.path()}});
  EXPECT_EQ(Parameter(conninfo, "password"), "p@ss");
}

TEST(Conninfo, ReadsLibpqsPasswordFromAFileToo) {
  const SecretFile file("s3cret\n");
  EXPECT_EQ(Parameter(From({{"PGPASSWORD_FILE", file.path()}}), "password"),
            "s3cret");
  // libpq reads PGPASSWORD itself.
  EXPECT_EQ(Parameter(From({{"PGPASSWORD_FILE", file.path()},
                            {"PGPASSWORD", "other"}}),
                      "password"),
            "");
}

TEST(Conninfo, TakesLibpqsPasswordFileForAUrlWithoutAPassword) {
  const SecretFile file("s3cret\n");
  for (const auto& [url, password] :
       {std::pair("postgresql://u@h/d", "s3cret"),
        std::pair("postgresql://u:@h/d", "s3cret"),
        std::pair("postgresql://u:own@h/d", "own")}) {
    EXPECT_EQ(Parameter(From({{"DATABASE_URL", url},
                              {"PGPASSWORD_FILE", file.path()}}),
                        "password"),
              password)
        << url;
  }
}

TEST(Conninfo, NamesTheVariableThatIsWrongAndNeverRepeatsIt) {
  for (const char* value :
       {"postgresql://u:hunter2%zz@h/d", "hunter2", "host=h hunter2",
        "postgresql://u:hunter2@[h/d", "postgresql://u:x@h/d?hunter2=1",
        "mysql://u:hunter2@h/d"}) {
    const auto complaint = Complaint({{"DATA_SOURCE_NAME", value}});
    EXPECT_EQ(complaint.rfind("DATA_SOURCE_NAME is not a valid connection", 0),
              0u)
        << complaint;
    EXPECT_EQ(complaint.find("hunter2"), complaint.npos) << complaint;
    EXPECT_NE(complaint.find("percent-encoded"), complaint.npos);
  }
}

// libpq would take the rest of the password for the host, the port or the
// database, and repeat it when it finds no such thing.
TEST(Conninfo, RefusesAPasswordThatSpillsOverWhereItIsNotEncoded) {
  for (const char* value :
       {"postgresql://u:hun@ter2@h:5432/d", "postgresql://u:hun/ter2@h/d",
        "postgresql://u:5/ter2@h/d"}) {
    EXPECT_EQ(Complaint({{"DATABASE_URL", value}})
                  .rfind("DATABASE_URL is not a valid connection string", 0),
              0u)
        << value;
  }
}

TEST(Conninfo, AcceptsSeveralHostsAndAbstractSockets) {
  EXPECT_EQ(Complaint({{"DATABASE_URL", "postgresql://u:p@a:1,b:2/d"}}), "");
  EXPECT_EQ(Complaint({{"DATABASE_URL", "host=@socket dbname=d"}}), "");
}

TEST(Conninfo, RedactsEveryPasswordEverywhere) {
  const auto conninfo =
      From({{"DATABASE_URL", "host=h password=hunter2 sslpassword=sesame"}});
  EXPECT_EQ(conninfo.Redact("hunter2 and sesame, hunter2hunter2"),
            "*** and ***, ******");
  EXPECT_EQ(conninfo.Redact("nothing to hide"), "nothing to hide");
}

TEST(Conninfo, ReadsItsFilesAgainWhenTold) {
  const SecretFile file("hunter");
  const auto conninfo =
      From({{"DATABASE_URL", "user=u"}, {"PGPASSWORD_FILE", file.path()}});
  const auto copy = conninfo.ForDatabase("other");
  const auto used = conninfo.parameters();
  EXPECT_EQ(conninfo.Renewed(used), std::nullopt);
  std::ofstream(file.path()) << "hunter2";
  const auto renewed = conninfo.Renewed(used);
  ASSERT_TRUE(renewed);
  EXPECT_EQ(*renewed, conninfo.parameters());
  EXPECT_EQ(Parameter(copy, "password"), "hunter2");
  EXPECT_EQ(Parameter(copy, "dbname"), "other");
  // One that another thread has read is new to whoever used the old.
  EXPECT_EQ(conninfo.Renewed(used), conninfo.parameters());
  // Of two that begin alike nothing is left over.
  EXPECT_EQ(copy.Redact("hunter, hunter2"), "***, ***");
}

TEST(Conninfo, KeepsWhatItHasWhereAFileIsGone) {
  const SecretFile file("hunter2");
  const auto conninfo = From({{"PGPASSWORD_FILE", file.path()}});
  std::filesystem::remove(file.path());
  EXPECT_THROW(conninfo.Renewed(conninfo.parameters()), UsageError);
  EXPECT_EQ(Parameter(conninfo, "password"), "hunter2");
}

TEST(Conninfo, RedactsPasswordsThatAreLikeTheRedaction) {
  EXPECT_EQ(From({{"DATABASE_URL", "password=*"}}).Redact("a * b"), "a *** b");
  EXPECT_EQ(From({{"DATABASE_URL", "password=''"}}).Redact("as it is"),
            "as it is");
}

}  // namespace
