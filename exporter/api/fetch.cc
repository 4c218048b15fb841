// SPDX-License-Identifier: MIT
#include "exporter/api/fetch.h"

#include <curl/curl.h>

#include <memory>

#include "exporter/errors.h"

namespace meshhook::api {
namespace {

struct FreeHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

// "" where the URL has none.
std::string Part(const Url& url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, 0) != CURLUE_OK) return "";
  const std::unique_ptr<char, FreeText> owned(text);
  return text;
}

// Before the first thread uses it.
void StartLibrary() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) throw FetchError(curl_easy_strerror(started));
}

struct Body {
  std::string text;
  size_t most_bytes;
};

// Fewer bytes than came make libcurl give up.
size_t Append(char* bytes, size_t /*one*/, size_t count, void* body_pointer) {
  auto& body = *static_cast<Body*>(body_pointer);
  if (body.text.size() + count > body.most_bytes) return 0;
  body.text.append(bytes, count);
  return count;
}

}  // namespace

std::string ShownUrl(const std::string& url) {
  const Url parsed(curl_url());
  const bool read =
      parsed != nullptr &&
      curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK;
  const std::string scheme = read ? Part(parsed, CURLUPART_SCHEME) : "";
  if (scheme != "http" && scheme != "https") {
    throw UsageError(
        "the URL of the JWKS is no http or https URL",
        "give it in full, such as "
        "https://PROJECT.supabase.co/auth/v1/.well-known/jwks.json");
  }
  for (const auto part : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                          CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    curl_url_set(parsed.get(), part, nullptr, 0);
  }
  return Part(parsed, CURLUPART_URL);
}

std::string Fetch(const std::string& url, size_t most_bytes,
                  std::chrono::milliseconds patience) {
  StartLibrary();
  const std::unique_ptr<CURL, FreeHandle> handle(curl_easy_init());
  if (handle == nullptr) throw FetchError("no memory for a request");
  Body body{.text = "", .most_bytes = most_bytes};
  const auto set = [&handle](CURLoption option, auto value) {
    if (curl_easy_setopt(handle.get(), option, value) != CURLE_OK) {
      throw FetchError("libcurl lacks an option that this needs");
    }
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_NOSIGNAL, 1L);  // there are threads
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(patience.count()));
  set(CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(most_bytes));
  set(CURLOPT_WRITEFUNCTION, &Append);
  set(CURLOPT_WRITEDATA, &body);
  if (const CURLcode failed = curl_easy_perform(handle.get());
      failed != CURLE_OK) {
    // Not its longer message, which may repeat what the server said.
    throw FetchError(failed == CURLE_WRITE_ERROR
                         ? curl_easy_strerror(CURLE_FILESIZE_EXCEEDED)
                         : curl_easy_strerror(failed));
  }
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) {
    throw FetchError("it answered with status " + std::to_string(status));
  }
  return body.text;
}

}  // namespace meshhook::api
