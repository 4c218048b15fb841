# SPDX-License-Identifier: MIT
# Writes OUTPUT, a C++ source that defines SYMBOL of HEADER as the text of INPUT.
# Run at build time: cmake -DINPUT=… -DHEADER=… -DSYMBOL=… -DOUTPUT=… -P …
file(READ ${INPUT} text)
string(REGEX MATCH "^(.*)::([^:]+)$" matched ${SYMBOL})
file(WRITE ${OUTPUT} "// Made by cmake/embed_text.cmake.
#include \"${HEADER}\"

namespace ${CMAKE_MATCH_1} {

const char* const ${CMAKE_MATCH_2} = R\"__text__(${text})__text__\";

}  // namespace ${CMAKE_MATCH_1}
")
