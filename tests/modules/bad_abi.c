/* SPDX-License-Identifier: MIT */
/* Made for another version of the interface. Must not load. */
#include "admin_module.h"

const struct rasip_admin_module rasip_admin_module = { .abi = RASIP_ADMIN_ABI + 1 };
