// Tokens that say where the next page of a list begins. Opaque to callers; good for the request
// they were made for only.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace dimwatch::server {

// A token for the rows behind `key`. `request` is told apart from others by everything in it but
// page_size and page_token.
std::string MakePageToken(const google::protobuf::Message& request, absl::string_view key);

// The key within; INVALID_ARGUMENT if the token was not made for this request. REQUIRES: not empty.
absl::StatusOr<std::string> ReadPageToken(const google::protobuf::Message& request,
                                          const std::string& token);

// `page_size` within bounds: 0 is `otherwise`, more than `most` is `most`, less is
// INVALID_ARGUMENT.
absl::StatusOr<int> PageSize(std::int32_t page_size, int otherwise, int most);

}  // namespace dimwatch::server
