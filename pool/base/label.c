/* SPDX-License-Identifier: MIT */
#include "label.h"

void label_print(FILE *file, const char *name, const char *value)
{
	fprintf(file, "%s=\"", name);
	for (; *value != '\0'; value++) {
		if (*value == '\\' || *value == '"')
			fprintf(file, "\\%c", *value);
		else if (*value == '\n')
			fputs("\\n", file);
		else
			fputc(*value, file);
	}
	fputc('"', file);
}
