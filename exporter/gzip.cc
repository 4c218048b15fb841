// SPDX-License-Identifier: MIT
#include "exporter/gzip.h"

#include <libdeflate.h>

#include <memory>
#include <new>

namespace meshhook {
namespace {

struct Free {
  void operator()(libdeflate_compressor* compressor) const {
    libdeflate_free_compressor(compressor);
  }
};

}  // namespace

std::string Gzip(std::string_view text) {
  // More effort takes twice as long to make a page a tenth smaller.
  constexpr int kFastest = 1;
  const std::unique_ptr<libdeflate_compressor, Free> compressor(
      libdeflate_alloc_compressor(kFastest));
  if (!compressor) throw std::bad_alloc();
  // Not a string: that would write every byte of what is mostly never used.
  const size_t bound =
      libdeflate_gzip_compress_bound(compressor.get(), text.size());
  const auto packed = std::make_unique_for_overwrite<char[]>(bound);
  const size_t size = libdeflate_gzip_compress(
      compressor.get(), text.data(), text.size(), packed.get(), bound);
  return {packed.get(), size};
}

}  // namespace meshhook
