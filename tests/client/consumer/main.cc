// Uses every part of the installed client; there need not be a server.
#include <dimwatch/client.h>

#include <chrono>
#include <cstdio>
#include <vector>

int main() {
  dimwatch::Run run = dimwatch::Run::Start({.server = "127.0.0.1:1", .project = "consumer"});
  dimwatch::Probe probe = run.AddProbe({.name = "train/last", .neighbors = 16});
  const std::vector<float> rows(64 * 8, 1.0F);
  probe.Log(rows.data(), 64, 8, 0, {.snapshot_end = true});
  run.Log({{"train/loss", 0.5}}, 0);
  const bool finished = run.Finish(std::chrono::milliseconds(200));
  std::printf("logged %lld finished %d stop %d\n", static_cast<long long>(run.stats().rows_logged),
              finished, run.ShouldStop());
  return run.stats().rows_logged == 64 && !finished && !run.ShouldStop() ? 0 : 1;
}
