/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/bzimage.h"

#include <elf.h>

#include "util/mem.h"
#include "util/test.h"

#define SETUP 1024 /* one sector besides the first */

static void put(unsigned char *d, size_t at, uint32_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		d[at + i] = (unsigned char)(v >> (8 * i));
}

/* A kernel image with a payload of @n bytes. */
static size_t image(unsigned char *d, const void *payload, size_t n)
{
	memset(d, 0, SETUP + 16);
	d[0x1f1] = 1;
	put(d, 0x1fe, 0xaa55, 2);
	memcpy(d + 0x202, "HdrS", 4);
	put(d, 0x206, 0x20f, 2);
	put(d, 0x20e, 0x300 - 0x200, 2);
	memcpy(d + 0x300, "6.1.0-56-cloud-amd64 (x@y) #1", 30);
	put(d, 0x248, 16, 4);
	put(d, 0x24c, (uint32_t)n, 4);
	memcpy(d + SETUP + 16, payload, n);
	return SETUP + 16 + n;
}

/* "abcabcabcabc" and 300 times z, as literals, an overlapping match, and long lengths. */
static const unsigned char packed[] = {
	0x02, 0x21, 0x4c, 0x18, 12,   0,  0, 0, /* magic, block of 12 bytes */
	0x35, 'a',  'b',  'c',  3,    0,        /* 3 literals, 9 from 3 back */
	0x1f, 'z',  1,    0,    0xff, 25,       /* 1 literal, 15 + 255 + 25 + 4 = 299 from 1 back */
	0x2c, 1,    0,    0,                    /* size: 300 */
};
#define PACKED_SIZE 312

static void the_version_and_the_packing_are_found(void **state)
{
	unsigned char d[SETUP + 16 + sizeof(packed)];
	struct bzimage b;
	size_t len = image(d, packed, sizeof(packed));

	(void)state;
	put(d, len - 4, PACKED_SIZE, 4);
	assert_ok(bzimage_parse(d, len, &b));
	assert_string_equal(b.version, "6.1.0-56-cloud-amd64");
	assert_int_equal(b.packing, PACKED_LZ4);
	assert_int_equal(b.payload_at, SETUP + 16);
	assert_int_equal(b.payload_len, sizeof(packed) - 4);
	assert_int_equal(b.payload_size, PACKED_SIZE);
}

static void what_is_no_kernel_is_refused_and_bad_offsets_are_ignored(void **state)
{
	unsigned char d[SETUP + 16 + sizeof(packed)];
	struct bzimage b;
	size_t len = image(d, packed, sizeof(packed));

	(void)state;
	for (size_t n = 0; n < 0x250; n += 16)
		assert_err(bzimage_parse(d, n, &b), ERR_UNSUPPORTED);
	put(d, 0x24c, 0xffffffff, 4);
	assert_ok(bzimage_parse(d, len, &b));
	assert_int_equal(b.payload_len, 0);
	put(d, 0x248, 0xfffffff0, 4);
	put(d, 0x24c, 16, 4);
	put(d, 0x20e, 0xffff, 2);
	assert_ok(bzimage_parse(d, len, &b));
	assert_int_equal(b.payload_len, 0);
	assert_string_equal(b.version, "");
	d[0x202] = 0;
	assert_err(bzimage_parse(d, len, &b), ERR_UNSUPPORTED);
}

static void lz4_is_unpacked(void **state)
{
	char out[PACKED_SIZE];

	(void)state;
	assert_ok(lz4_unpack(packed, sizeof(packed) - 4, out, sizeof(out)));
	assert_memory_equal(out, "abcabcabcabcz", 13);
	for (size_t i = 12; i < sizeof(out); i++)
		assert_int_equal(out[i], 'z');
}

static void damaged_lz4_is_refused_and_stays_in_bounds(void **state)
{
	/* On the heap, so that the sanitizers see every byte too far. */
	OWN(mem) char *out = xcalloc(1, PACKED_SIZE);

	(void)state;
	assert_err(lz4_unpack(packed, sizeof(packed) - 4, out, PACKED_SIZE - 1), ERR_CORRUPT);
	for (size_t n = 0; n < sizeof(packed) - 4; n++) {
		OWN(mem) unsigned char *in = xcalloc(1, n + 1);

		memcpy(in, packed, n);
		assert_err(lz4_unpack(in, n, out, PACKED_SIZE), ERR_CORRUPT);
	}
	for (size_t at = 8; at < sizeof(packed) - 4; at++) {
		for (unsigned v = 0; v < 256; v++) {
			unsigned char in[sizeof(packed)];

			memcpy(in, packed, sizeof(packed));
			in[at] = (unsigned char)v;
			err_free(lz4_unpack(in, sizeof(in) - 4, out, PACKED_SIZE));
		}
	}
}

struct elf {
	Elf64_Ehdr h;
	Elf64_Phdr p;
	unsigned char notes[48];
};

static void a_kernel_with_a_pvh_entry_is_known_by_its_note(void **state)
{
	struct elf e = { .h = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64 },
				.e_phoff = offsetof(struct elf, p),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 1 },
			 .p = { .p_type = PT_NOTE,
				.p_offset = offsetof(struct elf, notes),
				.p_filesz = sizeof(e.notes) } };

	(void)state;
	/* A note of 5 bytes' content, then the one looked for. */
	put(e.notes, 0, 4, 4);
	put(e.notes, 4, 5, 4);
	put(e.notes, 8, 6, 4);
	memcpy(e.notes + 12, "Xen", 4);
	put(e.notes, 24, 4, 4);
	put(e.notes, 28, 4, 4);
	put(e.notes, 32, 18, 4);
	memcpy(e.notes + 36, "Xen", 4);
	assert_true(elf_has_pvh_entry(&e, sizeof(e)));
	put(e.notes, 32, 17, 4);
	assert_false(elf_has_pvh_entry(&e, sizeof(e)));
	put(e.notes, 32, 18, 4);
	put(e.notes, 4, 0xfffffff0, 4);
	assert_false(elf_has_pvh_entry(&e, sizeof(e)));
	e.p.p_offset = UINT64_MAX;
	assert_false(elf_has_pvh_entry(&e, sizeof(e)));
	e.h.e_phoff = UINT64_MAX - 4;
	assert_false(elf_has_pvh_entry(&e, sizeof(e)));
	assert_false(elf_has_pvh_entry(&e, 10));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_version_and_the_packing_are_found),
		cmocka_unit_test(what_is_no_kernel_is_refused_and_bad_offsets_are_ignored),
		cmocka_unit_test(lz4_is_unpacked),
		cmocka_unit_test(damaged_lz4_is_refused_and_stays_in_bounds),
		cmocka_unit_test(a_kernel_with_a_pvh_entry_is_known_by_its_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
