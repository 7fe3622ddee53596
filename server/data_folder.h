// The folder that holds everything a server keeps, locked against a second server.
#pragma once

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "src/store/data_files.h"

namespace dimwatch::server {

// Holds the lock while it lives; the system releases it when the process dies, however it dies.
class DataFolder {
 public:
  // Creates the folder (readable by its owner only) if it is not there. FAILED_PRECONDITION if
  // another server holds it, PERMISSION_DENIED or INTERNAL with the system's reason otherwise.
  static absl::StatusOr<std::unique_ptr<DataFolder>> Lock(const std::filesystem::path& folder);
  ~DataFolder();
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;

  std::filesystem::path database() const { return files_.database(); }
  std::filesystem::path logs() const { return files_.logs(); }
  std::filesystem::path engine_costs() const { return files_.engine_costs(); }

 private:
  DataFolder(std::filesystem::path folder, int lock);

  DataFiles files_;
  int lock_;  // file descriptor
};

}  // namespace dimwatch::server
