/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that can be read while it goes on: spin FILE N counts blocks of steps in the Nth 64 bytes
 * of a file that others map too.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define STEPS 20000
#define LINE  64
#define BYTES 4096

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[1], O_RDWR) : -1;
	volatile uint64_t *count;
	volatile uint64_t sink;
	uint64_t x = 88172645463325252ull;
	char *page;

	if (fd < 0)
		err(1, "spin FILE N");
	page = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		err(1, "mmap");
	count = (volatile uint64_t *)(page + (size_t)atoi(argv[2]) % (BYTES / LINE) * LINE);
	for (;;) {
		for (int i = 0; i < STEPS; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		sink = x;
		(void)sink;
		++*count;
	}
}
