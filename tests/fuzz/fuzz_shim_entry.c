/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a json-file log; and any output, written as an entry, can be read back. */
#include "fuzz.h"
#include "shim/entry.h"
#include "shim/proto.h"

#define WHEN "1970-01-01T00:00:00.000000001Z"

static void read_foreign(const uint8_t *data, size_t size)
{
	OWN(mem) char *line = fuzz_copy(data, size);
	struct entry e;

	if (entry_parse(line, size, &e))
		check(e.text >= line && e.text + e.len <= line + size);
}

static void write_and_read(const uint8_t *data, size_t size)
{
	OWN(mem) char *text = fuzz_copy(data, size);
	OWN(str) struct str line = { 0 };
	OWN(str) struct str again = { 0 };
	OWN(mem) char *copy = NULL;
	struct entry e;
	size_t len;

	entry_write(&line, SHIM_STDERR, text, size, WHEN);
	check(line.len <= size * 6 + 128);
	check(memchr(line.buf, '\n', line.len) == line.buf + line.len - 1);
	check(entry_parse(line.buf, line.len - 1, &e));
	check(e.stream == SHIM_STDERR && e.time_ns == 1);
	/* What was read is valid UTF-8, so nothing of it is lost the next time. */
	len = e.len;
	copy = fuzz_copy((const uint8_t *)e.text, len);
	entry_write(&again, SHIM_STDERR, copy, len, WHEN);
	check(entry_parse(again.buf, again.len - 1, &e));
	check(e.len == len && !memcmp(e.text, copy, len));
}

static void cut(const uint8_t *data, size_t size)
{
	for (size_t max = 1; max < size && max < 40; max++) {
		size_t n = entry_cut((const char *)data, max);

		check(n > 0 && n <= max && max - n <= 4);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_foreign(data, size);
	write_and_read(data, size);
	cut(data, size);
	return 0;
}
