// Messages of the contract out of a fuzzer's input.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "google/protobuf/message.h"
#include "tests/fuzz/fuzz.h"

namespace dimwatch::fuzz {

using Words = std::span<const char* const>;

// Sets fields of `message`, found by their place in its descriptor; texts are mostly of `words`.
class MessageMaker {
 public:
  // All outlive it. REQUIRES: 1 to 255 words.
  MessageMaker(Choices& choices, Words words) : choices_(choices), words_(words) {}

  void Fill(google::protobuf::Message& message, int depth = 4) {
    const google::protobuf::Descriptor& type = *message.GetDescriptor();
    if (type.field_count() == 0 || depth == 0) return;
    for (std::size_t left = 1 + choices_.Below(10); left > 0 && !choices_.empty(); --left) {
      Set(message,
          *type.field(
              static_cast<int>(choices_.Below(static_cast<std::size_t>(type.field_count())))),
          depth);
    }
  }

  std::string Text() {
    const std::size_t word = choices_.Below(words_.size() + 1);
    if (word < words_.size()) return words_[word];
    return std::string(choices_.Take(choices_.Below(40)));
  }

 private:
  using Field = google::protobuf::FieldDescriptor;

  void Set(google::protobuf::Message& message, const Field& field, int depth) {
    const google::protobuf::Reflection& to = *message.GetReflection();
    const bool many = field.is_repeated();
    const auto put = [&](auto set, auto add, auto value) {
      many ? (to.*add)(&message, &field, value) : (to.*set)(&message, &field, value);
    };
    using R = google::protobuf::Reflection;
    switch (field.cpp_type()) {
      case Field::CPPTYPE_INT32:
        return put(&R::SetInt32, &R::AddInt32, static_cast<std::int32_t>(choices_.Number()));
      case Field::CPPTYPE_INT64:
        return put(&R::SetInt64, &R::AddInt64, choices_.Number());
      case Field::CPPTYPE_UINT32:
        return put(&R::SetUInt32, &R::AddUInt32, static_cast<std::uint32_t>(choices_.Number()));
      case Field::CPPTYPE_UINT64:
        return put(&R::SetUInt64, &R::AddUInt64, static_cast<std::uint64_t>(choices_.Number()));
      case Field::CPPTYPE_DOUBLE:
        return put(&R::SetDouble, &R::AddDouble, Number());
      case Field::CPPTYPE_FLOAT:
        return put(&R::SetFloat, &R::AddFloat, static_cast<float>(Number()));
      case Field::CPPTYPE_BOOL:
        return put(&R::SetBool, &R::AddBool, choices_.OneIn(2));
      case Field::CPPTYPE_ENUM:
        return put(&R::SetEnumValue, &R::AddEnumValue, static_cast<int>(choices_.Below(10)));
      case Field::CPPTYPE_STRING:
        many ? to.AddString(&message, &field, Text()) : to.SetString(&message, &field, Text());
        return;
      case Field::CPPTYPE_MESSAGE:
        Fill(many ? *to.AddMessage(&message, &field) : *to.MutableMessage(&message, &field),
             depth - 1);
    }
  }

  double Number() {
    return choices_.OneIn(4) ? choices_.Real() : static_cast<double>(choices_.Number()) / 8;
  }

  Choices& choices_;
  const Words words_;
};

// As a server gets it from the wire; none if a text is not UTF-8.
template <typename Message>
std::optional<Message> Received(const Message& sent) {
  std::optional<Message> received(std::in_place);
  if (!received->ParseFromString(sent.SerializeAsString())) received.reset();
  return received;
}

// protobuf says on stderr what it does not parse.
inline void SilenceProtobuf() { google::protobuf::SetLogHandler(nullptr); }

}  // namespace dimwatch::fuzz
