/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/keys.h"

#include <string.h>
#include <strings.h>

/* One key between commas; -1 when it is none. */
static int key_parse(const char *s, size_t n)
{
	if (n == 1 && (unsigned char)*s < 128)
		return *s;
	if (n == 3 && !strncasecmp(s, "DEL", 3))
		return 127;
	if (n != 6 || strncasecmp(s, "ctrl-", 5))
		return -1;
	if ((s[5] >= 'a' && s[5] <= 'z') || (s[5] >= '@' && s[5] <= '_'))
		return s[5] & 31;
	return -1;
}

int keys_parse(const char *text, char *ret, size_t size)
{
	size_t count = 0;

	if (!text || !*text)
		text = "ctrl-p,ctrl-q";
	for (;;) {
		/* A comma may itself be the key: ",," is one. */
		size_t n = *text == ',' ? 1 : strcspn(text, ",");
		int key = key_parse(text, n);

		if (key < 0 || count == size)
			return -1;
		ret[count++] = (char)key;
		text += n;
		if (!*text)
			return (int)count;
		text++;
	}
}
