#include "server/http_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <semaphore>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "httplib.h"
#include "server/http_connection.h"
#include "server/limits.h"
#include "server/log.h"
#include "server/request_id.h"
#include "src/base/thread_pool.h"

namespace dimwatch::server {
namespace {

using HandlerResponse = httplib::Server::HandlerResponse;

// As it came, without the query.
std::string PathOf(const httplib::Request& request) {
  return request.target.substr(0, request.target.find('?'));
}

// With a provider, since httplib compresses a plain body as hard as it can where the client allows
// it: seconds for the metrics of some hundred runs. httplib asks for what a client calls a range of
// the body, wherever that lies.
void Send(HttpReply reply, httplib::Response& response) {
  response.status = reply.status;
  const std::size_t size = reply.body.size();
  response.set_content_provider(size, reply.type,
                                [body = std::move(reply.body)](std::size_t from, std::size_t length,
                                                               httplib::DataSink& sink) {
                                  if (from > body.size() || length > body.size() - from) {
                                    return false;
                                  }
                                  return sink.write(body.data() + from, length);
                                });
  response.set_header("Cache-Control", "no-store");
  response.set_header("X-Content-Type-Options", "nosniff");
  if (reply.status == 401) response.set_header("WWW-Authenticate", "Bearer");
}

constexpr char kRequestId[] = "X-Request-Id";

// In the reply before anything else is, so that whatever goes wrong can be told with it.
void SetRequestId(const httplib::Request& request, httplib::Response& response) {
  if (response.has_header(kRequestId)) return;
  const bool one = request.get_header_value_count(kRequestId) == 1;
  response.set_header(kRequestId, RequestIdFrom(one ? request.get_header_value(kRequestId) : ""));
}

// Every request that came as far as to be answered.
void NoteEnd(ServerMetrics& metrics, const httplib::Request& request,
             const httplib::Response& response) {
  const std::string path = PathOf(request);
  metrics.CountHttpRequest(RouteOf(path), response.status);
  Log(response.status == 500 ? LogLevel::kError : LogLevel::kDebug, "HTTP request handled",
      {{"method", request.method},
       {"path", path},
       {"request", response.get_header_value(kRequestId)},
       {"code", response.status}});
}

// The path is taken from the target as it came: httplib decodes %2F in Request::path.
void Serve(HttpApi& api, const httplib::Request& request, httplib::Response& response) {
  SetRequestId(request, response);
  const std::string path = PathOf(request);
  // Several headers of a kind are one list, which is no token.
  std::string authorization = request.get_header_value("Authorization");
  for (std::size_t i = 1; i < request.get_header_value_count("Authorization"); ++i) {
    absl::StrAppend(&authorization, ", ", request.get_header_value("Authorization", i));
  }
  Send(api.Get(path, {request.params.begin(), request.params.end()}, authorization), response);
}

void ServeError(const httplib::Request& request, httplib::Response& response) {
  if (response.has_header("Content-Type")) return;  // one of HttpApi's own
  SetRequestId(request, response);
  if (response.status == 404) {  // no handler, so no GET
    response.set_header("Allow", "GET, HEAD");
    Send({405, "application/json",
          R"({"code":"UNIMPLEMENTED","message":"only GET is served"})"
          "\n"},
         response);
    return;
  }
  Send({response.status, "application/json",
        absl::StrCat(R"({"code":"INVALID_ARGUMENT","message":"the request is malformed, too long )"
                     R"(or has a body that is too large"})",
                     "\n")},
       response);
}

// Without SO_REUSEPORT, httplib's default: two servers must not share a port.
void SetSocketOptions(int socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

// Connections wait for a thread here, so many that they cannot take all descriptors; the others
// wait with the kernel.
class BoundedQueue final : public httplib::TaskQueue {
 public:
  void enqueue(std::function<void()> serve) override {
    places_.acquire();
    threads_->Submit([this, serve = std::move(serve)] {
      serve();
      places_.release();
    });
  }
  void shutdown() override { threads_.reset(); }

 private:
  std::counting_semaphore<> places_{kHttpConnections};
  std::unique_ptr<ThreadPool> threads_ = std::make_unique<ThreadPool>(kHttpThreads);
};

// Replies are whole: httplib takes the ranges that a client asks for as they are.
void IgnoreRanges(httplib::Request& request) { request.ranges.clear(); }

class BoundedServer final : public httplib::Server {
 private:
  // In httplib's place, which bounds no request as a whole.
  bool process_and_close_socket(socket_t socket) override {
    HttpConnection connection(socket);
    bool sound = true;
    for (std::size_t left = keep_alive_max_count_; sound && left > 0; --left) {
      if (svr_sock_ == INVALID_SOCKET || !connection.AwaitRequest()) break;
      bool closed = false;
      sound = process_request(connection, left == 1, closed, IgnoreRanges) && !closed;
    }
    ::shutdown(socket, SHUT_RDWR);
    close(socket);
    return sound;
  }
};

void Configure(httplib::Server& server, HttpApi& api, ServerMetrics& metrics) {
  server.new_task_queue = [] { return new BoundedQueue; };
  server.set_socket_options(SetSocketOptions);
  server.set_tcp_nodelay(true);
  server.set_keep_alive_timeout(kHttpIdleSeconds);  // as replies say
  server.set_keep_alive_max_count(kHttpRequestsPerConnection);
  server.set_payload_max_length(kHttpMaxBodyBytes);
  server.set_pre_routing_handler(
      [&api](const httplib::Request& request, httplib::Response& response) {
        if (request.method != "GET" && request.method != "HEAD") return HandlerResponse::Unhandled;
        Serve(api, request, response);
        return HandlerResponse::Handled;
      });
  server.set_logger([&metrics](const httplib::Request& request, const httplib::Response& response) {
    NoteEnd(metrics, request, response);
  });
  server.set_error_handler(httplib::Server::Handler(ServeError));
  server.set_exception_handler(
      [](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
        Log(LogLevel::kError, "an HTTP handler failed",
            {{"request", response.get_header_value(kRequestId)}});
        Send(ErrorReply(absl::InternalError("the server failed; its log says more")), response);
      });
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const Address& address, HttpApi& api,
                                                              ServerMetrics& metrics) {
  std::unique_ptr<httplib::Server> server = std::make_unique<BoundedServer>();
  Configure(*server, api, metrics);
  Address bound = address;
  bool good = true;
  if (address.port == 0) {
    bound.port = server->bind_to_any_port(address.host);
    good = bound.port > 0;
  } else {
    good = server->bind_to_port(address.host, address.port);
  }
  if (!good) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on --http ", ToString(address),
                     "; is the port in use, the address this machine's?"));
  }
  return std::unique_ptr<HttpServer>(new HttpServer(bound, std::move(server)));
}

HttpServer::HttpServer(Address address, std::unique_ptr<httplib::Server> server)
    : address_(std::move(address)), server_(std::move(server)), thread_([this] { Loop(); }) {}

void HttpServer::Loop() {
  const bool stopped = server_->listen_after_bind();
  ended_ = true;
  if (!stopped)
    Log(LogLevel::kError, "HTTP is not served any more", {{"http", ToString(address_)}});
}

HttpServer::~HttpServer() {
  // stop() before the loop has begun would be lost.
  while (!server_->is_running() && !ended_) std::this_thread::yield();
  server_->stop();
  thread_.join();
}

}  // namespace dimwatch::server
