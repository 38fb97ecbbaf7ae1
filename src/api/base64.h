/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_BASE64_H
#define API_BASE64_H

/* Base64 in headers.  Spec: RFC 4648 §4 and §5.  Pure. */

#include "util/str.h"

/** base64_encode() - standard alphabet, padded; owned by the caller */
char *base64_encode(const void *data, size_t len);

/** base64_decode() - either alphabet, padded or not, appended; false: some other byte met */
bool base64_decode(const char *text, struct str *out);

#endif
