/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_HASH_H
#define UTIL_HASH_H

/*
 * FNV-1a with 64 bits: a number for a text, the same on every machine and in every
 * version, so that it may be stored.  No proof of anything.
 */

#include <stdint.h>

#define HASH_START UINT64_C(0xcbf29ce484222325)

/** hash_byte() - @h with one byte more */
static inline uint64_t hash_byte(uint64_t h, unsigned char byte)
{
	return (h ^ byte) * UINT64_C(0x100000001b3);
}

/** hash_text() - @h with a text more, without its terminating 0 */
static inline uint64_t hash_text(uint64_t h, const char *text)
{
	for (; *text; text++)
		h = hash_byte(h, (unsigned char)*text);
	return h;
}

#endif
