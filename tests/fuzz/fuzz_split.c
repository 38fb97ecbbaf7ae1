/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's migration stream, which a QEMU that its guest has taken over may have written. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "qemu/split.h"

#define MEMORY (8 * 4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct split s = { .from = memfd_create("in", MFD_CLOEXEC),
			   .stream = memfd_create("stream", MFD_CLOEXEC),
			   .memory = memfd_create("memory", MFD_CLOEXEC),
			   .block = "pc.ram",
			   .block_bytes = MEMORY };
	struct split_counts counts = { 0 };
	struct stat st;
	struct err *e;

	check(write(s.from, data, size) == (ssize_t)size && lseek(s.from, 0, SEEK_SET) == 0);
	e = split_stream(&s, &counts);
	check(fstat(s.memory, &st) == 0 && st.st_size == MEMORY);
	check(e || counts.stream_bytes <= size);
	err_free(e);
	close(s.from);
	close(s.stream);
	close(s.memory);
	return 0;
}
