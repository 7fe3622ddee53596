#include "dimwatch/client.h"
