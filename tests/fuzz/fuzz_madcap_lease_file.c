/* SPDX-License-Identifier: MIT */
/* Whatever a lease file holds: a lease that can be written and read again, or none. */
#include "fuzz.h"
#include "madcap/lease_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct madcap_lease *lease = NULL, *again = NULL;
	struct error error;
	char *text;

	if (lease_parse((const char *)data, size, &lease, &error) != 0)
		return 0;
	text = lease_print(lease);
	require(text != NULL && lease_parse(text, strlen(text), &again, &error) == 0 &&
			again->n_addresses == lease->n_addresses &&
			again->id.size == lease->id.size,
		"a lease is written and read again");
	free(text);
	lease_free(lease);
	lease_free(again);
	return 0;
}
