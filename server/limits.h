// Limits of the adaptors. What an operator may want to change is in config.h instead.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace dimwatch::server {

// A gRPC message may exceed SampleBatch.data by its other fields (sample ids take up to ten bytes a
// row), and a batch that is only somewhat too large should be rejected by itself and not end its
// stream.
inline constexpr std::int64_t kMessageSlackBytes = 16 << 20;

// Bytes that gRPC holds of all connections: messages that have not come whole, for the most part.
inline constexpr std::size_t kMaxTransportBytes = 512 << 20;

// No connection gets a descriptor of this number or a greater one, nor more than three quarters of
// what the process may open. One costs about 20 KiB.
inline constexpr int kMostDescriptorsOfConnections = 16'384;

// Headers of an RPC. Beyond it gRPC 1.51 loses step with the compression of its peer's headers
// (CVE-2023-32731), which on a proxy's connection belong to several callers: more than HAProxy
// (16 KiB) and Envoy (60 KiB) pass on unless told otherwise.
inline constexpr int kMaxHeaderBytes = 128 << 10;

// RPCs of one connection at a time: each costs about 20 KiB as long as it is open.
inline constexpr int kMaxStreamsPerConnection = 256;

// Calls that a connection may begin in a second and leave without an answer. Somebody with a proxy
// in front has 256 at a time: all of them would have to give up within a quarter of a second, again
// and again.
inline constexpr std::int64_t kMaxAbandonedCalls = 1000;

// Threads that serve requests: they read the store and log items, so that gRPC's own never block.
inline constexpr std::size_t kHandlerThreads = 16;

// Events that wait for a slow ingest client; beyond it older ones of the same probe or signal give
// way to newer ones.
inline constexpr std::size_t kMaxQueuedEvents = 512;
// Rejections that wait for a slow ingest client; beyond it the server stops reading.
inline constexpr std::size_t kMaxQueuedNacks = 256;

// Events that a WatchRun reads from the store at a time: all that a slow watcher holds.
inline constexpr int kWatchPage = 256;

// One cloud of EstimatorService, as sent.
inline constexpr std::int64_t kMaxCloudBytes = 256 << 20;
// Clouds of EstimatorService being received or estimated at a time.
inline constexpr int kMaxCloudsInFlight = 4;

// Pages of lists.
inline constexpr int kDefaultPageSize = 1000;
inline constexpr int kMaxPageSize = 10'000;
inline constexpr int kDefaultRunsPageSize = 50;
inline constexpr int kMaxRunsPageSize = 1000;

// CompareRuns.
inline constexpr int kMaxComparedRuns = 50;
inline constexpr int kDefaultComparedPoints = 500;
inline constexpr int kMaxComparedPoints = 10'000;

// What a run may carry besides its samples (run.proto states them).
inline constexpr std::size_t kMaxTextBytes = 256;
inline constexpr std::size_t kMaxLabels = 32;
inline constexpr std::size_t kMaxLabelKeyBytes = 64;
inline constexpr std::size_t kMaxHyperparametersBytes = 64 << 10;

// HTTP: connections that are served or wait to be, and threads. A silent connection holds a thread
// for kHttpIdleSeconds, a request for kHttpReadSeconds until it has come whole, and for
// kHttpWriteSeconds from then on.
inline constexpr std::ptrdiff_t kHttpConnections = 256;
inline constexpr std::size_t kHttpThreads = 32;
inline constexpr std::time_t kHttpIdleSeconds = 2;
inline constexpr std::time_t kHttpReadSeconds = 5;
inline constexpr std::time_t kHttpWriteSeconds = 30;
// Requests on one connection.
inline constexpr std::size_t kHttpRequestsPerConnection = 1000;
// Body of a request; nothing that is served takes one.
inline constexpr std::size_t kHttpMaxBodyBytes = 64 << 10;
// Of a request with its headers, of which httplib bounds each and not the number.
inline constexpr std::size_t kHttpMaxRequestBytes = 128 << 10;

// How long RPCs may go on after the runs were persisted at a stop.
inline constexpr std::chrono::seconds kShutdownGrace{3};

}  // namespace dimwatch::server
