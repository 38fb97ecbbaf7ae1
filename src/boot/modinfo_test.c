/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/modinfo.h"

#include <elf.h>

#include "util/mem.h"
#include "util/test.h"

/* ---- a module's own words ---- */

static const char fields[] = "license=GPL\0depends=virtio,virtio-ring,libcrc32c\0"
			     "softdep=pre: crc32c lz4-x post: nothing\0softdep=pre: more\0"
			     "vermagic=6.1.0 SMP\0depends";

/* A minimal ELF file: header, names, .modinfo, section table. */
struct image {
	Elf64_Ehdr h;
	char names[24]; /* "\0.shstrtab\0.modinfo\0" */
	char info[sizeof(fields)];
	Elf64_Shdr s[3];
};

static struct image image(void)
{
	struct image im = {
		.h = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB },
		       .e_shoff = offsetof(struct image, s),
		       .e_shentsize = sizeof(Elf64_Shdr),
		       .e_shnum = 3,
		       .e_shstrndx = 1 },
		.names = "\0.shstrtab\0.modinfo",
		.s = { [1] = { .sh_name = 1,
			       .sh_offset = offsetof(struct image, names),
			       .sh_size = sizeof(im.names) },
		       [2] = { .sh_name = 11,
			       .sh_offset = offsetof(struct image, info),
			       .sh_size = sizeof(fields) } },
	};

	memcpy(im.info, fields, sizeof(fields));
	return im;
}

static void a_module_says_what_it_needs(void **state)
{
	struct image im = image();
	OWN(modinfo) struct modinfo m = { 0 };

	(void)state;
	assert_ok(modinfo_parse(&im, sizeof(im), &m));
	assert_int_equal(m.needs.n, 3);
	assert_string_equal(m.needs.v[1], "virtio_ring");
	assert_int_equal(m.likes.n, 3);
	assert_string_equal(m.likes.v[0], "crc32c");
	assert_string_equal(m.likes.v[1], "lz4_x");
	assert_string_equal(m.likes.v[2], "more");
	assert_string_equal(m.vermagic, "6.1.0 SMP");
}

static void a_damaged_module_is_refused(void **state)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
	} damage[] = {
		{ offsetof(struct image, h.e_ident), 1, 0 },
		{ offsetof(struct image, h.e_ident) + EI_CLASS, 1, ELFCLASS32 },
		{ offsetof(struct image, h.e_shoff), 8, sizeof(struct image) },
		{ offsetof(struct image, h.e_shoff), 8, UINT64_MAX - 8 },
		{ offsetof(struct image, h.e_shentsize), 2, 10 },
		{ offsetof(struct image, h.e_shstrndx), 2, 9 },
		{ offsetof(struct image, h.e_shnum), 2, 2 },
		{ offsetof(struct image, s[1].sh_offset), 8, UINT64_MAX },
		{ offsetof(struct image, s[2].sh_name), 4, 5000 },
		{ offsetof(struct image, s[2].sh_size), 8, sizeof(struct image) },
		{ offsetof(struct image, s[2].sh_offset), 8, UINT64_MAX - 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
		struct image im = image();
		struct modinfo m;

		memcpy((char *)&im + damage[i].offset, &damage[i].value, damage[i].size);
		assert_err(modinfo_parse(&im, sizeof(im), &m), ERR_CORRUPT);
	}
	for (size_t len = 0; len < sizeof(Elf64_Ehdr); len += 8) {
		struct image im = image();
		struct modinfo m;

		assert_err(modinfo_parse(&im, len, &m), ERR_CORRUPT);
	}
}

static void a_signature_is_cut_off_only_when_it_is_whole(void **state)
{
	static const char is_signed[] = "ELFabc"
					"SIGN"
					"\2\0\0\0\0\0\0\0"
					"\0\0\0\4"
					"~Module signature appended~\n";
	static const char too_long[] = "\2\0\0\0\0\0\0\0"
				       "\0\0\0\1"
				       "~Module signature appended~\n";
	static const char no_length[] = "\0\4"
					"~Module signature appended~\n";

	(void)state;
	assert_int_equal(module_signed_part(is_signed, sizeof(is_signed) - 1), 6);
	assert_int_equal(module_signed_part("ELFabc", 6), 6);
	assert_int_equal(module_signed_part(too_long, sizeof(too_long) - 1), sizeof(too_long) - 1);
	assert_int_equal(module_signed_part(no_length, sizeof(no_length) - 1),
			 sizeof(no_length) - 1);
}

static void the_name_is_the_file_without_its_endings(void **state)
{
	static const char *const cases[][2] = {
		{ "kernel/drivers/char/hw_random/virtio-rng.ko", "virtio_rng" },
		{ "kernel/fs/erofs/erofs.ko.xz", "erofs" },
		{ "a.ko.zst", "a" },
		{ "kernel/fs/erofs/erofs.o", NULL },
		{ "kernel/fs.ko/erofs", NULL },
		{ "a.kobject", NULL },
		{ ".ko", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(mem) char *name = module_name(cases[i][0]);

		if (cases[i][1])
			assert_string_equal(name, cases[i][1]);
		else
			assert_null(name);
	}
}

/* ---- order ---- */

struct row {
	const char *name;
	enum module_where where;
	const char *needs, *likes;
};

static const struct row rows[] = {
	{ "virtio", MODULE_LOADABLE, "virtio_ring", NULL },
	{ "virtio_ring", MODULE_LOADABLE, NULL, NULL },
	{ "virtio_pci", MODULE_LOADABLE, "virtio_modern", NULL },
	{ "virtio_modern", MODULE_LOADABLE, "virtio", NULL },
	{ "virtio_blk", MODULE_LOADABLE, "virtio_ring", "absent_one" },
	{ "erofs", MODULE_LOADABLE, "crc32c", "lz4" },
	{ "crc32c", MODULE_BUILTIN, NULL, NULL },
	{ "lz4", MODULE_LOADABLE, NULL, NULL },
	{ "ext4", MODULE_BUILTIN, NULL, NULL },
	{ "broken", MODULE_LOADABLE, "lz4", NULL },
	{ "half", MODULE_LOADABLE, "absent_one", NULL },
	{ "egg", MODULE_LOADABLE, "hen", NULL },
	{ "hen", MODULE_LOADABLE, "egg", NULL },
};

static struct err *look(void *arg, const char *name, enum module_where *ret, struct modinfo *info)
{
	(void)arg;
	*ret = MODULE_ABSENT;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].name, name))
			continue;
		*ret = rows[i].where;
		if (rows[i].needs)
			strv_add(&info->needs, rows[i].needs);
		if (rows[i].likes)
			strv_add(&info->likes, rows[i].likes);
	}
	return NULL;
}

static void what_is_needed_comes_first_and_once(void **state)
{
	static const struct {
		const char *ask[4], *want;
		bool found;
	} cases[] = {
		{ { "virtio_pci" }, "virtio_ring virtio virtio_modern virtio_pci ", true },
		{ { "virtio_blk", "virtio_pci" },
		  "virtio_ring virtio_blk virtio virtio_modern virtio_pci ",
		  true },
		{ { "erofs" }, "lz4 erofs ", true },
		{ { "ext4" }, "", true },
		{ { "lz4", "half" }, "lz4 ", false },
		{ { "absent_one" }, "", false },
	};
	const struct module_source s = { .look = look };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		OWN(strv) struct strv order = { 0 };
		OWN(str) struct str got = { 0 };
		bool found = false;

		for (size_t k = 0; cases[i].ask[k]; k++)
			assert_ok(module_order(&s, cases[i].ask[k], &order, &found));
		assert_int_equal(found, cases[i].found);
		str_adds(&got, "");
		for (size_t k = 0; k < order.n; k++)
			str_addf(&got, "%s ", order.v[k]);
		assert_string_equal(got.buf ? got.buf : "", cases[i].want);
	}
}

static void a_circle_is_an_error(void **state)
{
	const struct module_source s = { .look = look };
	OWN(strv) struct strv order = { 0 };
	bool found = false;

	(void)state;
	assert_err(module_order(&s, "egg", &order, &found), ERR_CORRUPT);
	assert_int_equal(order.n, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_module_says_what_it_needs),
		cmocka_unit_test(a_damaged_module_is_refused),
		cmocka_unit_test(a_signature_is_cut_off_only_when_it_is_whole),
		cmocka_unit_test(the_name_is_the_file_without_its_endings),
		cmocka_unit_test(what_is_needed_comes_first_and_once),
		cmocka_unit_test(a_circle_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
