#include "server/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/grpc.h"
#include "src/base/names.h"

namespace dimwatch::server {

namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

absl::Status Wrong(const std::string& file, absl::string_view problem) {
  ERR_clear_error();
  return absl::InvalidArgumentError(absl::StrCat(Quoted(file), " ", problem));
}

absl::StatusOr<std::string> ReadFile(const std::string& file) {
  std::ifstream in(file);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in || text.empty()) return Wrong(file, "cannot be read, or is empty");
  return text;
}

Bio Memory(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

Certificate FirstCertificate(const std::string& text) {
  const Bio bio = Memory(text);
  return {PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free};
}

// Never asks for a password on the terminal.
Key PrivateKey(const std::string& text) {
  const Bio bio = Memory(text);
  const auto no_password = [](char*, int, int, void*) { return -1; };
  return {PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr), &EVP_PKEY_free};
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm utc = {};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return absl::InfinitePast();
  return absl::FromTM(utc, absl::UTCTimeZone());
}

std::string Print(absl::Time time) {
  return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<Tls::Contents> Tls::Read(const TlsFiles& files, absl::Time now) {
  absl::StatusOr<std::string> certificate = ReadFile(files.certificate);
  if (!certificate.ok()) return certificate.status();
  absl::StatusOr<std::string> key = ReadFile(files.key);
  if (!key.ok()) return key.status();
  absl::StatusOr<std::string> client_roots;
  if (!files.client_roots.empty()) client_roots = ReadFile(files.client_roots);
  if (!files.client_roots.empty() && !client_roots.ok()) return client_roots.status();

  const Certificate first = FirstCertificate(*certificate);
  if (first == nullptr) return Wrong(files.certificate, "has no certificate in PEM form");
  const Key private_key = PrivateKey(*key);
  if (private_key == nullptr) {
    return Wrong(files.key, "has no private key in PEM form without a password");
  }
  if (X509_check_private_key(first.get(), private_key.get()) != 1) {
    return Wrong(files.key, absl::StrCat("is not the key of ", Quoted(files.certificate)));
  }
  const absl::Time from = TimeOf(X509_get0_notBefore(first.get()));
  const absl::Time until = TimeOf(X509_get0_notAfter(first.get()));
  if (now < from || now >= until) {
    return Wrong(files.certificate, absl::StrCat("is valid from ", Print(from), " until ",
                                                 Print(until), " only; now is ", Print(now)));
  }
  if (client_roots.ok() && FirstCertificate(*client_roots) == nullptr) {
    return Wrong(files.client_roots, "has no certificate in PEM form");
  }
  return Contents{*std::move(certificate), *std::move(key),
                  client_roots.ok() ? *std::move(client_roots) : "", until};
}

absl::StatusOr<std::unique_ptr<Tls>> Tls::Open(TlsFiles files, absl::Time now) {
  std::unique_ptr<Tls> tls(new Tls(std::move(files)));
  if (absl::Status status = tls->Reload(now); !status.ok()) return status;
  return tls;
}

absl::Status Tls::Reload(absl::Time now) {
  absl::StatusOr<Contents> contents = Read(files_, now);
  if (!contents.ok()) return contents.status();
  const std::lock_guard lock(mutex_);
  contents_ = *std::move(contents);
  fetched_ = false;
  return absl::OkStatus();
}

absl::Time Tls::expire_time() const {
  const std::lock_guard lock(mutex_);
  return contents_.expire_time;
}

grpc_ssl_certificate_config_reload_status Tls::Fetch(void* self,
                                                     grpc_ssl_server_certificate_config** config) {
  Tls& tls = *static_cast<Tls*>(self);
  const std::lock_guard lock(tls.mutex_);
  if (tls.fetched_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
  tls.fetched_ = true;
  const Contents& contents = tls.contents_;
  const grpc_ssl_pem_key_cert_pair pair = {contents.key.c_str(), contents.certificate.c_str()};
  // It insists on roots, also where clients are not asked for certificates.
  const std::string& roots =
      contents.client_roots.empty() ? contents.certificate : contents.client_roots;
  *config = grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
  return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

namespace {

// gRPC's own credentials that ask for certificates at every handshake, which only its C interface
// has. Its C++ class that watches files would take a key that does not fit its certificate.
class FetchedCredentials final : public grpc::ServerCredentials {
 public:
  // Takes them over.
  explicit FetchedCredentials(grpc_server_credentials* credentials) : credentials_(credentials) {}
  ~FetchedCredentials() override { grpc_server_credentials_release(credentials_); }

  // Nobody calls it: tokens are checked by Access.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> Tls::Credentials() {
  const auto request = files_.client_roots.empty()
                           ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                           : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY;
  return std::make_shared<FetchedCredentials>(grpc_ssl_server_credentials_create_with_options(
      grpc_ssl_server_credentials_create_options_using_config_fetcher(request, &Tls::Fetch, this)));
}

}  // namespace dimwatch::server
