#include "server/page_token.h"

#include <algorithm>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/errors.h"
#include "xxhash.h"

namespace dimwatch::server {
namespace {

using google::protobuf::Message;

std::string Fingerprint(const Message& request) {
  const std::unique_ptr<Message> bare(request.New());
  bare->CopyFrom(request);
  for (const char* field : {"page_size", "page_token"}) {
    bare->GetReflection()->ClearField(bare.get(), bare->GetDescriptor()->FindFieldByName(field));
  }
  std::string bytes = bare->GetTypeName();
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    bare->SerializeToCodedStream(&coded);
  }
  return absl::StrCat(absl::Hex(XXH3_64bits(bytes.data(), bytes.size()), absl::kZeroPad16));
}

}  // namespace

std::string MakePageToken(const Message& request, absl::string_view key) {
  return absl::WebSafeBase64Escape(absl::StrCat(Fingerprint(request), key));
}

absl::StatusOr<std::string> ReadPageToken(const Message& request, const std::string& token) {
  const std::string fingerprint = Fingerprint(request);
  std::string plain;
  if (!absl::WebSafeBase64Unescape(token, &plain) || plain.rfind(fingerprint, 0) != 0) {
    return InvalidField("page_token",
                        "is not the next_page_token of a request that was otherwise the same");
  }
  return plain.substr(fingerprint.size());
}

absl::StatusOr<int> PageSize(std::int32_t page_size, int otherwise, int most) {
  if (page_size < 0) {
    return InvalidField("page_size", absl::StrCat(page_size, "; 0 (the default, ", otherwise,
                                                  ") to ", most, " are allowed"));
  }
  return page_size == 0 ? otherwise : std::min(page_size, most);
}

}  // namespace dimwatch::server
