/* SPDX-License-Identifier: MIT */
/* A shared object that is no module. Must not load. */
#include "admin_module.h"

__attribute__((visibility("default"))) extern const struct rasip_admin_module not_a_module;
const struct rasip_admin_module not_a_module = { .abi = RASIP_ADMIN_ABI };
