// SPDX-License-Identifier: MIT
#include "tests/load/options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>

namespace load {

Options ParseOptions(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Behaves like MeshHook's workers: starts workflow runs, lets them take\n"
      "their time and finishes them, as demo.workflow_behaviour says. Runs "
      "that\n"
      "an earlier load left unfinished are canceled at the start."};
  app.add_option("--database-url", options.database_url,
                 "libpq connection string (else libpq's PG* variables)")
      ->envname("DATABASE_URL");
  app.add_option("--rate", options.rate, "runs to start per second")
      ->check(CLI::Range(0.001, 100000.0))
      ->capture_default_str();
  app.add_option("--connections", options.connections, "workers to run")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "stop after that many")
      ->check(CLI::PositiveNumber);
  app.add_flag("--drain", options.drain,
               "after --seconds let the runs in flight finish");
  app.add_option("--duration-scale", options.duration_scale,
                 "multiply the durations of runs, 0.01 for short ones")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "repeats the same choices")
      ->capture_default_str();
  app.add_option("--seed-workflows", options.seed_workflows,
                 "workflows to create where there are none")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--projects", options.projects, "projects to spread them over")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--quiet", options.quiet, "no progress lines");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& mistake) {
    std::cerr << "meshhook-load: " << mistake.what() << '\n';
    std::exit(2);
  }
  return options;
}

}  // namespace load
