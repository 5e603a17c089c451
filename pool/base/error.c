/* SPDX-License-Identifier: MIT */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void error_set(struct error *error, const char *format, ...)
{
	va_list args;

	if (error == NULL)
		return;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
}

void error_set_errno(struct error *error, int errnum, const char *format, ...)
{
	va_list args;
	size_t used;

	if (error == NULL)
		return;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof(error->text) - used, ": %s", strerror(errnum));
}

void error_prefix(struct error *error, const char *format, ...)
{
	struct error old;
	va_list args;
	size_t used;

	if (error == NULL)
		return;
	old = *error;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof(error->text) - used, " %.*s",
		 (int)(sizeof(old.text) - 1), old.text);
}

const char *pool_strerror(int code)
{
	switch (code) {
	case POOL_OK:
		return "success";
	case POOL_E_REFUSED:
		return "refused";
	case POOL_E_INVALID:
		return "invalid argument";
	case POOL_E_NO_MEMORY:
		return "out of memory";
	case POOL_E_SYSTEM:
		return "system error";
	case POOL_E_STORE:
		return "the lease store failed";
	case POOL_E_DAMAGED:
		return "the lease store is damaged";
	case POOL_E_VERSION:
		return "the lease store was written by another version";
	case POOL_E_NOT_FOUND:
		return "not found";
	case POOL_E_NOT_OWNER:
		return "the lease belongs to another session";
	case POOL_E_CONFIG:
		return "the configuration does not load";
	case POOL_E_BACKEND:
		return "the pool's backend failed";
	default:
		return "unknown error";
	}
}
