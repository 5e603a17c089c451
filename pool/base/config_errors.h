/* SPDX-License-Identifier: MIT */
/* config_errors.h - what is wrong with a configuration, in lines for a person. */
#ifndef RASIP_CONFIG_ERRORS_H
#define RASIP_CONFIG_ERRORS_H

#include <stddef.h>

/* Every mistake found, in the order of the file; all-zero is none. */
struct config_errors {
	char **lines; /* "FILE:LINE: message" without a newline */
	size_t n;
};

/* Frees the lines; there are none afterwards. */
void config_errors_done(struct config_errors *errors);

#endif
