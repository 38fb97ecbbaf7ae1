/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/bzimage.h"

#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SETUP_SECTS    0x1f1
#define BOOT_FLAG      0x1fe
#define HEADER         0x202
#define PROTOCOL       0x206
#define KERNEL_VERSION 0x20e
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define HEADER_END     0x250

#define XEN_ELFNOTE_PHYS32_ENTRY 18

static uint32_t le(const unsigned char *p, size_t n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static const struct {
	enum bzimage_packing packing;
	unsigned char magic[6];
	size_t n;
} packings[] = {
	{ PACKED_PLAIN, { 0x7f, 'E', 'L', 'F' }, 4 },
	{ PACKED_LZ4, { 0x02, 0x21, 0x4c, 0x18 }, 4 },
	{ PACKED_GZIP, { 0x1f, 0x8b }, 2 },
	{ PACKED_XZ, { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6 },
	{ PACKED_ZSTD, { 0x28, 0xb5, 0x2f, 0xfd }, 4 },
};

static enum bzimage_packing packing_of(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(packings); i++)
		if (len >= packings[i].n && !memcmp(p, packings[i].magic, packings[i].n))
			return packings[i].packing;
	return PACKED_OTHER;
}

/* The first word of a text like "6.1.0-56-cloud-amd64 (debian-kernel@…) #1 SMP …". */
static void take_version(const unsigned char *d, size_t len, struct bzimage *b)
{
	size_t at = le(d + KERNEL_VERSION, 2) + 0x200;
	size_t n = 0;

	while (at + n < len && n < sizeof(b->version) - 1 && d[at + n] > ' ' && d[at + n] < 127)
		n++;
	if (at < len)
		memcpy(b->version, d + at, n);
}

static void take_payload(const unsigned char *d, size_t len, struct bzimage *b)
{
	size_t base = ((d[SETUP_SECTS] ? d[SETUP_SECTS] : 4U) + 1U) * 512U;
	size_t at = base + le(d + PAYLOAD_OFFSET, 4), n = le(d + PAYLOAD_LENGTH, 4);

	/* The unpacked size follows the packed bytes, within the length (gzip has it as its own).
	 */
	if (n < 8 || at > len || n > len - at)
		return;
	b->payload_at = at;
	b->packing = packing_of(d + at, n);
	b->payload_size = le(d + at + n - 4, 4);
	b->payload_len = n - (b->packing == PACKED_GZIP ? 0 : 4);
}

struct err *bzimage_parse(const void *data, size_t len, struct bzimage *ret)
{
	const unsigned char *d = data;
	struct bzimage b = { .packing = PACKED_OTHER };

	if (len < HEADER_END || le(d + BOOT_FLAG, 2) != 0xaa55 || memcmp(d + HEADER, "HdrS", 4))
		return err_new(ERR_UNSUPPORTED, "no x86 kernel image (bzImage)");
	take_version(d, len, &b);
	if (le(d + PROTOCOL, 2) >= 0x208)
		take_payload(d, len, &b);
	*ret = b;
	return NULL;
}

/* ---- LZ4 ---- */

struct lz4 {
	const unsigned char *in, *end;
	unsigned char *out;
	size_t done, size; /* of out */
};

/* A length that goes on: each byte of 255 is followed by another. */
static bool take_length(struct lz4 *z, size_t *length)
{
	unsigned char b = 255;

	if (*length != 15)
		return true;
	while (b == 255) {
		if (z->in == z->end || *length > z->size)
			return false;
		b = *z->in++;
		*length += b;
	}
	return true;
}

static bool copy_literals(struct lz4 *z, size_t n)
{
	if (n > (size_t)(z->end - z->in) || n > z->size - z->done)
		return false;
	memcpy(z->out + z->done, z->in, n);
	z->in += n;
	z->done += n;
	return true;
}

/* May overlap itself: what was just written repeats. */
static bool copy_match(struct lz4 *z, size_t offset, size_t n)
{
	if (!offset || offset > z->done || n > z->size - z->done)
		return false;
	for (; n; n--, z->done++)
		z->out[z->done] = z->out[z->done - offset];
	return true;
}

static bool unpack_block(struct lz4 *z)
{
	while (z->in < z->end) {
		size_t literals = *z->in >> 4, match = *z->in & 15U;

		z->in++;
		if (!take_length(z, &literals) || !copy_literals(z, literals))
			return false;
		if (z->in == z->end)
			return true; /* the last sequence has literals alone */
		if (z->end - z->in < 2)
			return false;

		size_t offset = le(z->in, 2);

		z->in += 2;
		if (!take_length(z, &match) || !copy_match(z, offset, match + 4))
			return false;
	}
	return true;
}

struct err *lz4_unpack(const void *data, size_t len, void *out, size_t size)
{
	const unsigned char *p = data, *end = p + len;
	struct lz4 z = { .out = out, .size = size };

	if (packing_of(p, len) != PACKED_LZ4)
		return err_new(ERR_CORRUPT, "no LZ4 data");
	for (p += 4; end - p >= 4;) {
		size_t n = le(p, 4);

		p += 4;
		if (!n || n > (size_t)(end - p))
			return err_new(ERR_CORRUPT, "LZ4 block of %zu bytes", n);
		z.in = p;
		z.end = p += n;
		if (!unpack_block(&z))
			return err_new(ERR_CORRUPT, "damaged LZ4 block");
	}
	if (z.done != size)
		return err_new(ERR_CORRUPT, "LZ4 data of %zu bytes, expected %zu", z.done, size);
	return NULL;
}

/* ---- PVH ---- */

static bool note_is_pvh(const unsigned char *d, size_t len)
{
	for (size_t at = 0; at + 12 <= len;) {
		uint64_t name = le(d + at, 4), desc = le(d + at + 4, 4), next;

		if (le(d + at + 8, 4) == XEN_ELFNOTE_PHYS32_ENTRY && name == 4 && at + 16 <= len &&
		    !memcmp(d + at + 12, "Xen", 4))
			return true;
		next = at + 12 + ((name + 3) & ~3ULL) + ((desc + 3) & ~3ULL);
		if (next > len)
			return false;
		at = (size_t)next;
	}
	return false;
}

bool elf_has_pvh_entry(const void *data, size_t len)
{
	const unsigned char *d = data;
	Elf64_Ehdr h;
	Elf64_Phdr p;

	if (len < sizeof(h) || memcmp(d, ELFMAG, SELFMAG) || d[EI_CLASS] != ELFCLASS64)
		return false;
	memcpy(&h, d, sizeof(h));
	for (size_t i = 0; i < h.e_phnum && h.e_phentsize == sizeof(p); i++) {
		uint64_t at;

		if (__builtin_add_overflow(h.e_phoff, i * sizeof(p), &at) || at > len ||
		    len - at < sizeof(p))
			return false;
		memcpy(&p, d + at, sizeof(p));
		if (p.p_type == PT_NOTE && p.p_offset <= len && p.p_filesz <= len - p.p_offset &&
		    note_is_pvh(d + p.p_offset, (size_t)p.p_filesz))
			return true;
	}
	return false;
}
