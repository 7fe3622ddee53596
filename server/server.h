// The whole server, put together; main and the tests start it.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "server/config.h"
#include "src/base/clock.h"

namespace dimwatch::server {

// Thread-safe. Destruction stops it.
class Server {
 public:
  // Locks and opens the data folder, restores all runs and serves. `clock` outlives it. Errors say
  // what to change.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const Config& config, const Clock& clock);
  ~Server();

  // With the ports that were taken.
  Address grpc_address() const;
  Address http_address() const;

  // What may change while it serves: defaults of projects, for runs that are created or updated
  // from now on, and how long ended runs are kept.
  void SetProjects(const Config& config);
  // Reads the tokens and the certificates again. Streams of tokens that are gone are ended;
  // connections stay. What cannot be read leaves what was there before, each of the two by itself;
  // the log says what became of them.
  void ReloadSecrets();
  // Housekeeping; to be called about once a second.
  void Tick();
  // Sends Draining on all streams, persists everything, ends all RPCs. Once.
  void Stop();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  absl::Status Listen(const Config& config);
  absl::StatusOr<std::size_t> ReadTokensAgain();
  std::unique_ptr<Parts> parts_;
};

}  // namespace dimwatch::server
