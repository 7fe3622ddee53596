#include "src/base/npy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "src/base/dtype.h"
#include "src/base/names.h"

namespace dimwatch {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeaderBytes = 65'536;  // numpy's own are below 200

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<std::uint64_t> shape;
  std::uint64_t data_offset = 0;
};

absl::Status Bad(const std::filesystem::path& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(Quoted(path.string()), ": ", what));
}

// The text behind `'key':` in a Python dict literal as numpy writes it.
std::optional<std::string_view> ValueOf(std::string_view dict, std::string_view key) {
  const std::string quoted = absl::StrCat("'", std::string(key), "':");
  const std::size_t at = dict.find(quoted);
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t value = dict.find_first_not_of(' ', at + quoted.size());
  return value == std::string_view::npos ? "" : dict.substr(value);
}

bool ParseDescr(std::string_view dict, Header& header) {
  const std::optional<std::string_view> value = ValueOf(dict, "descr");
  if (!value || value->empty()) return false;
  if (value->front() != '\'') {  // a structured dtype
    header.descr = std::string(value->substr(0, value->find(']') + 1));
    return true;
  }
  const std::size_t end = value->find('\'', 1);
  if (end == std::string_view::npos) return false;
  header.descr = std::string(value->substr(1, end - 1));
  return true;
}

bool ParseShape(std::string_view dict, Header& header) {
  const std::optional<std::string_view> value = ValueOf(dict, "shape");
  if (!value || value->empty() || value->front() != '(') return false;
  const std::size_t end = value->find(')');
  if (end == std::string_view::npos) return false;
  for (absl::string_view size :
       absl::StrSplit(absl::string_view(value->data() + 1, end - 1), ',', absl::SkipWhitespace())) {
    std::uint64_t extent = 0;
    if (!absl::SimpleAtoi(size, &extent)) return false;
    header.shape.push_back(extent);
  }
  return true;
}

bool ParseDict(std::string_view dict, Header& header) {
  const std::optional<std::string_view> order = ValueOf(dict, "fortran_order");
  if (!order) return false;
  header.fortran_order = order->starts_with("True");
  return (header.fortran_order || order->starts_with("False")) && ParseDescr(dict, header) &&
         ParseShape(dict, header);
}

absl::StatusOr<Header> ReadHeader(const std::filesystem::path& path, std::istream& in) {
  char prefix[8];
  if (!in.read(prefix, sizeof(prefix)) || std::string_view(prefix, kMagic.size()) != kMagic) {
    return Bad(path, "is not a .npy file: it does not begin with the bytes \\x93NUMPY");
  }
  const int version = static_cast<unsigned char>(prefix[6]);
  if (version < 1 || version > 3) {
    return Bad(path, absl::StrCat("has .npy version ", version, "; 1 to 3 are known"));
  }
  std::uint32_t length = 0;
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::string dict;
  if (in.read(reinterpret_cast<char*>(&length), static_cast<std::streamsize>(length_bytes)) &&
      length <= kMaxHeaderBytes) {
    dict.resize(length);
    in.read(dict.data(), static_cast<std::streamsize>(length));
  }
  Header header;
  header.data_offset = sizeof(prefix) + length_bytes + length;
  if (!in || length > kMaxHeaderBytes || !ParseDict(dict, header)) {
    return Bad(path, "has a damaged or truncated .npy header");
  }
  return header;
}

absl::StatusOr<DType> DTypeOf(const std::filesystem::path& path, const Header& header) {
  if (header.descr == "<f4") return DType::kF32;
  if (header.descr == "<f2") return DType::kF16;
  if (header.descr == "<f8") return DType::kF64;
  const char* const kind = header.descr.starts_with(">") ? "is big-endian, dtype " : "has dtype ";
  return Bad(path, absl::StrCat(kind, Quoted(header.descr),
                                "; little-endian float16, float32 and float64 are allowed ('<f2', "
                                "'<f4', '<f8')"));
}

std::string ShapeText(const Header& header) {
  return absl::StrCat("(", absl::StrJoin(header.shape, ", "), ")");
}

absl::Status CheckShape(const std::filesystem::path& path, const Header& header) {
  const bool empty = std::ranges::find(header.shape, std::uint64_t{0}) != header.shape.end();
  if (empty || header.shape.empty()) {
    return Bad(path, absl::StrCat("is empty, shape ", ShapeText(header),
                                  "; at least one row and one component are needed"));
  }
  if (header.fortran_order) {
    return Bad(path,
               "is Fortran-ordered (column by column); save it in C order, for example with "
               "numpy.ascontiguousarray");
  }
  return absl::OkStatus();
}

absl::Status CheckSize(const std::filesystem::path& path, const Header& header, DType dtype,
                       std::uint64_t file_bytes) {
  std::uint64_t needed = SizeOf(dtype);
  bool overflow = false;
  for (const std::uint64_t extent : header.shape) {
    overflow = overflow || extent > UINT64_MAX / needed;
    needed = overflow ? UINT64_MAX : needed * extent;
  }
  const std::uint64_t held = file_bytes - header.data_offset;
  if (held == needed && !overflow) return absl::OkStatus();
  return Bad(path, absl::StrCat(held < needed ? "is truncated: " : "is too long: ", held,
                                " bytes of data where shape ", ShapeText(header), " needs ",
                                overflow ? "more than memory can hold" : absl::StrCat(needed)));
}

// A file that was found sound, up to its data.
struct OpenFile {
  std::ifstream in;
  Header header;
  DType dtype = DType::kF32;
};

// `dimensions`: how many there must be; 0: any number.
absl::StatusOr<OpenFile> Open(const std::filesystem::path& path, std::size_t dimensions) {
  std::error_code error;
  const std::uint64_t file_bytes = std::filesystem::file_size(path, error);
  if (error == std::errc::no_such_file_or_directory) {
    return absl::NotFoundError(absl::StrCat(Quoted(path.string()), ": no such file"));
  }
  OpenFile file;
  file.in.open(path, std::ios::binary);
  if (error || !file.in) {
    return Bad(path, error ? error.message() : "cannot be opened for reading");
  }
  if (file_bytes == 0) return Bad(path, "is an empty file; a .npy array is needed");
  absl::StatusOr<Header> header = ReadHeader(path, file.in);
  if (!header.ok()) return header.status();
  const absl::StatusOr<DType> dtype = DTypeOf(path, *header);
  if (!dtype.ok()) return dtype.status();
  if (dimensions != 0 && header->shape.size() != dimensions) {
    return Bad(path,
               absl::StrCat("is ", header->shape.size(), "-dimensional, shape ", ShapeText(*header),
                            "; a 2-dimensional array of rows x components is needed"));
  }
  absl::Status status = CheckShape(path, *header);
  if (status.ok()) status = CheckSize(path, *header, *dtype, file_bytes);
  if (!status.ok()) return status;
  file.header = *std::move(header);
  file.dtype = *dtype;
  return file;
}

absl::Status ReadBytes(const std::filesystem::path& path, std::istream& in, std::string& bytes) {
  if (in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) return absl::OkStatus();
  return Bad(path, "could not be read to its end");
}

}  // namespace

absl::StatusOr<PointCloud> ReadNpy(const std::filesystem::path& path) {
  absl::StatusOr<OpenFile> file = Open(path, 2);
  if (!file.ok()) return file.status();
  const std::size_t dim = file->header.shape[1];
  std::vector<float> data(file->header.shape[0] * dim);
  std::string row(dim * SizeOf(file->dtype), '\0');
  for (std::size_t i = 0; i < data.size(); i += dim) {
    if (absl::Status status = ReadBytes(path, file->in, row); !status.ok()) return status;
    DecodeComponents(file->dtype, row, std::span(data).subspan(i, dim));
  }
  return PointCloud(std::move(data), dim);
}

absl::StatusOr<NpyArray> ReadNpyArray(const std::filesystem::path& path) {
  absl::StatusOr<OpenFile> file = Open(path, 0);
  if (!file.ok()) return file.status();
  NpyArray array;
  array.dtype = file->dtype;
  array.shape.assign(file->header.shape.begin(), file->header.shape.end());
  std::size_t bytes = SizeOf(file->dtype);
  for (const std::size_t extent : array.shape) bytes *= extent;
  array.data.resize(bytes);
  if (absl::Status status = ReadBytes(path, file->in, array.data); !status.ok()) return status;
  return array;
}

absl::Status WriteNpy(const std::filesystem::path& path, std::span<const double> values) {
  std::string dict =
      absl::StrCat("{'descr': '<f8', 'fortran_order': False, 'shape': (", values.size(), ",), }");
  constexpr std::size_t kPrefix = 10;
  dict.append(63 - (kPrefix + dict.size()) % 64, ' ');  // data begin at a multiple of 64
  dict.push_back('\n');
  const auto length = static_cast<std::uint16_t>(dict.size());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << kMagic << '\x01' << '\x00';
  out.write(reinterpret_cast<const char*>(&length), sizeof(length));
  out << dict;
  out.write(reinterpret_cast<const char*>(values.data()),
            static_cast<std::streamsize>(values.size_bytes()));
  out.close();
  if (out) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(Quoted(path.string()), ": could not be written"));
}

}  // namespace dimwatch
