/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target without a fuzzer: gives it each file named on the command line, once. So what has
 * been found and kept is tried again by every compiler, on every machine, under any checker.
 */
#include "fuzz.h"

static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	long size = -1;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size >= 0)
		data = malloc((size_t)size + 1);
	if (data != NULL) {
		rewind(file);
		if (fread(data, 1, (size_t)size, file) != (size_t)size) {
			free(data);
			data = NULL;
		}
		*ret_size = (size_t)size;
	}
	if (file != NULL)
		fclose(file);
	return data;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		size_t size = 0;
		uint8_t *data = read_file(argv[i], &size);

		if (data == NULL) {
			perror(argv[i]);
			return 1;
		}
		(void)LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	printf("%d inputs\n", argc - 1);
	return 0;
}
