/* SPDX-License-Identifier: Apache-2.0 */
#ifndef UTIL_BASE64_H
#define UTIL_BASE64_H

/*
 * Base64 in headers and files, into buffers of the caller's: libhostel has it too, which must
 * not end its caller's process.  Pure.
 * Spec: RFC 4648 sections 4 and 5.
 */

#include <stdbool.h>
#include <stddef.h>

#define BASE64_TEXT_SIZE(n) (((n) + 2) / 3 * 4 + 1) /* of what encodes n bytes, with its NUL */
#define BASE64_DATA_SIZE(n) ((n) / 4 * 3 + 3)       /* at least, of what n characters decode to */

/** base64_encode() - as text with padding and NUL; @out: BASE64_TEXT_SIZE(@len) bytes */
void base64_encode(const void *data, size_t len, char *out);

/**
 * base64_decode() - either alphabet, with or without padding
 * @out: BASE64_DATA_SIZE(strlen(@text)) bytes; a NUL follows what was decoded
 * Return: is it base64? @ret_len and @out are good for nothing if not.
 */
bool base64_decode(const char *text, void *out, size_t *ret_len);

#endif
