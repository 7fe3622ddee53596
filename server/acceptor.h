// Takes gRPC's connections in gRPC's stead.
//
// Once accept() has failed for want of a descriptor, gRPC 1.51 never calls it again, and the port
// is dead until a restart: whoever opens enough connections does that (CVE-2023-4785). Here they
// are refused beyond a bound instead, which also leaves descriptors for everything else.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/server_builder.h"
#include "server/config.h"

namespace dimwatch::server {

// For Acceptor::Listen: leaves a quarter of what the process may open to logs, the store and HTTP.
int MostDescriptorsOfConnections();

// Accepts from Start until it is destroyed, on a thread of its own.
class Acceptor {
 public:
  // Listens on every address of the host; port 0 takes one that is free. A connection whose
  // descriptor is `most_descriptors` or greater is closed at once: descriptors are given out from
  // the lowest on, so that no more than so many are open. UNAVAILABLE if no address can be bound.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Listen(const Address& address,
                                                          int most_descriptors);
  ~Acceptor();

  // With the port that was taken.
  const Address& address() const { return address_; }

  // Once. Connections go to `grpc` from now on.
  void Start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> grpc);

 private:
  Acceptor(Address address, int most_descriptors)
      : address_(std::move(address)), most_descriptors_(most_descriptors) {}
  void Loop();
  // False if it is better to wait a moment.
  bool AcceptFrom(int listener);
  void NoteRefused(int descriptor);

  Address address_;
  const int most_descriptors_;
  std::vector<int> listeners_;
  int wake_ = -1;         // an eventfd that ends Loop
  bool refused_ = false;  // said in the log, once
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> grpc_;
  std::thread thread_;
};

}  // namespace dimwatch::server
