/* SPDX-License-Identifier: MIT */
/* label.h - the values of labels in metrics, as Prometheus reads them. */
#ifndef RASIP_LABEL_H
#define RASIP_LABEL_H

#include <stdio.h>

/* Prints NAME="VALUE", with what has to be escaped. `value` is UTF-8. */
void label_print(FILE *file, const char *name, const char *value);

#endif
