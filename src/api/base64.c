/* SPDX-License-Identifier: Apache-2.0 */
#include "api/base64.h"

#include <string.h>

#include "util/mem.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t len)
{
	char *out = xcalloc((len + 2) / 3 * 4 + 1, 1), *p = out;
	const uint8_t *in = data;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t n = (uint32_t)in[i] << 16;

		n |= i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0;
		n |= i + 2 < len ? (uint32_t)in[i + 2] : 0;
		*p++ = digits[n >> 18];
		*p++ = digits[n >> 12 & 63];
		*p++ = i + 1 < len ? digits[n >> 6 & 63] : '=';
		*p++ = i + 2 < len ? digits[n & 63] : '=';
	}
	return out;
}

bool base64_decode(const char *text, struct str *out)
{
	uint32_t bits = 0;
	int n = 0;

	for (const char *p = text; *p && *p != '='; p++) {
		const char *at = strchr(digits, *p == '-' ? '+' : *p == '_' ? '/' : *p);

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - digits);
		n += 6;
		if (n >= 8) {
			uint8_t byte = (uint8_t)(bits >> (n -= 8));

			str_add(out, &byte, 1);
		}
	}
	return true;
}
