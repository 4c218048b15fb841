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
  std::string packed(
      libdeflate_gzip_compress_bound(compressor.get(), text.size()), '\0');
  packed.resize(libdeflate_gzip_compress(compressor.get(), text.data(),
                                         text.size(), packed.data(),
                                         packed.size()));
  packed.shrink_to_fit();
  return packed;
}

}  // namespace meshhook
