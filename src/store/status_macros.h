// Passing on what failed.
#pragma once

#include "absl/status/status.h"

// Returns from the function if `expression`, an absl::Status, is not OK.
#define DIMWATCH_RETURN_IF_ERROR(expression)                                  \
  do {                                                                        \
    if (absl::Status returned_status = (expression); !returned_status.ok()) { \
      return returned_status;                                                 \
    }                                                                         \
  } while (false)
