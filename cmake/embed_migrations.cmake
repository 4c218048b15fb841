# SPDX-License-Identifier: MIT
# Writes OUTPUT, a C++ source that holds every file of DIRECTORY/*.sql.
# Run at build time: cmake -DDIRECTORY=… -DOUTPUT=… -P embed_migrations.cmake
file(GLOB files ${DIRECTORY}/*.sql)
list(SORT files)
set(entries "")
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME)
  file(READ ${file} text)
  string(APPEND entries "    {\"${name}\", R\"__sql__(${text})__sql__\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/embed_migrations.cmake.
#include \"exporter/migrations.h\"

namespace meshhook {

const std::vector<Migration>& EmbeddedMigrations() {
  static const std::vector<Migration> migrations = {
${entries}  };
  return migrations;
}

}  // namespace meshhook
")
