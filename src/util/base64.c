/* SPDX-License-Identifier: Apache-2.0 */
#include "util/base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const void *data, size_t len, char *out)
{
	const uint8_t *in = data;

	for (size_t i = 0; i < len; i += 3) {
		uint32_t n = (uint32_t)in[i] << 16;

		n |= i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0;
		n |= i + 2 < len ? (uint32_t)in[i + 2] : 0;
		*out++ = digits[n >> 18];
		*out++ = digits[n >> 12 & 63];
		*out++ = i + 1 < len ? digits[n >> 6 & 63] : '=';
		*out++ = i + 2 < len ? digits[n & 63] : '=';
	}
	*out = '\0';
}

bool base64_decode(const char *text, void *out, size_t *ret_len)
{
	uint8_t *to = out;
	uint32_t bits = 0;
	int n = 0;

	for (const char *p = text; *p && *p != '='; p++) {
		const char *at = strchr(digits, *p == '-' ? '+' : *p == '_' ? '/' : *p);

		if (!at)
			return false;
		bits = bits << 6 | (uint32_t)(at - digits);
		n += 6;
		if (n >= 8)
			*to++ = (uint8_t)(bits >> (n -= 8));
	}
	*to = '\0';
	*ret_len = (size_t)(to - (uint8_t *)out);
	return true;
}
